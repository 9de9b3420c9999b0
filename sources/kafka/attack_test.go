package kafka

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
	"github.com/mfawatch/mfawatch/sources"
	"github.com/mfawatch/mfawatch/sources/sourcetest"
)

// A quarantine collects what is given up.
type quarantine struct {
	mu    sync.Mutex
	given []string
}

func (q *quarantine) all() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.given)
}

// before returns a handler that acknowledges what is given up itself.
func (q *quarantine) before(h processor.Handler) processor.Handler {
	return func(ctx context.Context, d processor.Delivery) error {
		for part := range d.Parts {
			if part.GivenUp == nil {
				break
			}
			q.mu.Lock()
			q.given = append(q.given, fmt.Sprintf("%s: %s: %s", part.Origin, part.GivenUp.Reason, part.GivenUp.Err))
			q.mu.Unlock()
			return nil
		}
		return h(ctx, d)
	}
}

// Records that retention deletes before they are read are counted, and the source
// is not ready: during an outage, and while a delivery fails.
func TestTrimmedRecords(t *testing.T) {
	c := fakeCluster(t)
	topic, group, in := c.topic(1), name("group"), newInbox(t)
	trim := func(to int64) {
		t.Helper()
		offsets := kadm.Offsets{}
		offsets.Add(kadm.Offset{Topic: topic, Partition: 0, At: to})
		if _, err := c.admin.DeleteRecords(t.Context(), offsets); err != nil {
			t.Fatal(err)
		}
	}
	c.produce(topic, 0, "0")
	k := c.source(Config{Topics: []string{topic}, Group: group})
	stop := start(t, k, in.handle)
	in.wait(1)
	c.waitCommitted(group, topic, 0, 1)
	sourcetest.Eventually(t, func() bool { return k.Ready() == nil }, func() string { return fmt.Sprint(k.Ready()) })
	stop()

	for i := 1; i < 6; i++ {
		c.produce(topic, 0, fmt.Sprint(i))
	}
	trim(5)
	k = c.source(Config{Topics: []string{topic}, Group: group})
	start(t, k, in.handle)
	if got, want := in.wait(2), []string{"0", "5"}; !slices.Equal(got, want) {
		t.Errorf("read %q, want %q", got, want)
	}
	sourcetest.Eventually(t, func() bool {
		return k.Ready() != nil && strings.Contains(k.Ready().Error(), "retention deleted offsets 1 to 4")
	},
		func() string { return fmt.Sprint(k.Ready()) })
	if n := testutil.ToFloat64(k.metrics.trimmed); n != 4 {
		t.Errorf("%v records lost, want 4", n)
	}
}

// A topic that was deleted and made again while the source was down is read from its
// start: whether the group's offset is behind its end, at it or before it.
func TestTopicMadeAnew(t *testing.T) {
	const old = 5
	for _, records := range []int{3, old, 30} {
		t.Run(fmt.Sprint(records), func(t *testing.T) {
			c := fakeCluster(t)
			topic, group, in := c.topic(1), name("group"), newInbox(t)
			for i := range old {
				c.produce(topic, 0, fmt.Sprint("old-", i))
			}
			k := c.source(Config{Topics: []string{topic}, Group: group, Start: "latest"})
			k.start = kgo.NewOffset().AtStart() // of the first topic
			stop := start(t, k, in.handle)
			in.wait(old)
			c.waitCommitted(group, topic, 0, old)
			stop()
			committed, err := c.admin.FetchOffsets(t.Context(), group)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.admin.DeleteTopic(t.Context(), topic); err != nil {
				t.Fatal(err)
			}
			c.create(topic, 1)
			c.producer.PurgeTopicsFromClient(topic)
			var want []string
			for i := range records {
				want = append(want, fmt.Sprint("new-", i))
				c.produce(topic, 0, want[i])
			}
			// The group may keep the offset of the deleted topic.
			if err := c.admin.CommitAllOffsets(t.Context(), group, committed.Offsets()); err != nil {
				t.Fatal(err)
			}
			k = c.source(Config{Topics: []string{topic}, Group: group, Start: "latest"})
			stop = start(t, k, in.handle)
			if got := in.wait(old + records)[old:]; !slices.Equal(got, want) {
				t.Errorf("read %q", got)
			}
			c.waitCommitted(group, topic, 0, int64(records))
			stop()
			c.produce(topic, 0, "last")
			start(t, c.source(Config{Topics: []string{topic}, Group: group, Start: "latest"}), in.handle)
			if got := in.wait(old + records + 1); len(got) != old+records+1 || got[old+records] != "last" {
				t.Errorf("after another start: read %q", got[old+records:])
			}
		})
	}
}

