package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/message"
)

// A Config says which topic alerts go to. How the cluster is reached is not
// said here.
type Config struct {
	Topic string `koanf:"topic"`
}

// Validate reports every mistake in c. The errors are joined, each of the form
// "field: problem".
func (c Config) Validate() error {
	switch {
	case c.Topic == "":
		return errors.New("topic: missing; want the topic that alerts go to, such as mfawatch.alerts")
	case len(c.Topic) > 249 || c.Topic == "." || c.Topic == ".." || strings.Trim(c.Topic, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != "":
		return fmt.Errorf("topic: want a name of letters, digits, '.', '_' and '-', 249 at most, got %q", c.Topic)
	}
	return nil
}

const (
	// deliveryTimeout is how long the brokers may take to acknowledge an
	// alert, retries of the client included.
	deliveryTimeout = 20 * time.Second
	// closeTimeout bounds how long Close waits for records under way.
	closeTimeout = 10 * time.Second
)

// Sink writes each alert as a record of a topic: its JSON, under the key
// account/user, so that one user's alerts stay in order.
type Sink struct {
	topic  string
	client *kgo.Client
	writes *writes
}

var _ sinks.Sink = (*Sink)(nil)

// New returns a sink that reaches the cluster by opts. It asks no broker.
func New(c Config, opts []kgo.Opt) (*Sink, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	writes := &writes{}
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.WithHooks(writes),
		kgo.DefaultProduceTopic(c.Topic),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordDeliveryTimeout(deliveryTimeout),
		kgo.ProducerLinger(0), // the sender waits for the answer
		kgo.MaxBufferedRecords(1000),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.DisableClientMetrics(),
	}, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("kafka sink: %w", err)
	}
	return &Sink{topic: c.Topic, client: client, writes: writes}, nil
}

// Send produces the alert and returns when all in-sync replicas have it. An
// alert that the topic refuses for its size or its form is Permanent. Where the
// topic is not there or we may not write to it, that is not the alert's fault:
// we are Misconfigured. When a broker was written to and does not answer in
// time, it is Ambiguous: the alert may be there all the same, and its id
// marks the copies.
func (k *Sink) Send(ctx context.Context, a *processor.Alert, ref string) (newRef string, err error) {
	record, err := record(a)
	if err != nil {
		return ref, err
	}
	before := k.writes.n.Load()
	answered := make(chan error, 1)
	k.client.Produce(ctx, record, func(_ *kgo.Record, err error) { answered <- err })
	select {
	case err = <-answered:
	case <-ctx.Done():
		err = ctx.Err() // a record under way cannot be recalled
	}
	if err != nil {
		return ref, k.verdict(err, k.writes.n.Load() != before)
	}
	return ref, nil
}

// record returns the record of an alert, for the default topic.
func record(a *processor.Alert) (*kgo.Record, error) {
	value, err := message.JSON(a)
	if err != nil {
		return nil, sinks.Permanent(fmt.Errorf("encode alert %s: %w", a.ID, err))
	}
	return &kgo.Record{
		Key:   []byte(key(a)),
		Value: bytes.TrimSuffix(value, []byte("\n")),
		Headers: []kgo.RecordHeader{
			{Key: "schema", Value: []byte(a.Schema)},
			{Key: "step", Value: []byte(a.Step)},
			{Key: "severity", Value: []byte(a.Severity)},
			{Key: "id", Value: []byte(a.ID)},
			{Key: "content-type", Value: []byte("application/json")},
		},
	}, nil
}

// key keeps the alerts of one user together, however its name is spelt. An
// alert about a user that is not known has the account alone.
func key(a *processor.Alert) string {
	if a.User == nil {
		return a.Account + "/"
	}
	if a.Root {
		return a.Account + "/" + *a.User
	}
	return a.Account + "/" + strings.ToLower(*a.User)
}

// verdict gives err its verdict and the next step. Written reports whether a broker
// was sent something since.
func (k *Sink) verdict(err error, written bool) error {
	wrap := func(hint string) error { return fmt.Errorf("kafka topic %s: %w%s", k.topic, err, hint) }
	switch {
	case errors.Is(err, kerr.MessageTooLarge), errors.Is(err, kerr.RecordListTooLarge), errors.Is(err, kerr.InvalidRecord):
		return sinks.Permanent(wrap(""))
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.UnknownTopicID):
		return sinks.Misconfigured(wrap("; create the topic, or correct topic"))
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.ClusterAuthorizationFailed):
		return sinks.Misconfigured(wrap("; allow the user to WRITE to the topic"))
	case errors.Is(err, kerr.SaslAuthenticationFailed), errors.Is(err, kerr.UnsupportedSaslMechanism):
		return sinks.Misconfigured(wrap("; check sasl: mechanism, username and secret"))
	case errors.Is(err, kgo.ErrRecordTimeout), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		err = wrap("; check brokers and the network between")
		if written {
			return sinks.Ambiguous(err)
		}
		return err
	}
	return wrap("")
}

// writes counts the produce requests that brokers were sent.
type writes struct{ n atomic.Int64 }

var _ kgo.HookBrokerWrite = (*writes)(nil)

// OnBrokerWrite implements [kgo.HookBrokerWrite].
func (w *writes) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, err error) {
	if err == nil && key == int16(kmsg.Produce) {
		w.n.Add(1)
	}
}

// Close waits a while for records under way, then closes the connections.
func (k *Sink) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := k.client.Flush(ctx)
	k.client.Close()
	if err != nil {
		return fmt.Errorf("kafka topic %s: flush: %w", k.topic, err)
	}
	return nil
}
