package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/sources"
	"github.com/mfawatch/mfawatch/sources/sourcetest"
)

func TestStart(t *testing.T) {
	everyCluster(t, func(t *testing.T, c *cluster) {
		for _, tt := range []struct {
			start string
			want  []string
		}{
			{"earliest", []string{"may", "june", "now"}},
			{"", []string{"may", "june", "now"}},
			{"2026-06-01T00:00:00Z", []string{"june", "now"}},
			{"2026-05-01T00:00:00+02:00", []string{"may", "june", "now"}},
			{"latest", []string{"now"}},
		} {
			t.Run(tt.start, func(t *testing.T) {
				topic, group, in := c.topic(1), name("group"), newInbox(t)
				c.write(
					&kgo.Record{Topic: topic, Value: []byte("may"), Timestamp: time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)},
					&kgo.Record{Topic: topic, Value: []byte("june"), Timestamp: time.Date(2026, 6, 1, 8, 0, 0, 0, time.UTC)},
				)
				stop := start(t, c.source(Config{Topics: []string{topic}, Group: group, Start: tt.start}), in.handle)
				// The place is kept as soon as the partition is assigned.
				sourcetest.Eventually(t, func() bool { return c.committed(group, topic, 0) >= 0 }, func() string { return "no place was kept" })
				c.produce(topic, 0, "now")
				if got := in.wait(len(tt.want)); !slices.Equal(got, tt.want) {
					t.Errorf("read %q, want %q", got, tt.want)
				}
				c.waitCommitted(group, topic, 0, 3)
				stop()
			})
		}
	})
}

func TestKeepsItsOffsetWithLatest(t *testing.T) {
	everyCluster(t, func(t *testing.T, c *cluster) {
		topic, group, in := c.topic(1), name("group"), newInbox(t)
		c.produce(topic, 0, "before")
		config := Config{Topics: []string{topic}, Group: group, Start: "latest"}
		stop := start(t, c.source(config), in.handle)
		c.waitCommitted(group, topic, 0, 1)
		stop()
		c.produce(topic, 0, "while down")
		start(t, c.source(config), in.handle)
		if got := in.wait(1); !slices.Equal(got, []string{"while down"}) {
			t.Errorf("read %q", got)
		}
	})
}

func TestOrder(t *testing.T) {
	everyCluster(t, func(t *testing.T, c *cluster) {
		const partitions, each = 5, 400
		topic, in := c.topic(partitions), newInbox(t)
		for p := range int32(partitions) {
			for i := range each / 40 {
				var values []string
				for j := range 40 {
					values = append(values, fmt.Sprintf("%d-%d", p, i*40+j))
				}
				c.produce(topic, p, values...)
			}
		}
		var running [partitions]atomic.Int32
		in.before = func(_ context.Context, got received) error {
			var p int
			if _, err := fmt.Sscanf(strings.TrimPrefix(got.uri, "kafka://"+topic+"/"), "%d", &p); err != nil {
				t.Errorf("place %q", got.uri)
			}
			if running[p].Add(1) > 1 {
				t.Errorf("two deliveries of partition %d at once", p)
			}
			running[p].Add(-1)
			return nil
		}
		// A small fetch, so that there are many deliveries.
		start(t, c.source(Config{Topics: []string{topic}, Group: name("group")}, kgo.FetchMaxPartitionBytes(2000)), in.handle)
		in.wait(partitions * each)
		next := make(map[string]int64)
		for _, call := range in.called() {
			for i, o := range call.offsets {
				if o != next[call.uri] {
					t.Fatalf("%s@%d, want @%d", call.uri, o, next[call.uri])
				}
				next[call.uri]++
				if want := fmt.Sprintf("%s-%d", call.uri[strings.LastIndex(call.uri, "/")+1:], o); call.values[i] != want {
					t.Fatalf("%s@%d is %q, want %q", call.uri, o, call.values[i], want)
				}
			}
		}
	})
}

func TestCommitsOnlyWhatWasAcked(t *testing.T) {
	everyCluster(t, func(t *testing.T, c *cluster) {
		topic, group, in := c.topic(1), name("group"), newInbox(t)
		running, release := make(chan struct{}, 1), make(chan struct{})
		in.before = func(context.Context, received) error {
			running <- struct{}{}
			<-release
			return nil
		}
		c.produce(topic, 0, "a", "b", "c")
		k := c.source(Config{Topics: []string{topic}, Group: group})
		start(t, k, in.handle)
		<-running
		c.waitCommitted(group, topic, 0, 0) // its place, and no more
		close(release)
		c.waitCommitted(group, topic, 0, 3)
	})
}

