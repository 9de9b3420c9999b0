package kafka

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"github.com/mfawatch/mfawatch/sources"
	"github.com/mfawatch/mfawatch/sources/sourcetest"
)

// Wrong answers of the brokers are got over: nothing is lost, and the offsets
// are committed in the end.
func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault func(c *cluster, topic, group string) (hit func(context.Context) error)
	}{
		{"fetch fails for a while", func(c *cluster, topic, _ string) func(context.Context) error {
			h := c.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: topic, Err: kerr.UnknownServerError, Count: 3})
			return func(ctx context.Context) error { return h.Wait(ctx, 3) }
		}},
		{"fetch says not leader", func(c *cluster, topic, _ string) func(context.Context) error {
			h := c.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: topic, Err: kerr.NotLeaderForPartition, Count: 3})
			return func(ctx context.Context) error { return h.Wait(ctx, 3) }
		}},
		{"commit finds the coordinator loading", func(c *cluster, _, group string) func(context.Context) error {
			h := c.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Group: group, Err: kerr.CoordinatorLoadInProgress, Count: 2})
			return func(ctx context.Context) error { return h.Wait(ctx, 2) }
		}},
		{"commit fails", func(c *cluster, _, group string) func(context.Context) error {
			h := c.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Group: group, Err: kerr.UnknownServerError, Count: 2})
			return func(ctx context.Context) error { return h.Wait(ctx, 2) }
		}},
		{"the coordinator moves", func(c *cluster, _, _ string) func(context.Context) error {
			c.fake.RehashCoordinators()
			return func(context.Context) error { return nil }
		}},
		{"leaders move", func(c *cluster, _, _ string) func(context.Context) error {
			c.fake.ShufflePartitionLeaders()
			return func(context.Context) error { return nil }
		}},
		{"a rebalance for nothing", func(c *cluster, _, group string) func(context.Context) error {
			h := c.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Group: group, TopLevel: true, Err: kerr.RebalanceInProgress})
			return func(ctx context.Context) error { return h.Wait(ctx, 1) }
		}},
		{"thrown out of the group", func(c *cluster, _, group string) func(context.Context) error {
			h := c.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Group: group, TopLevel: true, Err: kerr.UnknownMemberID})
			return func(ctx context.Context) error { return h.Wait(ctx, 1) }
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := fakeCluster(t)
			topic, group, in := c.topic(2), name("group"), newInbox(t)
			start(t, c.source(Config{Topics: []string{topic}, Group: group}), in.handle)
			c.produce(topic, 0, "0-a")
			in.wait(1)
			hit := tt.fault(c, topic, group)
			c.produce(topic, 0, "0-b")
			c.produce(topic, 1, "1-a")
			ctx, cancel := context.WithTimeout(context.Background(), sourcetest.Patience)
			defer cancel()
			if err := hit(ctx); err != nil {
				t.Fatal("the fault was not met")
			}
			c.produce(topic, 0, "0-c")
			want := []string{"0-a", "0-b", "0-c", "1-a"}
			read := func() []string { return slices.Compact(slices.Sorted(slices.Values(in.acked()))) }
			sourcetest.Eventually(t, func() bool { return slices.Equal(read(), want) }, func() string { return fmt.Sprintf("read %q, want %q", read(), want) })
			c.waitCommitted(group, topic, 0, 3)
			c.waitCommitted(group, topic, 1, 1)
		})
	}
}

// A lost partition is another consumer's already: work of its handler meanwhile
// is not committed, and its context ends.
func TestNoCommitAfterLost(t *testing.T) {
	c := fakeCluster(t)
	topic, group, in := c.topic(1), name("group"), newInbox(t)
	running, release, stopped := make(chan struct{}, 9), make(chan struct{}), make(chan struct{}, 9)
	var calls atomic.Int32
	in.before = func(ctx context.Context, _ received) error {
		running <- struct{}{}
		if calls.Add(1) > 1 {
			<-release
			return nil
		}
		<-ctx.Done()
		stopped <- struct{}{}
		return nil // says that it is done, too late
	}
	c.produce(topic, 0, "a")
	k := c.source(Config{Topics: []string{topic}, Group: group})
	k.patience = 2 * sourcetest.Patience // is not for what is lost
	start(t, k, in.handle)
	<-running
	c.waitCommitted(group, topic, 0, 0)
	c.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Group: group, TopLevel: true, Err: kerr.UnknownMemberID})
	select {
	case <-stopped:
	case <-time.After(sourcetest.Patience):
		t.Fatal("the handler is not notified to stop")
	}
	<-running // the same delivery again, as nothing was committed
	if got := c.committed(group, topic, 0); got != 0 {
		t.Errorf("committed %d after the partition was lost, want 0", got)
	}
	close(release)
	c.waitCommitted(group, topic, 0, 1)
	if calls := in.called(); len(calls) != 2 || !slices.Equal(calls[0].offsets, calls[1].offsets) {
		t.Errorf("deliveries: %v", calls)
	}
}

