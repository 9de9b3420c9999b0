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

	"github.com/mfawatch/mfawatch/processor"
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

// A topic that was deleted and made anew while the source was down is read from its
// start: the group's offset is behind its end.
func TestTopicMadeAnew(t *testing.T) {
	c := fakeCluster(t)
	topic, group, in := c.topic(1), name("group"), newInbox(t)
	for i := range 5 {
		c.produce(topic, 0, fmt.Sprint("old-", i))
	}
	k := c.source(Config{Topics: []string{topic}, Group: group})
	stop := start(t, k, in.handle)
	in.wait(5)
	c.waitCommitted(group, topic, 0, 5)
	stop()
	if _, err := c.admin.DeleteTopic(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	c.create(topic, 1)
	c.producer.PurgeTopicsFromClient(topic)
	for i := range 3 {
		c.produce(topic, 0, fmt.Sprint("new-", i))
	}
	k = c.source(Config{Topics: []string{topic}, Group: group})
	start(t, k, in.handle)
	if got := in.wait(8)[5:]; !slices.Equal(got, []string{"new-0", "new-1", "new-2"}) {
		t.Errorf("read %q", got)
	}
	c.waitCommitted(group, topic, 0, 3)
}

// The same while the source runs.
func TestTopicMadeAnewMeanwhile(t *testing.T) {
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