// A delivery that fails is offered again, the same; its neighbours go on, and
// the group does not throw us out, however long it takes.
func TestHandlerError(t *testing.T) {
	everyCluster(t, func(t *testing.T, c *cluster) {
		topic, group, in, reg := c.topic(2), name("group"), newInbox(t), prometheus.NewPedanticRegistry()
		var healed atomic.Bool
		in.before = func(_ context.Context, got received) error {
			if strings.HasSuffix(got.uri, "/0") && !healed.Load() {
				return errors.New("disk full")
			}
			return nil
		}
		c.produce(topic, 0, "sick-0", "sick-1")
		k := c.sourceWith(Config{Topics: []string{topic}, Group: group}, sources.Options{Logger: sourcetest.Log(t), Registerer: reg}, kgo.SessionTimeout(3*time.Second))
		start(t, k, in.handle)
		retries := func() float64 { return testutil.ToFloat64(k.metrics.Retries) }
		sourcetest.Eventually(t, func() bool { return retries() > 2 }, func() string { return "no retry" })
		c.produce(topic, 0, "sick-2")
		var want []string
		began := time.Now()
		for i := 0; time.Since(began) < 3500*time.Millisecond; i++ { // longer than the session
			want = append(want, fmt.Sprint(i))
			c.produce(topic, 1, fmt.Sprint(i))
			if got := in.wait(i + 1); !slices.Equal(got, want) {
				t.Fatalf("acked %q, want %q", got, want)
			}
		}
		c.waitCommitted(group, topic, 1, int64(len(want)))
		c.waitCommitted(group, topic, 0, 0)
		if got := testutil.ToFloat64(k.metrics.lag.WithLabelValues(topic, "0")); got != 3 {
			sourcetest.Eventually(t, func() bool { return testutil.ToFloat64(k.metrics.lag.WithLabelValues(topic, "0")) == 3 },
				func() string { return "the lag of the partition that fails is not 3" })
		}
		healed.Store(true)
		in.wait(len(want) + 3)
		c.waitCommitted(group, topic, 0, 3)
		var sick [][]string
		for _, call := range in.called() {
			if strings.HasSuffix(call.uri, "/0") {
				sick = append(sick, call.values)
			}
		}
		for _, values := range sick[:len(sick)-1] {
			if !slices.Equal(values, sick[0]) {
				t.Fatalf("offered again as %q, was %q", values, sick[0])
			}
		}
		sourcetest.Eventually(t, func() bool { return testutil.ToFloat64(k.metrics.lag.WithLabelValues(topic, "0")) == 0 },
			func() string { return "the lag does not end" })
		if err := k.Ready(); err != nil {
			t.Errorf("Ready: %v", err)
		}
		if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
			t.Errorf("lint: %v %v", problems, err)
		}
	})
}

func TestRestartResumes(t *testing.T) {
	everyCluster(t, func(t *testing.T, c *cluster) {
		topic, group := c.topic(1), name("group")
		config := Config{Topics: []string{topic}, Group: group}
		c.produce(topic, 0, "a", "b")
		first := newInbox(t)
		stop := start(t, c.source(config), first.handle)
		first.wait(2)
		stop()
		if got := c.committed(group, topic, 0); got != 2 {
			t.Fatalf("committed %d at the end, want 2", got)
		}
		c.produce(topic, 0, "c")
		second := newInbox(t)
		k := c.source(config)
		stop = start(t, k, second.handle)
		if got := second.wait(1); !slices.Equal(got, []string{"c"}) {
			t.Errorf("after the restart read %q, want c alone", got)
		}
		// The same source may run again, as it does when a supervisor restarts it.
		stop()
		c.produce(topic, 0, "d")
		start(t, k, second.handle)
		if got := second.wait(2); !slices.Equal(got, []string{"c", "d"}) {
			t.Errorf("after the restart read %q, want c and d", got)
		}
	})
}

