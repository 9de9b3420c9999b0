package shard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/sources/sourcetest"
)

// A replica folds its shards, and sends each alert to its alerts topic in the
// transaction that acks it.
type replica struct {
	*Cluster
	stop  context.CancelFunc
	ended chan error
}

func start(t testing.TB, c Config, name, path string, more ...kgo.Opt) *replica {
	t.Helper()
	c.Instance = name
	cl, err := New(c, Options{Path: path, Journals: options(), Drain: time.Second, Logger: testLogger}, more...)
	if err != nil {
		t.Fatal(err)
	}
	r := &replica{Cluster: cl, ended: make(chan error, 1)}
	ctx, stop := context.WithCancel(t.Context())
	r.stop = sync.OnceFunc(func() {
		stop()
		if err := <-r.ended; err != nil {
			t.Errorf("replica %s: %v", name, err)
		}
		cl.Close()
	})
	t.Cleanup(r.stop)
	go func() { r.ended <- cl.Run(ctx, serveTest) }()
	return r
}

// serveTest folds, and sends each alert to the alerts topic of the cluster.
func serveTest(ctx context.Context, s *Shard) error {
	topic := strings.TrimSuffix(s.log.c.config.events(), "-events") + "-alerts"
	if err := s.Journal.Register("alerts"); err != nil {
		return err
	}
	for {
		appended := s.Journal.Appended()
		if _, err := s.Journal.Fold(ctx, time.Now(), each, nil); err != nil {
			return err
		}
		pending, err := s.Journal.Pending("alerts", 0, 1000)
		if err != nil {
			return err
		}
		var results []outbox.Result
		for _, p := range pending {
			a, _, err := s.Journal.Take("alerts", p.Number)
			if err != nil {
				return err
			}
			r := &kgo.Record{Topic: topic, Key: []byte(a.Account), Value: []byte(a.ID)}
			results = append(results, outbox.Result{Number: p.Number, Message: r})
		}
		if len(results) > 0 {
			if err := errors.Join(s.Lease(), s.Journal.Done("alerts", results...)); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-appended:
		}
	}
}

func await(t testing.TB, what string, done func() bool) {
	t.Helper()
	sourcetest.Eventually(t, done, func() string { return "waited for " + what })
}

// However replicas come and go, with or without their caches: each alert is in the
// topic once.
func TestReplicas(t *testing.T) {
	t.Parallel()
	_, c := fake(t)
	if _, err := admin(t, c).CreateTopic(t.Context(), 3, 1, nil, c.Topic+"-alerts"); err != nil {
		t.Fatal(err)
	}
	a := start(t, c, "a", t.TempDir())
	await(t, "the first replica", func() bool { return len(a.Shards()) == 4 && a.Ready() == nil })
	want := 0
	produce := func(r *replica) {
		for i := range 10 {
			account := fmt.Sprintf("%012d", want*10+i)
			if n, err := r.Append(t.Context(), events(account, 5)); n != 5 || err != nil {
				t.Fatal(n, err)
			}
		}
		want += 50
	}
	produce(a)
	path := t.TempDir()
	b := start(t, c, "b", path)
	await(t, "the second replica", func() bool { return len(b.Shards()) == 2 && len(a.Shards()) == 2 })
	produce(b)
	b.stop()
	await(t, "its end", func() bool { return len(a.Shards()) == 4 })
	produce(a)
	b = start(t, c, "b", path)
	await(t, "its return", func() bool { return len(b.Shards()) == 2 })
	a.stop()
	await(t, "all shards", func() bool { return len(b.Shards()) == 4 })
	produce(b)
	committed(t, c, c.Topic+"-alerts", want)
	b.stop()
	once(t, c, want)
}

// Tools that show the lag of groups see how far each shard has read.
func TestOffsetsOfTheGroup(t *testing.T) {
	t.Parallel()
	_, c := fake(t)
	r := startFaulty(t, c)
	if _, err := r.Append(t.Context(), events("1", 5)); err != nil {
		t.Fatal(err)
	}
	adm := admin(t, c)
	await(t, "the offset", func() bool {
		offsets, err := adm.FetchOffsets(t.Context(), c.Group())
		at, ok := offsets.Lookup(c.events(), c.partition("aws/1"))
		return err == nil && ok && at.At == 5
	})
}