// The same while the source runs.
func TestTopicMadeAnewMeanwhile(t *testing.T) {
	trailtest.Long(t, 12) // the client reads a deleted topic on for a while
	c := fakeCluster(t)
	topic, group, in := c.topic(1), name("group"), newInbox(t)
	for i := range 5 {
		c.produce(topic, 0, fmt.Sprint("old-", i))
	}
	k := c.source(Config{Topics: []string{topic}, Group: group})
	start(t, k, in.handle)
	in.wait(5)
	c.waitCommitted(group, topic, 0, 5)
	if _, err := c.admin.DeleteTopic(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	c.create(topic, 1)
	c.producer.PurgeTopicsFromClient(topic)
	for i := range 30 {
		c.produce(topic, 0, fmt.Sprint("new-", i))
	}
	if got := in.wait(35)[5:]; got[0] != "new-0" || got[29] != "new-29" {
		t.Errorf("read %q", got)
	}
	c.waitCommitted(group, topic, 0, 30)
	c.produce(topic, 0, "last")
	if got := in.wait(36); len(got) != 36 || got[35] != "last" {
		t.Errorf("read %q", got)
	}
	c.waitCommitted(group, topic, 0, 31)
}

// Records of the deleted topic that were polled before its partition was released
// are neither handled nor committed.
func TestLatePollOfADeletedTopic(t *testing.T) {
	c := fakeCluster(t)
	topic := c.topic(1)
	k := c.source(Config{Topics: []string{topic}, Group: name("group")})
	r := &run{k: k, client: c.producer, parts: map[topicPartition]*partition{}, marks: map[topicPartition]kgo.EpochOffset{}, freed: make(chan struct{}, 1)}
	tp := topicPartition{topic, 0}
	r.mu.Lock()
	r.part(tp)
	r.mu.Unlock()
	r.release(map[string][]int32{topic: {0}}, false)
	r.offer(tp, []*kgo.Record{{Topic: topic, Offset: 41, Value: []byte("old")}}, 40)
	r.skip(&kgo.ErrDecompressTooLarge{Topic: topic, Offset: 42, NextOffset: 43})
	if len(r.parts) != 0 || len(r.marks) != 0 || r.held != 0 {
		t.Errorf("parts %v, marks %v, held %d", r.parts, r.marks, r.held)
	}
	r.readOn() // has no partition to set
}

// After a crash the other members go on within 10 seconds.
func TestSessionTimeout(t *testing.T) {
	c := fakeCluster(t)
	joined := make(chan int32, 1)
	c.fake.ControlKey(int16(kmsg.JoinGroup), func(req kmsg.Request) (kmsg.Response, error, bool) {
		joined <- req.(*kmsg.JoinGroupRequest).SessionTimeoutMillis
		return nil, nil, false
	})
	k, err := New("in", Config{Topics: []string{c.topic(1)}}, []kgo.Opt{kgo.SeedBrokers(c.seeds...)}, sources.Options{Logger: sourcetest.Log(t)})
	if err != nil {
		t.Fatal(err)
	}
	start(t, k, newInbox(t).handle)
	if got := <-joined; got > 10_000 {
		t.Errorf("a session of %d ms", got)
	}
}

// A partition that is added to a topic is read from its start, as what was written to it
// before the group saw it is new.
func TestPartitionAdded(t *testing.T) {
	everyCluster(t, func(t *testing.T, c *cluster) {
		topic, group, in := c.topic(2), name("group"), newInbox(t)
		c.produce(topic, 0, "before")
		config := Config{Topics: []string{topic}, Group: group, Start: "latest"}
		stop := start(t, c.source(config), in.handle)
		c.waitCommitted(group, topic, 0, 1)
		c.waitCommitted(group, topic, 1, 0)
		stop()
		added, err := c.admin.CreatePartitions(t.Context(), 1, topic)
		if err == nil {
			err = added.Error()
		}
		if err != nil {
			t.Fatal(err)
		}
		sourcetest.Eventually(t, func() bool {
			topics, err := c.admin.ListTopics(t.Context(), topic)
			return err == nil && len(topics[topic].Partitions) == 3
		}, func() string { return "the partition was not added" })
		c.producer.PurgeTopicsFromClient(topic)
		c.produce(topic, 2, "to the new one")
		start(t, c.source(config), in.handle)
		c.waitCommitted(group, topic, 2, 1)
		if got := in.wait(1); !slices.Equal(got, []string{"to the new one"}) {
			t.Errorf("read %q", got)
		}
	})
}

// The serializers of a schema registry write five bytes before the JSON.
func TestFramedJSON(t *testing.T) {
	const record = `{"Records":[]}`
	for value, want := range map[string]string{
		"\x00\x00\x00\x00\x07" + record: record,
		"\x00\x00\x00\x00\x07\x0eavro":  "\x00\x00\x00\x00\x07\x0eavro",
		record:                          record,
		"\x00\x00\x00\x00\x07":          "\x00\x00\x00\x00\x07",
	} {
		for part := range parts("kafka://t/0", []*kgo.Record{{Value: []byte(value)}}) {
			if string(part.Bytes) != want {
				t.Errorf("%q: %q, want %q", value, part.Bytes, want)
			}
		}
	}
}