func TestShutdownLetsHandlersFinish(t *testing.T) {
	everyCluster(t, func(t *testing.T, c *cluster) {
		topic, group, in := c.topic(2), name("group"), newInbox(t)
		running, release := make(chan struct{}), make(chan struct{})
		in.before = func(ctx context.Context, got received) error {
			if strings.HasSuffix(got.uri, "/1") {
				return errors.New("broken") // waits to be offered again, for ever
			}
			running <- struct{}{}
			<-release
			return ctx.Err()
		}
		c.produce(topic, 0, "a")
		c.produce(topic, 1, "b")
		k := c.source(Config{Topics: []string{topic}, Group: group})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- k.Run(ctx, in.handle) }()
		<-running
		cancel()
		select {
		case <-done:
			t.Fatal("Run returned while a handler ran")
		case <-time.After(100 * time.Millisecond):
		}
		close(release)
		if err := <-done; err != nil {
			t.Fatalf("Run: %v", err)
		}
		if got := c.committed(group, topic, 0); got != 1 {
			t.Errorf("committed %d, want 1", got)
		}
		if got := c.committed(group, topic, 1); got != 0 {
			t.Errorf("of the partition that failed committed %d, want 0", got)
		}
		if got := c.members(group); got != 0 {
			t.Errorf("%d members in the group after it was left", got)
		}
		if k.Ready() == nil {
			t.Error("ready after the end")
		}
	})
}

// Two members share the partitions, nothing is lost, and as everybody leaves in
// good order nothing is read twice.
func TestRebalance(t *testing.T) {
	everyCluster(t, func(t *testing.T, c *cluster) {
		const partitions = 6
		topic, group := c.topic(partitions), name("group")
		config := Config{Topics: []string{topic}, Group: group}
		var want []string
		n := 0
		produce := func() {
			for p := range int32(partitions) {
				v := fmt.Sprintf("%d-%d", p, n)
				want = append(want, v)
				c.produce(topic, p, v)
			}
			n++
		}
		var mu sync.Mutex
		var all []string
		in := func() *inbox {
			i := newInbox(t)
			i.before = func(_ context.Context, got received) error {
				mu.Lock()
				defer mu.Unlock()
				all = append(all, got.values...)
				return nil
			}
			return i
		}
		read := func() []string {
			mu.Lock()
			defer mu.Unlock()
			return slices.Sorted(slices.Values(all))
		}
		done := func() bool { return len(read()) >= len(want) }
		why := func() string { return fmt.Sprintf("read %d, want %d", len(read()), len(want)) }

		first, second := in(), in()
		a := c.source(config)
		start(t, a, first.handle)
		produce()
		sourcetest.Eventually(t, done, why)
		b := c.source(config)
		stopB := start(t, b, second.handle)
		sourcetest.Eventually(t, func() bool { produce(); return len(second.acked()) > 0 && a.Ready() == nil && b.Ready() == nil }, func() string { return "the second member reads nothing" })
		sourcetest.Eventually(t, done, why)
		for range 5 {
			produce()
		}
		sourcetest.Eventually(t, done, why)
		stopB()
		produce()
		sourcetest.Eventually(t, done, why)
		slices.Sort(want)
		if got := read(); !slices.Equal(got, want) {
			t.Errorf("read %d records, want %d, each once", len(got), len(want))
		}
	})
}

// When a partition is taken away, the handler that runs is waited for, and its
// offset committed, before the next owner begins.
func TestRevokeDuringHandler(t *testing.T) {
	everyCluster(t, func(t *testing.T, c *cluster) {
		topic, group := c.topic(2), name("group")
		config := Config{Topics: []string{topic}, Group: group}
		running, release := make(chan struct{}, 2), make(chan struct{})
		first, second := newInbox(t), newInbox(t)
		first.before = func(context.Context, received) error {
			running <- struct{}{}
			<-release
			return nil
		}
		c.produce(topic, 0, "0-a")
		c.produce(topic, 1, "1-a")
		start(t, c.source(config), first.handle)
		<-running
		<-running // of both partitions, one of which is going to move
		start(t, c.source(config), second.handle)
		sourcetest.Eventually(t, func() bool { return c.members(group) == 2 }, func() string { return "no second member" })
		c.produce(topic, 0, "0-b")
		c.produce(topic, 1, "1-b")
		select {
		case <-time.After(300 * time.Millisecond):
		case <-running:
			t.Error("a second handler of a partition whose first one runs")
		}
		if got := second.called(); len(got) > 0 {
			t.Errorf("the second member read %v while the first one's handlers ran", got)
		}
		close(release)
		sourcetest.Eventually(t, func() bool { return len(first.acked())+len(second.acked()) >= 4 }, func() string { return "not all was read" })
		got := slices.Sorted(slices.Values(append(first.acked(), second.acked()...)))
		if want := []string{"0-a", "0-b", "1-a", "1-b"}; !slices.Equal(got, want) {
			t.Errorf("read %q, want %q, each once", got, want)
		}
		if len(second.acked()) == 0 {
			t.Error("the second member read nothing")
		}
	})
}