// Offsets that could not be committed before a partition was taken away are not
// committed later, when it is another consumer's.
func TestNoCommitAfterRevokeThatFailed(t *testing.T) {
	c := fakeCluster(t)
	topic, group := c.topic(2), name("group")
	config := Config{Topics: []string{topic}, Group: group}
	first, second := newInbox(t), newInbox(t)
	running, release := make(chan struct{}, 9), make(chan struct{})
	first.before = func(context.Context, received) error {
		running <- struct{}{}
		<-release
		return nil
	}
	moved := make(chan received, 99)
	second.before = func(_ context.Context, got received) error {
		moved <- got
		return errors.New("not yet")
	}
	c.produce(topic, 0, "a")
	c.produce(topic, 1, "a")
	k := c.source(config)
	k.commitEvery = time.Second // so that the one that fails is that of the revoke
	start(t, k, first.handle)
	<-running
	<-running
	c.waitCommitted(group, topic, 0, 0)
	c.waitCommitted(group, topic, 1, 0)
	fault := c.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Group: group, Err: kerr.UnknownServerError})
	start(t, c.source(config), second.handle)
	sourcetest.Eventually(t, func() bool { return c.members(group) == 2 }, func() string { return "no second member" })
	close(release)
	got := <-moved
	if fault.Hits() != 1 {
		t.Fatal("the commit of the revoke did not fail")
	}
	partition := int32(0)
	if strings.HasSuffix(got.uri, "/1") {
		partition = 1
	}
	c.waitCommitted(group, topic, 1-partition, 1) // the first member commits again
	if at := c.committed(group, topic, partition); at != 0 {
		t.Errorf("committed %d of a partition that was taken away, want 0", at)
	}
}

// The log names the refusal of the cluster, with the mend; Ready fails, and it
// goes on once it is allowed.
func TestRefusals(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fault  func(topic, group string) kfake.Fault
		reason string
		want   string
	}{
		{"topic", func(topic, _ string) kfake.Fault {
			return kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: topic, Err: kerr.TopicAuthorizationFailed, Count: -1}
		}, "authorization", "allow the user to READ and DESCRIBE the topic"},
		{"topic's end", func(topic, _ string) kfake.Fault {
			return kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Topic: topic, Err: kerr.TopicAuthorizationFailed, Count: -1}
		}, "authorization", "allow the user to READ and DESCRIBE the topic"},
		{"group", func(_, group string) kfake.Fault {
			return kfake.Fault{Keys: []kmsg.Key{kmsg.JoinGroup}, Group: group, TopLevel: true, Err: kerr.GroupAuthorizationFailed, Count: -1}
		}, "authorization", "allow the user to READ the group"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := fakeCluster(t)
			topic, group, in := c.topic(1), name("group"), newInbox(t)
			c.produce(topic, 0, "a")
			fault := c.fake.Fault(tt.fault(topic, group))
			k := c.source(Config{Topics: []string{topic}, Group: group})
			start(t, k, in.handle)
			sourcetest.Eventually(t, func() bool { err := k.Ready(); return err != nil && strings.Contains(err.Error(), tt.want) },
				func() string { return fmt.Sprintf("Ready: %v", k.Ready()) })
			if n := testutil.ToFloat64(k.metrics.fetchErrors.WithLabelValues(tt.reason)); n < 1 {
				t.Errorf("%v of reason %s counted", n, tt.reason)
			}
			fault.Remove()
			in.wait(1)
			c.waitCommitted(group, topic, 0, 1)
		})
	}
}

