package kafka

import (
	"cmp"
	"context"
	"crypto/tls"

	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// errorReasons lists the values of the reason label.
var errorReasons = []string{"unknown_topic", "authorization", "authentication", "connection", "tls", "data_loss", "too_large", "group", "other"}

// fetchErrorAge is how long a fetch error lasts after it was last seen. The client
// fetches much more often than that.
const fetchErrorAge = 30 * time.Second

// trimmedAge is how long the source is not ready after records were lost.
const trimmedAge = 10 * time.Minute

// Ready returns nil while the source is a member of its group and can read;
// otherwise an error with its remedy.
func (k *Source) Ready() error {
	if err := cmp.Or(k.watching.Err(), k.fetching.Err(), k.trimmed.Err(), k.others.Err()); err != nil {
		return err
	}
	if !k.member.Load() {
		return fmt.Errorf("kafka source %s: not a member of consumer group %s yet", k.name, k.config.Group)
	}
	return nil
}

// watchLoop lists the bounds of the partitions periodically. They show the lag,
// also of paused partitions, records lost to retention, and whether the cluster
// can be reached and has the topics.
func (r *run) watchLoop(ctx context.Context) {
	tick := time.NewTicker(r.k.watchEvery)
	defer tick.Stop()
	connected := false
	alone := time.Now() // when no other member was seen last
	for {
		err := r.watch(ctx)
		if err == nil {
			r.rejoin()
		}
		if r.k.alone {
			alone = r.watchGroup(ctx, alone)
		}
		if ctx.Err() != nil {
			return
		}
		if cause := r.hungUp.Swap(nil); err != nil {
			if cause != nil && errors.Is(err, context.DeadlineExceeded) {
				err = fmt.Errorf("%w: %w", err, *cause)
			}
			reason, hint := explain(err)
			r.k.metrics.fetchErrors.WithLabelValues(reason).Inc()
			err = fmt.Errorf("kafka source %s: %w%s", r.k.name, err, hint)
		}
		switch changed := r.k.watching.Set(err); {
		case changed && err != nil:
			r.k.log.Warn("cannot read from kafka; retrying", "err", err)
		case err == nil && (changed || !connected):
			connected = true
			r.k.log.Info("connected", "topics", len(r.k.config.Topics))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// hungUp is the last failure of a broker to answer, nil if there was none. A request
// that the client retries until its time is over ends without it.
type hungUp struct{ atomic.Pointer[error] }

// OnBrokerRead implements [kgo.HookBrokerRead].
func (h *hungUp) OnBrokerRead(_ kgo.BrokerMetadata, _ int16, _ int, _, _ time.Duration, err error) {
	if errors.Is(err, io.EOF) {
		h.Store(&err)
	}
}

// reads reports whether a member of the group subscribes to a topic of ours.
func (r *run) reads(m kadm.DescribedGroupMember) bool {
	joined, ok := m.Join.AsConsumer()
	return ok && slices.ContainsFunc(joined.Topics, func(topic string) bool { return slices.Contains(r.k.config.Topics, topic) })
}

// watchGroup notices another member of the group, which reads records that this
// process never sees. It returns when there was none last.
func (r *run) watchGroup(ctx context.Context, alone time.Time) time.Time {
	within, cancel := context.WithTimeout(ctx, max(r.k.watchEvery, time.Second))
	defer cancel()
	groups, err := r.admin.DescribeGroups(within, r.k.config.Group)
	if err != nil || groups[r.k.config.Group].Err != nil {
		return alone // not allowed to look
	}
	own, _ := r.client.GroupMetadata()
	for _, m := range groups[r.k.config.Group].Members {
		if m.MemberID == own || own == "" || !r.reads(m) {
			continue
		}
		if time.Since(alone) >= r.k.othersAfter {
			err = fmt.Errorf("kafka source %s: another member (%.100q at %.100q) reads a topic of this source: its exposures are unknown here; use journal.type kafka, or stop it",
				r.k.name, m.ClientID, m.ClientHost)
		}
		if r.k.others.Set(err) && err != nil {
			r.k.log.Error("records are missed", "group", r.k.config.Group, "err", err)
		}
		return alone
	}
	r.k.others.Set(nil)
	return time.Now()
}

func (r *run) watch(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, max(r.k.watchEvery, time.Second))
	defer cancel()
	ends, err := r.admin.ListEndOffsets(within, r.k.config.Topics...)
	if err != nil {
		return err
	}
	starts, err := r.admin.ListStartOffsets(within, r.k.config.Topics...)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	behind, known := int64(0), len(r.parts) > 0
	for tp, p := range r.parts {
		if start, ok := starts.Lookup(tp.topic, tp.number); ok && start.Err == nil {
			r.noteStart(p, start.Offset)
		}
		end, ok := ends.Lookup(tp.topic, tp.number)
		if !ok || end.Err != nil || p.next < 0 {
			known = false
			continue
		}
		lag := max(0, end.Offset-p.next)
		behind += lag
		r.k.metrics.lag.WithLabelValues(tp.topic, strconv.Itoa(int(tp.number))).Set(float64(lag))
	}
	if known {
		r.caughtUp.Behind(behind, time.Now())
	}
	for _, topic := range r.k.config.Topics {
		if missing, ok := ends.Lookup(topic, -1); ok && missing.Err != nil {
			return fmt.Errorf("topic %s: %w", topic, missing.Err)
		}
		for _, end := range ends[topic] {
			if end.Err != nil && !kerr.IsRetriable(end.Err) {
				return fmt.Errorf("topic %s: %w", topic, end.Err)
			}
		}
	}
	return nil
}

// rejoin subscribes again to topics that were deleted and made again: the client
// goes on asking for the old ones. See compareTopics for where they are read from.
func (r *run) rejoin() {
	r.mu.Lock()
	gone := make(map[string][]int32)
	for topic := range r.stale {
		for tp := range r.parts {
			if tp.topic == topic {
				gone[topic] = append(gone[topic], tp.number)
			}
		}
	}
	clear(r.stale)
	r.mu.Unlock()
	for topic := range gone {
		r.release(map[string][]int32{topic: gone[topic]}, false)
		r.client.PurgeTopicsFromConsuming(topic)
		r.client.AddConsumeTopics(topic)
	}
}

// noteStart reports the records of p that retention deleted before they were
// fetched, as the log of p starts at start. The caller holds r.mu.
func (r *run) noteStart(p *partition, start int64) {
	lost := start - p.fetched
	if p.fetched < 0 || lost <= 0 {
		return
	}
	r.k.metrics.trimmed.Add(float64(lost))
	r.k.log.Error("records lost: retention deleted them before they were read; find them in the trail's bucket with 'mfawatch scan', and lengthen the topic's retention",
		"uri", p.uri, "from", p.fetched, "to", start-1, "records", lost)
	r.k.trimmed.Set(fmt.Errorf("kafka source %s: %s: retention deleted offsets %d to %d before they were read", r.k.name, p.uri, p.fetched, start-1))
	p.fetched = start
}

// fetchError handles an error of a fetch, which the client retries.
func (r *run) fetchError(topic string, number int32, err error) {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) && topic == "" || errors.Is(err, errNoRoom) {
		return
	}
	reason, hint := explain(err)
	r.k.metrics.fetchErrors.WithLabelValues(reason).Inc()
	if tooLarge, ok := errors.AsType[*kgo.ErrDecompressTooLarge](err); ok {
		r.k.log.Error("batch quarantined by its offset: it is corrupt or inflates to too much", "uri", uri(topic, number),
			"offset", tooLarge.Offset, "next", tooLarge.NextOffset, "bound", inflatedBatchBytes)
		r.skip(tooLarge)
		return
	}
	if errors.Is(err, kerr.UnknownTopicID) && topic != "" {
		r.mu.Lock()
		r.stale[topic] = true
		r.mu.Unlock()
	}
	where := "topic " + topic
	if topic == "" {
		where = "group " + r.k.config.Group
	}
	err = fmt.Errorf("kafka source %s: %s: %w%s", r.k.name, where, err, hint)
	if r.k.fetching.Set(err) {
		r.k.log.Warn("cannot read from kafka; retrying", "err", err)
	}
}

// explain returns the class of an error and its remedy.
func explain(err error) (reason, hint string) {
	var (
		loss     *kgo.ErrDataLoss
		tooLarge *kgo.ErrDecompressTooLarge
		session  *kgo.ErrGroupSession
		verify   *tls.CertificateVerificationError
		record   tls.RecordHeaderError
		network  net.Error
	)
	switch {
	case errors.As(err, &loss):
		return "data_loss", "; the brokers lost records that were not read yet"
	case errors.As(err, &tooLarge):
		return "too_large", ""
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.UnknownTopicID):
		return "unknown_topic", "; create the topic, or correct topics: it is read as soon as it exists"
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		return "authorization", "; allow the user to READ and DESCRIBE the topic"
	case errors.Is(err, kerr.GroupAuthorizationFailed):
		return "authorization", "; allow the user to READ the group"
	case errors.Is(err, kerr.ClusterAuthorizationFailed):
		return "authorization", "; allow the user to use the cluster"
	case errors.Is(err, kerr.SaslAuthenticationFailed), errors.Is(err, kerr.UnsupportedSaslMechanism), errors.Is(err, kerr.IllegalSaslState):
		return "authentication", "; check sasl: mechanism, username and secret"
	case errors.As(err, &verify), errors.As(err, &record):
		return "tls", "; check tls: ca_file, server_name, and whether the port speaks TLS"
	case errors.Is(err, io.EOF):
		return "connection", "; the broker closed the connection, as it does when it expects TLS or SASL, or other settings: check tls and sasl"
	case errors.As(err, &network), errors.Is(err, context.DeadlineExceeded):
		return "connection", "; check brokers, tls and the network between"
	case errors.As(err, &session):
		return "group", ""
	}
	return "other", ""
}