// A handler that takes longer than the group waits is left behind. Its answer
// then does not count: the partition is another consumer's, which may be at
// another offset.
func TestNoCommitAfterRevoke(t *testing.T) {
	everyCluster(t, func(t *testing.T, c *cluster) {
		topic, group := c.topic(2), name("group")
		config := Config{Topics: []string{topic}, Group: group}
		first, second := newInbox(t), newInbox(t)
		running, release, stopped := make(chan struct{}, 4), make(chan struct{}), make(chan struct{}, 4)
		first.before = func(ctx context.Context, _ received) error {
			running <- struct{}{}
			select {
			case <-ctx.Done(): // it does not stop
				stopped <- struct{}{}
				<-release
			case <-release:
			}
			return nil
		}
		block := make(chan struct{})
		defer close(block)
		moved := make(chan received, 4)
		second.before = func(ctx context.Context, got received) error {
			moved <- got
			select {
			case <-block:
			case <-ctx.Done():
			}
			return errors.New("not yet")
		}
		c.produce(topic, 0, "a", "b")
		c.produce(topic, 1, "a", "b")
		a := c.source(config)
		a.patience = 50 * time.Millisecond
		start(t, a, first.handle)
		<-running
		<-running
		b := c.source(config)
		b.patience = 50 * time.Millisecond
		start(t, b, second.handle)
		<-stopped
		got := <-moved // the second member has what the first one is still at
		if !slices.Equal(got.values, []string{"a", "b"}) {
			t.Errorf("the second member read %q", got.values)
		}
		close(release) // the first one's handlers return nil
		var partition int32
		if strings.HasSuffix(got.uri, "/1") {
			partition = 1
		}
		other := 1 - partition
		// The partition that stayed shows that the first member has committed since.
		c.waitCommitted(group, topic, other, 2)
		if at := c.committed(group, topic, partition); at != 0 {
			t.Errorf("committed %d of a partition that was taken away, want 0", at)
		}
	})
}

func TestNullAndCompressed(t *testing.T) {
	everyCluster(t, func(t *testing.T, c *cluster) {
		topic, group, in := c.topic(1), name("group"), newInbox(t)
		gz := string([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0}) // not ours to open
		c.write(&kgo.Record{Topic: topic, Value: nil}, &kgo.Record{Topic: topic, Value: []byte(gz)}, &kgo.Record{Topic: topic, Value: []byte{}}, &kgo.Record{Topic: topic, Value: nil})
		for _, codec := range []kgo.CompressionCodec{kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
			p, err := kgo.NewClient(kgo.SeedBrokers(c.seeds...), kgo.ProducerBatchCompression(codec))
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), sourcetest.Patience)
			err = p.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte(strings.Repeat("x", 5000))}).FirstErr()
			cancel()
			p.Close()
			if err != nil {
				t.Fatal(err)
			}
		}
		start(t, c.source(Config{Topics: []string{topic}, Group: group}), in.handle)
		c.waitCommitted(group, topic, 0, 8)
		x := strings.Repeat("x", 5000)
		if got, want := in.wait(6), []string{gz, "", x, x, x, x}; !slices.Equal(got, want) {
			t.Errorf("read %q", got)
		}
	})
}

// The brokers write a record of their own where a transaction ends. It is read past: the
// partition is not behind, and when retention deletes it, nothing was lost.
func TestEndsOfTransactions(t *testing.T) {
	everyCluster(t, func(t *testing.T, c *cluster) {
		topic, group, in := c.topic(1), name("group"), newInbox(t)
		producer, err := kgo.NewClient(kgo.SeedBrokers(c.seeds...), kgo.TransactionalID(name("transaction")), kgo.DefaultProduceTopic(topic))
		if err != nil {
			t.Fatal(err)
		}
		defer producer.Close()
		ctx, cancel := context.WithTimeout(t.Context(), sourcetest.Patience)
		defer cancel()
		transact := func(value string, end kgo.TransactionEndTry) {
			t.Helper()
			if err := producer.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(producer.ProduceSync(ctx, kgo.StringRecord(value)).FirstErr(), producer.EndTransaction(ctx, end)); err != nil {
				t.Fatal(err)
			}
		}
		k := c.source(Config{Topics: []string{topic}, Group: group})
		start(t, k, in.handle)
		transact("a", kgo.TryCommit)
		transact("b", kgo.TryAbort) // nothing is passed over
		c.waitCommitted(group, topic, 0, 4)
		lag := k.metrics.lag.WithLabelValues(topic, "0")
		sourcetest.Eventually(t, func() bool { return testutil.ToFloat64(lag) == 0 }, func() string { return fmt.Sprintf("%v records behind", testutil.ToFloat64(lag)) })
		if _, err := c.admin.DeleteRecords(ctx, kadm.Offsets{topic: {0: {Topic: topic, At: 4}}}); err != nil {
			t.Fatal(err)
		}
		transact("c", kgo.TryCommit)
		if got := in.wait(3); !slices.Equal(got, []string{"a", "b", "c"}) {
			t.Errorf("read %q", got)
		}
		if n := testutil.ToFloat64(k.metrics.trimmed); n != 0 || k.trimmed.Err() != nil {
			t.Errorf("%v records lost: %v", n, k.trimmed.Err())
		}
	})
}

