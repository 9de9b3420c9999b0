package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/status"
	"github.com/mfawatch/mfawatch/sources"
)

// Config selects the topics and the consumer group. It holds no connection
// settings.
type Config struct {
	Topics []string `koanf:"topics"`
	Group  string   `koanf:"group"` // the consumer group, which stores the offsets; mfawatch if empty
	// Start is the first offset of a partition for which the group has none:
	// earliest (also if empty), latest, or a time in RFC 3339. The offset is
	// committed when a partition is first assigned, so records that arrive
	// during an outage are read later, even with latest.
	Start string `koanf:"start"`
}

// DefaultConfig returns the defaults. Reading starts at the
// earliest record, so deactivations before the first start are alerted too.
func DefaultConfig() Config { return Config{Group: "mfawatch", Start: "earliest"} }

// Validate returns every mistake in c. The errors are joined, each of the form
// "field: problem".
func (c Config) Validate() error {
	var errs []error
	if len(c.Topics) == 0 {
		errs = append(errs, errors.New("topics: missing; want at least one topic, such as cloudtrail"))
	}
	for i, t := range c.Topics {
		if !validTopic(t) {
			errs = append(errs, fmt.Errorf("topics[%d]: want a topic's name of letters, digits, '.', '_' and '-', 249 at most, got %q", i, t))
		}
	}
	if _, err := c.startOffset(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func validTopic(t string) bool {
	return t != "" && t != "." && t != ".." && len(t) <= 249 && strings.Trim(t, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == ""
}

func (c Config) startOffset() (kgo.Offset, error) {
	switch c.Start {
	case "", "earliest":
		return kgo.NewOffset().AtStart(), nil
	case "latest":
		return kgo.NewOffset().AtEnd(), nil
	}
	t, err := time.Parse(time.RFC3339, c.Start)
	if err != nil || t.UnixMilli() < 0 {
		return kgo.Offset{}, fmt.Errorf("start: want earliest, latest or a time such as 2026-05-01T08:00:00Z, got %q", c.Start)
	}
	return kgo.NewOffset().AfterMilli(t.UnixMilli()), nil
}

// Bounds on memory. Fetched bytes are compressed, and CloudTrail inflates to ten
// times its size and more; held bytes are inflated.
const (
	fetchBytes          = 512 << 10 // by one fetch from one broker
	fetchPartitionBytes = 256 << 10 // by one fetch from one partition
	concurrentFetches   = 4         // in flight or waiting to be polled
	inflatedBatchBytes  = 8 << 20   // a batch that inflates to more is quarantined by its offset
	batchMemory         = 16 << 20  // a batch that needs more, its records' own memory included, as well
	inflatedBytes       = 48 << 20  // the memory of inflated batches, fetched or polled, of all fetches
	concurrentInflates  = 2
	heldBytes           = 4 << 20  // polled and not handled yet; polling pauses above it
	parkedBytes         = 24 << 20 // the same, deliveries that wait for a retry included
)

// Source reads topics as a member of a consumer group. The records of one
// partition in one poll are one delivery. Deliveries of a partition are handled
// in offset order, those of several partitions concurrently.
//
// An offset is committed only after the handler returned nil for every record
// before it, and never after the partition was revoked. A failed delivery is
// offered again until it succeeds, which delays its partition and no other. A
// revocation waits for the running handler and commits its offset first.
type Source struct {
	name    string
	config  Config
	start   kgo.Offset
	opts    []kgo.Opt
	log     *slog.Logger
	metrics *metrics

	member   atomic.Bool   // of the group
	alone    bool          // no other member shares the journal
	others   status.Status // other members of the group
	watching status.Status // of the cluster, by asking where the partitions end
	fetching status.Status
	trimmed  status.Status // records were lost to retention
	commits  status.Status

	// Set otherwise by tests.
	retry       sources.Backoff
	commitEvery time.Duration
	watchEvery  time.Duration
	othersAfter time.Duration // how long another member is a member before it counts: a former life of this one leaves by then
	patience    time.Duration // for a running handler when its partition is taken away
	concurrency int           // handlers
}

var _ sources.Source = (*Source)(nil)

// New returns the source called name, which reaches the cluster by opts.
// It asks no broker.
func New(name string, c Config, opts []kgo.Opt, o sources.Options) (*Source, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.Group == "" {
		c.Group = DefaultConfig().Group
	}
	k := &Source{
		name:        name,
		config:      c,
		opts:        opts,
		log:         o.Log(name),
		alone:       o.Alone,
		metrics:     newMetrics(name, o.Registerer),
		fetching:    status.Status{Lasts: fetchErrorAge},
		trimmed:     status.Status{Lasts: trimmedAge},
		retry:       sources.DefaultBackoff,
		commitEvery: time.Second,
		watchEvery:  10 * time.Second,
		othersAfter: 30 * time.Second,
		patience:    40 * time.Second, // less than the group's rebalance timeout of 60
		concurrency: runtime.GOMAXPROCS(0),
	}
	k.start, _ = c.startOffset()
	if err := kgo.ValidateOpts(k.options(&run{inflater: newInflater(inflatedBytes)})...); err != nil {
		return nil, fmt.Errorf("kafka source %s: %w", name, err)
	}
	return k, nil
}

func (k *Source) options(r *run) []kgo.Opt {
	return append([]kgo.Opt{
		kgo.ConsumerGroup(k.config.Group),
		kgo.ConsumeTopics(k.config.Topics...),
		kgo.ConsumeStartOffset(k.start),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.KeepControlRecords(), // for their offsets
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(r.assigned),
		kgo.OnPartitionsRevoked(r.revoked),
		kgo.OnPartitionsLost(r.lost),
		kgo.AdjustFetchOffsetsFn(r.resolveStarts),
		kgo.MetadataMaxAge(time.Minute), // so that new topics and partitions are seen soon
		kgo.FetchMaxBytes(fetchBytes),
		kgo.FetchMaxPartitionBytes(fetchPartitionBytes),
		kgo.MaxConcurrentFetches(concurrentFetches),
		kgo.FetchMaxWait(500 * time.Millisecond),
		kgo.WithDecompressor(r.inflater),
		kgo.WithPools(r.inflater),
		kgo.WithHooks(&r.hungUp),
		kgo.DisableClientMetrics(),
		kgo.SessionTimeout(10 * time.Second), // after a crash the other members go on by then
	}, k.opts...)
}

// Run reads until ctx is done. Then it waits for running handlers, commits their
// offsets, leaves the group and returns nil. Errors of the cluster are logged,
// counted and retried: see Ready.
func (k *Source) Run(ctx context.Context, h processor.Handler) error {
	r := &run{
		k:      k,
		handle: h,
		made:   make(chan struct{}),
		parts:  make(map[topicPartition]*partition),
		marks:  make(map[topicPartition]kgo.EpochOffset),
		stale:  make(map[string]bool),
		ids:    make(map[string]kadm.TopicID),
		slots:  make(chan struct{}, k.concurrency),
		freed:  make(chan struct{}, 1),

		caughtUp: sources.CaughtUp{Log: k.log},
		inflater: newInflater(inflatedBytes),
	}
	reaching, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	client, err := kgo.NewClient(append(k.options(r), kgo.WithContext(reaching))...)
	if err != nil {
		return fmt.Errorf("kafka source %s: %w", k.name, err)
	}
	r.client = client
	r.admin = kadm.NewClient(client)
	close(r.made)

	var loops sync.WaitGroup
	loops.Go(func() { r.commitLoop(ctx) })
	loops.Go(func() { r.watchLoop(ctx) })
	r.pollLoop(ctx)
	loops.Wait()

	// Leaving the group revokes every partition.
	leave, cancel := context.WithTimeout(context.WithoutCancel(ctx), k.patience+20*time.Second)
	defer cancel()
	if err := client.LeaveGroupContext(leave); err != nil {
		k.log.Warn("could not leave the consumer group; its partitions stay idle until the session times out", "group", k.config.Group, "err", err)
		abandon() // a rebalance under way would hold up Close until all members have joined
	}
	client.CloseAllowingRebalance()
	r.release(nil, false)
	k.member.Store(false)
	return nil
}

// pollLoop polls until ctx is done. A rebalance waits only while polled records
// are queued, so no record is queued after its partition was revoked.
func (r *run) pollLoop(ctx context.Context) {
	for r.waitForBudget(ctx) {
		fetches := r.client.PollFetches(ctx)
		if fetches.IsClientClosed() || ctx.Err() != nil {
			r.client.AllowRebalance()
			return
		}
		fetches.EachError(r.fetchError)
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			if len(p.Records) > 0 {
				r.offer(topicPartition{p.Topic, p.Partition}, p.Records, p.LogStartOffset)
			}
		})
		r.readOn()
		r.client.AllowRebalance()
	}
}

// uri returns the origin of the records of a partition.
func uri(topic string, number int32) string {
	return "kafka://" + topic + "/" + strconv.FormatInt(int64(number), 10)
}