// A record that another program wrote is quarantined, and stops nothing; records
// for the quarantine arrive there.
func TestForeignRecords(t *testing.T) {
	_, c := fake(t)
	if _, err := admin(t, c).CreateTopic(t.Context(), 1, 1, nil, c.Topic+"-alerts"); err != nil {
		t.Fatal(err)
	}
	r := start(t, c, "a", t.TempDir())
	await(t, "the replica", func() bool { return len(r.Shards()) == 4 })
	value, err := journal.EncodeEvent(event("1", 1))
	if err != nil {
		t.Fatal(err)
	}
	wrong := c.record(kindEvent, "x", value)
	wrong.Partition = (partitionOf("aws/1", 4) + 1) % 4
	bare := c.record(kindEvent, "x", value)
	bare.Headers = nil
	foreign := []*kgo.Record{
		wrong, bare, c.record(kindEvent, "x", []byte("{")), c.record(kindEvent, "x", []byte("{}")),
		c.record(kindEvent, "x", nil), c.record(kindQuarantine, "x", []byte("[]")), c.record("\xff", "x", []byte("\x00")),
	}
	if err := client(t, c).ProduceSync(t.Context(), foreign...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Quarantine(t.Context(), []journal.Quarantined{{Origin: "s3://b/k", Reason: "bad", Raw: []byte("<")}}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Append(t.Context(), events("1", 3)); err != nil {
		t.Fatal(err)
	}
	if got := committed(t, c, c.Topic+"-alerts", 3); len(got) != 3 {
		t.Errorf("alerts %q", got)
	}
	await(t, "the quarantine", func() bool {
		n := map[string]int{}
		for _, s := range r.Shards() {
			records, err := s.Journal.QuarantineRecords()
			if err != nil {
				t.Fatal(err)
			}
			for _, q := range records {
				n[q.Reason]++
			}
		}
		return n[foreignRecord] == len(foreign) && n["bad"] == 1
	})
	if err := r.Ready(); err != nil {
		t.Error(err)
	}
}

// A full quarantine delays no alert, but is seen.
func TestQuarantineIsFull(t *testing.T) {
	_, c := fake(t)
	r := startFaulty(t, c)
	for n := range 4 {
		var records []journal.Quarantined
		for i := range 500 {
			records = append(records, journal.Quarantined{Origin: "s3://b/k", Offset: int64(1000*n + i), Reason: "bad"})
		}
		if _, err := r.Quarantine(t.Context(), records); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "the reason", says(r, "mfawatch quarantine list"))
	if n := testutil.ToFloat64(r.metrics.leftOut); n < 1 {
		t.Errorf("%.0f records were left out", n)
	}
	if _, err := r.Append(t.Context(), events("1", 3)); err != nil {
		t.Fatal(err)
	}
	if got := committed(t, c, c.Topic+"-alerts", 3); len(got) != 3 {
		t.Errorf("alerts %q", got)
	}
}

// A record of a newer version is not passed over: the shard waits for its upgrade.
func TestNewerVersion(t *testing.T) {
	_, c := fake(t)
	r := start(t, c, "a", t.TempDir())
	await(t, "the replica", func() bool { return len(r.Shards()) == 4 })
	newer := c.record("event/2", "x", []byte("{}"))
	if err := client(t, c).ProduceSync(t.Context(), newer).FirstErr(); err != nil {
		t.Fatal(err)
	}
	await(t, "the refusal", func() bool {
		err := r.Ready()
		return err != nil && strings.Contains(err.Error(), "written by another version")
	})
}

// Two replicas of one name are a mistake.
func TestNameInUse(t *testing.T) {
	t.Parallel()
	_, c := fake(t)
	r := start(t, c, "a", t.TempDir())
	await(t, "the replica", func() bool { return len(r.Shards()) == 4 })
	c.Instance = "a"
	second, err := New(c, Options{Path: t.TempDir(), Journals: options(), Logger: testLogger})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if err := second.Run(t.Context(), serveTest); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "journal.instance") {
		t.Errorf("got %v", err)
	}
}

// Replicas of one name that start at one time do not see each other, and say so as
// soon as they do.
func TestNamesakes(t *testing.T) {
	t.Parallel()
	f, c := fake(t)
	h := f.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.DescribeGroups}, Err: kerr.GroupIDNotFound, Count: -1})
	a, b := start(t, c, "a", t.TempDir()), start(t, c, "a", t.TempDir())
	await(t, "both replicas", func() bool { return len(a.Shards()) == 2 && len(b.Shards()) == 2 })
	h.Remove()
	for _, r := range []*replica{a, b} {
		await(t, "the mistake", says(r, `another replica is called "a"`))
	}
	b.stop()
	await(t, "the end of the mistake", func() bool { return a.Ready() == nil })
}