func TestUnreachable(t *testing.T) {
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := nobody.Addr().String()
	nobody.Close()
	k, err := New("in", Config{Topics: []string{"t"}}, []kgo.Opt{kgo.SeedBrokers(address)}, sources.Options{Logger: sourcetest.Log(t)})
	if err != nil {
		t.Fatal(err)
	}
	k.watchEvery = time.Second
	stop := start(t, k, newInbox(t).handle)
	sourcetest.Eventually(t, func() bool {
		err := k.Ready()
		return err != nil && strings.Contains(err.Error(), "check brokers, tls and the network")
	},
		func() string { return fmt.Sprintf("Ready: %v", k.Ready()) })
	began := time.Now()
	stop()
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("took %v to stop", d)
	}
}

// A refusal of a broker differs from a broker that is not there.
func TestNotLetIn(t *testing.T) {
	someServer := httptest.NewTLSServer(nil)
	defer someServer.Close()
	login := kgo.SASL(plain.Auth{User: "watcher", Pass: "correct-horse"}.AsMechanism())
	for _, tt := range []struct {
		name, reason, want string
		cluster            []kfake.Opt
		opts               []kgo.Opt
		code               int16
	}{
		{"hangs up on a wrong password", "connection", "check tls and sasl", []kfake.Opt{kfake.EnableSASL()}, []kgo.Opt{login}, 0},
		{"refuses a wrong password", "authentication", "check sasl: mechanism, username and secret", []kfake.Opt{kfake.EnableSASL(), kfake.Superuser("PLAIN", "admin", "admin")}, []kgo.Opt{login}, kerr.SaslAuthenticationFailed.Code},
		{"is not whom we trust", "tls", "check tls: ca_file", []kfake.Opt{kfake.TLS(&tls.Config{Certificates: someServer.TLS.Certificates})}, []kgo.Opt{kgo.DialTLS()}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			locked, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, tt.cluster...)...)
			if err != nil {
				t.Fatal(err)
			}
			defer locked.Close()
			if tt.code != 0 {
				locked.ControlKey(int16(kmsg.SASLAuthenticate), func(r kmsg.Request) (kmsg.Response, error, bool) {
					locked.KeepControl()
					resp := r.ResponseKind().(*kmsg.SASLAuthenticateResponse)
					resp.ErrorCode = tt.code
					return resp, nil, true
				})
			}
			reg := prometheus.NewPedanticRegistry()
			k, err := New("in", Config{Topics: []string{"t"}}, append(tt.opts, kgo.SeedBrokers(locked.ListenAddrs()...)), sources.Options{Logger: sourcetest.Log(t), Registerer: reg})
			if err != nil {
				t.Fatal(err)
			}
			k.watchEvery = time.Second
			stop := start(t, k, newInbox(t).handle)
			defer stop()
			sourcetest.Eventually(t, func() bool { err := k.Ready(); return err != nil && strings.Contains(err.Error(), tt.want) },
				func() string { return fmt.Sprintf("Ready: %v", k.Ready()) })
			if strings.Contains(k.Ready().Error(), "correct-horse") {
				t.Errorf("the secret is shown: %v", k.Ready())
			}
			if n := testutil.ToFloat64(k.metrics.fetchErrors.WithLabelValues(tt.reason)); n < 1 {
				t.Errorf("%v of reason %s counted", n, tt.reason)
			}
		})
	}
}

// A partition whose end is unknown may be behind: the source has not caught up.
func TestNotCaughtUpWithoutAnEnd(t *testing.T) {
	c := fakeCluster(t)
	topic, group, in := c.topic(2), name("group"), newInbox(t)
	in.before = func(_ context.Context, got received) error {
		if strings.HasSuffix(got.uri, "/1") {
			return errors.New("not now")
		}
		return nil
	}
	var log strings.Builder
	k := c.sourceWith(Config{Topics: []string{topic}, Group: group}, sources.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	c.produce(topic, 0, "a")
	c.produce(topic, 1, "b")
	stop := start(t, k, in.handle)
	lag := k.metrics.lag.WithLabelValues(topic, "1")
	sourcetest.Eventually(t, func() bool { return testutil.ToFloat64(lag) == 1 }, func() string { return "the partition is not behind" })
	c.waitCommitted(group, topic, 0, 1)
	fault := c.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Topic: topic, Partitions: []int32{1}, Err: kerr.OffsetNotAvailable, Count: -1})
	if err := fault.Wait(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	stop()
	if text := log.String(); strings.Contains(text, "caught up") {
		t.Error(text)
	}
}