func TestTopicCreatedLater(t *testing.T) {
	everyCluster(t, func(t *testing.T, c *cluster) {
		topic, in := name("topic"), newInbox(t)
		k := c.source(Config{Topics: []string{topic}, Group: name("group")})
		start(t, k, in.handle)
		sourcetest.Eventually(t, func() bool { err := k.Ready(); return err != nil && strings.Contains(err.Error(), "create the topic") },
			func() string { return fmt.Sprintf("Ready: %v", k.Ready()) })
		if n := testutil.ToFloat64(k.metrics.fetchErrors.WithLabelValues("unknown_topic")); n < 1 {
			t.Errorf("%v unknown topics counted", n)
		}
		c.create(topic, 1)
		c.produce(topic, 0, "at last")
		in.wait(1)
		sourcetest.Eventually(t, func() bool { return k.Ready() == nil }, func() string { return fmt.Sprintf("Ready: %v", k.Ready()) })
	})
}

func TestPartsDoNotAllocate(t *testing.T) {
	var records []*kgo.Record
	for i := range 1000 {
		records = append(records, &kgo.Record{Offset: int64(i), Value: []byte("x")})
	}
	all, n := parts("kafka://t/0", records), 0
	allocs := testing.AllocsPerRun(10, func() {
		for part, err := range all {
			if err == nil {
				n += len(part.Bytes)
			}
		}
	})
	if allocs != 0 || n == 0 {
		t.Errorf("%v allocations over %d records", allocs, len(records))
	}
	for part := range parts("kafka://t/0", records) { // may be left early
		if got, want := part.Origin.String(), "kafka://t/0@0"; got != want {
			t.Errorf("origin %s, want %s", got, want)
		}
		break
	}
}

func TestConfig(t *testing.T) {
	for _, tt := range []struct {
		config Config
		want   string
	}{
		{Config{Topics: []string{"cloudtrail"}}, ""},
		{Config{Topics: []string{"a.b_c-1"}, Start: "2026-05-01T08:00:00.5+01:00"}, ""},
		{DefaultConfig(), "topics: missing; want at least one topic, such as cloudtrail"},
		{Config{Topics: []string{"ok", "a b"}}, `topics[1]: want a topic's name of letters, digits, '.', '_' and '-', 249 at most, got "a b"`},
		{Config{Topics: []string{".."}, Start: "yesterday"}, `topics[0]: want a topic's name of letters, digits, '.', '_' and '-', 249 at most, got ".."
start: want earliest, latest or a time such as 2026-05-01T08:00:00Z, got "yesterday"`},
	} {
		got := ""
		if err := tt.config.Validate(); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%+v: %s\nwant %s", tt.config, got, tt.want)
		}
	}
}

// A second member of the group reads records that this one never sees: a source
// that has to be alone is not ready. One that shares its journal is, and so is one
// whose former life has not left yet.
func TestAnotherMember(t *testing.T) {
	c := fakeCluster(t)
	topic := c.topic(2)
	group := name("group")
	start := func(alone bool, after time.Duration) *Source {
		k, err := New("trail", Config{Topics: []string{topic}, Group: group}, []kgo.Opt{kgo.SeedBrokers(c.seeds...)}, sources.Options{Alone: alone})
		if err != nil {
			t.Fatal(err)
		}
		k.watchEvery, k.othersAfter = 100*time.Millisecond, after
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- k.Run(ctx, func(context.Context, processor.Delivery) error { return nil }) }()
		t.Cleanup(func() {
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
		return k
	}
	sees := func(k *Source) bool {
		err := k.Ready()
		return err != nil && strings.Contains(err.Error(), "another member") && strings.Contains(err.Error(), "use journal.type kafka")
	}
	alone, shared, patient := start(true, 0), start(false, 0), start(true, time.Hour)
	state := func() string { return fmt.Sprint(alone.Ready(), shared.Ready(), patient.Ready()) }
	sourcetest.Eventually(t, func() bool { return sees(alone) }, state)
	sourcetest.Eventually(t, func() bool { return shared.Ready() == nil && patient.Ready() == nil }, state)
}