// A rebalance that never ends does not hold up a replica that stops.
func TestStopWhileJoining(t *testing.T) {
	t.Parallel()
	f, c := fake(t)
	joining := make(chan struct{})
	once := sync.OnceFunc(func() { close(joining) })
	f.ControlKey(int16(kmsg.JoinGroup), func(kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		once()
		return nil, nil, true // the answer waits for the other members
	})
	r := start(t, c, "a", t.TempDir())
	<-joining
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		r.stop()
	}()
	select {
	case <-stopped:
	case <-time.After(rebalanceTimeout / 2):
		t.Error("it still runs")
	}
}

// A Kafka source of the same cluster, whose group has the name of the topics by default,
// is no replica.
func TestSourcesAreNoReplicas(t *testing.T) {
	f, c := fake(t)
	r := start(t, c, "a", t.TempDir())
	await(t, "the replica", func() bool { return len(r.Shards()) == 4 })
	cl, err := kgo.NewClient(kgo.SeedBrokers(f.ListenAddrs()...), kgo.ConsumerGroup(c.Topic), kgo.ConsumeTopics(c.events()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	await(t, "the source", func() bool { id, _ := cl.GroupMetadata(); return id != "" })
	all, err := r.Replicas(t.Context())
	if err != nil || len(all) != 1 || all[0].Instance != "a" || len(all[0].Partitions) != 4 {
		t.Errorf("%+v, %v", all, err)
	}
}

// A replica that the group has expelled fences no owner, though it was not told
// yet.
func TestExpelled(t *testing.T) {
	f, c := fake(t)
	r := start(t, c, "a", t.TempDir())
	await(t, "the replica", func() bool { return len(r.Shards()) == 4 && r.member(t.Context()) == nil })
	f.ControlKey(int16(kmsg.JoinGroup), func(kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		return nil, nil, true
	})
	id, _ := r.group.Load().GroupMetadata()
	leave := kmsg.NewPtrLeaveGroupRequest()
	leave.Group, leave.Members = c.Group(), []kmsg.LeaveGroupRequestMember{{MemberID: id}}
	if _, err := leave.RequestWith(t.Context(), client(t, c)); err != nil {
		t.Fatal(err)
	}
	owners := f.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, Observe: true, Count: -1})
	_, err := (&membership{c: r.Cluster, partition: 0}).open(t.Context())
	if err == nil || owners.Hits() > 0 {
		t.Errorf("it became the owner of a partition of another replica: %v", err)
	}
}

// A message that its source gives up is lost if it is acknowledged and not kept: the
// intake reports that there is no capacity, as a journal file does.
func TestQuarantinedMessages(t *testing.T) {
	_, c := fake(t)
	c.Partitions = 1
	if _, err := admin(t, c).CreateTopic(t.Context(), 1, 1, nil, c.Topic+"-alerts"); err != nil {
		t.Fatal(err)
	}
	r := start(t, c, "a", t.TempDir())
	message := func(n int) []journal.Quarantined {
		return []journal.Quarantined{{Origin: fmt.Sprint("sqs://q/", n), Reason: "missing", Raw: []byte("{}"), Source: "in", Message: true}}
	}
	await(t, "the replica", func() bool { return len(r.Shards()) == 1 })
	var all []journal.Quarantined
	for n := range 500 {
		all = append(all, message(n)...)
	}
	if left, err := r.Shards()[0].Journal.Quarantine(t.Context(), all); left != 0 || err != nil {
		t.Fatal(left, err)
	}
	if left, err := r.Quarantine(t.Context(), message(1)); left != 0 || err != nil {
		t.Errorf("a message that is kept: %d left out, %v", left, err)
	}
	if left, err := r.Quarantine(t.Context(), message(500)); left != 1 || err != nil {
		t.Errorf("a message without capacity: %d left out, %v", left, err)
	}
	kept, err := r.Shards()[0].Journal.QuarantineRecords()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Shards()[0].Journal.DropQuarantined(kept[0].ID); err != nil {
		t.Fatal(err)
	}
	if left, err := r.Quarantine(t.Context(), message(500)); left != 0 || err != nil {
		t.Errorf("after one was dropped: %d left out, %v", left, err)
	}

	none, err := New(c, Options{Logger: testLogger})
	if err != nil {
		t.Fatal(err)
	}
	defer none.Close()
	close(none.begun)
	if _, err := r.Shards()[0].Journal.DropQuarantined(kept[1].ID); err != nil {
		t.Fatal(err)
	}
	if left, err := none.Quarantine(t.Context(), message(501)); left != 0 || err != nil {
		t.Errorf("by a replica without a shard: %d left out, %v", left, err)
	}
	await(t, "the message of the replica without a shard", func() bool {
		kept, err := r.Shards()[0].Journal.QuarantineRecords()
		return err == nil && slices.ContainsFunc(kept, func(k journal.Quarantined) bool { return k.Origin == "sqs://q/501" })
	})
}
