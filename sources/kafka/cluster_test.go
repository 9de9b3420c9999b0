package kafka

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/sources"
	"github.com/mfawatch/mfawatch/sources/sourcetest"
)

// A cluster is the Kafka that a test reads: kfake, or a real one.
type cluster struct {
	t        *testing.T
	fake     *kfake.Cluster // nil if real
	seeds    []string
	producer *kgo.Client
	admin    *kadm.Client
}

// everyCluster runs f against kfake and, where MFAWATCH_TEST_KAFKA names
// brokers, against those.
func everyCluster(t *testing.T, f func(t *testing.T, c *cluster)) {
	t.Run("kfake", func(t *testing.T) { f(t, fakeCluster(t)) })
	t.Run("kafka", func(t *testing.T) {
		seeds := os.Getenv("MFAWATCH_TEST_KAFKA")
		if seeds == "" {
			t.Skip("needs a real Kafka: deploy/integration/kafka.sh run -- go test ./... starts one")
		}
		f(t, newCluster(t, nil, strings.Split(seeds, ",")))
	})
}

func fakeCluster(t *testing.T, opts ...kfake.Opt) *cluster {
	t.Helper()
	fake, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(3), kfake.GroupMinSessionTimeout(time.Second)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	return newCluster(t, fake, fake.ListenAddrs())
}

func newCluster(t *testing.T, fake *kfake.Cluster, seeds []string) *cluster {
	t.Helper()
	producer, err := kgo.NewClient(kgo.SeedBrokers(seeds...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MaxBufferedBytes(0), kgo.ProducerBatchMaxBytes(1_000_000))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(producer.Close)
	return &cluster{t: t, fake: fake, seeds: seeds, producer: producer, admin: kadm.NewClient(producer)}
}

var names atomic.Int64

// name is one that nothing else has.
func name(kind string) string {
	return fmt.Sprintf("%s-%d-%d", kind, os.Getpid(), names.Add(1))
}

func (c *cluster) topic(partitions int32) string {
	c.t.Helper()
	topic := name("topic")
	c.create(topic, partitions)
	return topic
}

func (c *cluster) create(topic string, partitions int32) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), sourcetest.Patience)
	defer cancel()
	if _, err := c.admin.CreateTopic(ctx, partitions, 1, nil, topic); err != nil {
		c.t.Fatal(err)
	}
	if c.fake == nil {
		c.t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), sourcetest.Patience)
			defer cancel()
			_, _ = c.admin.DeleteTopic(ctx, topic)
		})
	}
}

// produce writes values to one partition, as one batch.
func (c *cluster) produce(topic string, partition int32, values ...string) {
	c.t.Helper()
	var records []*kgo.Record
	for _, v := range values {
		records = append(records, &kgo.Record{Topic: topic, Partition: partition, Value: []byte(v)})
	}
	c.write(records...)
}

func (c *cluster) write(records ...*kgo.Record) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), sourcetest.Patience)
	defer cancel()
	if err := c.producer.ProduceSync(ctx, records...).FirstErr(); err != nil {
		c.t.Fatal(err)
	}
}

// committed is the offset that the group has committed, -1 if none.
func (c *cluster) committed(group, topic string, partition int32) int64 {
	ctx, cancel := context.WithTimeout(context.Background(), sourcetest.Patience)
	defer cancel()
	offsets, err := c.admin.FetchOffsets(ctx, group)
	if err != nil {
		return -1
	}
	if o, ok := offsets.Lookup(topic, partition); ok && o.Err == nil {
		return o.At
	}
	return -1
}

func (c *cluster) waitCommitted(group, topic string, partition int32, want int64) {
	c.t.Helper()
	got := int64(0)
	sourcetest.Eventually(c.t, func() bool { got = c.committed(group, topic, partition); return got == want },
		func() string { return fmt.Sprintf("%s/%d: committed %d, want %d", topic, partition, got, want) })
}

// members is how many members the group has, -1 if that is unknown.
func (c *cluster) members(group string) int {
	ctx, cancel := context.WithTimeout(context.Background(), sourcetest.Patience)
	defer cancel()
	described, err := c.admin.DescribeGroups(ctx, group)
	if err != nil || described[group].Err != nil {
		return -1
	}
	return len(described[group].Members)
}

// source is a Kafka source of c in a hurry.
func (c *cluster) source(config Config, opts ...kgo.Opt) *Source {
	c.t.Helper()
	return c.sourceWith(config, sources.Options{Logger: sourcetest.Log(c.t)}, opts...)
}

func (c *cluster) sourceWith(config Config, o sources.Options, opts ...kgo.Opt) *Source {
	c.t.Helper()
	k, err := New("in", config, append([]kgo.Opt{
		kgo.SeedBrokers(c.seeds...),
		kgo.HeartbeatInterval(100 * time.Millisecond),
		kgo.MetadataMinAge(50 * time.Millisecond),
		kgo.MetadataMaxAge(time.Second),
	}, opts...), o)
	if err != nil {
		c.t.Fatal(err)
	}
	k.retry = sources.Backoff{First: 5 * time.Millisecond, Longest: 50 * time.Millisecond}
	k.commitEvery = 20 * time.Millisecond
	k.watchEvery = 200 * time.Millisecond
	k.concurrency = 4
	return k
}

// start runs s until stop is called, which waits for its end. It is called at the
// end of the test at the latest.
func start(t *testing.T, s sources.Source, h processor.Handler) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, h) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			t.Helper()
			cancel()
			select {
			case err := <-done:
				if err != nil {
					t.Errorf("Run: %v", err)
				}
			case <-time.After(sourcetest.Patience):
				t.Error("Run does not return")
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

// A received is one call of a handler.
type received struct {
	uri     string
	offsets []int64
	values  []string
}

func receive(t *testing.T, d processor.Delivery) (got received) {
	for part, err := range d.Parts {
		if err != nil {
			t.Errorf("part: %v", err)
		}
		if got.uri != "" && got.uri != part.Origin.Place {
			t.Errorf("one delivery of %s and %s", got.uri, part.Origin.Place)
		}
		got.uri = part.Origin.Place
		got.offsets = append(got.offsets, part.Origin.Offset)
		got.values = append(got.values, string(part.Bytes))
	}
	return got
}

// An inbox is a handler that keeps what it is given. before, if set, is called
// first; its error is the handler's.
type inbox struct {
	t      *testing.T
	before func(ctx context.Context, got received) error

	mu     sync.Mutex
	calls  []received // all of them
	values []string   // of those that were acked
}

func newInbox(t *testing.T) *inbox { return &inbox{t: t} }

func (i *inbox) handle(ctx context.Context, d processor.Delivery) error {
	got := receive(i.t, d)
	i.mu.Lock()
	i.calls = append(i.calls, got)
	i.mu.Unlock()
	if i.before != nil {
		if err := i.before(ctx, got); err != nil {
			return err
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.values = append(i.values, got.values...)
	return nil
}

func (i *inbox) acked() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]string(nil), i.values...)
}

func (i *inbox) called() []received {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]received(nil), i.calls...)
}

func (i *inbox) wait(n int) []string {
	i.t.Helper()
	sourcetest.Eventually(i.t, func() bool { return len(i.acked()) >= n },
		func() string { return fmt.Sprintf("%d values, want %d", len(i.acked()), n) })
	return i.acked()
}