// A batch that inflates to more than memory allows is left behind, counted, and
// its neighbours are read.
func TestBatchTooLarge(t *testing.T) {
	c := fakeCluster(t)
	topic, group, in := c.topic(2), name("group"), newInbox(t)
	c.produce(topic, 0, "before")
	p, err := kgo.NewClient(kgo.SeedBrokers(c.seeds...), kgo.ProducerBatchCompression(kgo.GzipCompression()), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchMaxBytes(100<<20), kgo.BrokerMaxWriteBytes(100<<20))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for partition := range int32(2) {
		if err := p.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Partition: partition, Value: make([]byte, inflatedBatchBytes+1)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	c.produce(topic, 0, "after")
	c.produce(topic, 1, "after the first")
	k := c.source(Config{Topics: []string{topic}, Group: group})
	var given quarantine
	start(t, k, given.before(in.handle))
	if got, want := slices.Sorted(slices.Values(in.wait(3))), []string{"after", "after the first", "before"}; !slices.Equal(got, want) {
		t.Errorf("read %q, want %q", got, want)
	}
	sourcetest.Eventually(t, func() bool { return len(given.all()) > 1 }, func() string { return "nothing was quarantined" })
	if got, want := slices.Sorted(slices.Values(given.all()))[:1], []string{uri(topic, 0) + "@1: too_large: the batch of offsets 1 to 1 is corrupt or inflates to more than 8 MiB; read it with a Kafka client"}; !slices.Equal(got, want) {
		t.Errorf("quarantined %q, want %q", got, want)
	}
	c.waitCommitted(group, topic, 0, 3)
	c.waitCommitted(group, topic, 1, 2)
	if n := len(given.all()); n != 2 {
		t.Errorf("%v batches quarantined, want 2: %q", n, given.all())
	}
	if n := testutil.ToFloat64(k.metrics.fetchErrors.WithLabelValues("too_large")); n < 2 {
		t.Errorf("%v batches counted as too large, want 2", n)
	}
}

// While deliveries fail, what is held does not grow, the other partitions go
// on, and everything is read when they succeed.
func TestMemoryIsBounded(t *testing.T) {
	for _, tt := range []struct {
		name            string
		sick, each      int  // partitions, and records in each of 900 kB
		neighbourGoesOn bool // as long as what is parked leaves room
	}{
		{"a few partitions with much to read", 8, 8, true},
		{"many partitions", 40, 2, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := fakeCluster(t)
			topic, group, in := c.topic(int32(tt.sick)+1), name("group"), newInbox(t)
			well := uri(topic, int32(tt.sick))
			var healed atomic.Bool
			in.before = func(_ context.Context, got received) error {
				if got.uri != well && !healed.Load() {
					return errors.New("disk full")
				}
				return nil
			}
			value := make([]byte, 900_000) // that no compression makes smaller
			_, _ = rand.Read(value)
			for i := range tt.sick * tt.each {
				c.produce(topic, int32(i%tt.sick), string(value))
			}
			k := c.source(Config{Topics: []string{topic}, Group: group})
			start(t, k, in.handle)
			held := func() float64 { return testutil.ToFloat64(k.metrics.held) }
			highest := 0.0
			places := func() int {
				all := make(map[string]bool)
				for _, call := range in.called() {
					all[call.uri] = true
				}
				return len(all)
			}
			sourcetest.Eventually(t, func() bool {
				highest = max(highest, held())
				return len(in.called()) > 300 && (places() >= tt.sick || highest > parkedBytes)
			}, func() string { return fmt.Sprintf("%d partitions offered again and again", places()) })
			// One poll's records may come on top, and no fetch is smaller than a record.
			if most := float64(parkedBytes + heldBytes + concurrentFetches*(fetchBytes+len(value))); highest > most {
				t.Errorf("held %v bytes, more than %v", highest, most)
			}
			if tt.neighbourGoesOn {
				for i := range 10 {
					c.produce(topic, int32(tt.sick), "well")
					in.wait(i + 1)
				}
			}
			healed.Store(true)
			in.wait(tt.sick * tt.each)
			for p := range int32(tt.sick) {
				c.waitCommitted(group, topic, p, int64(tt.each))
			}
			sourcetest.Eventually(t, func() bool { return held() == 0 }, func() string { return fmt.Sprint(held(), " bytes held at the end") })
		})
	}
}
