package shard

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/processor/journal/store"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
	"github.com/mfawatch/mfawatch/sources/sourcetest"
)

// The next owner restores what the former committed, with its cache, without it,
// and with one that is older; and the former commits no more.
func TestNextOwner(t *testing.T) {
	for name, c := range map[string]func(t *testing.T) Config{
		"fake": func(t *testing.T) Config { _, c := fake(t); return c },
		"real": func(t *testing.T) Config { return realCluster(t) },
	} {
		t.Run(name, func(t *testing.T) {
			c := c(t)
			top := prepared(t, c)
			dir := t.TempDir()
			former := own(t, c, top, 1)
			j := openJournal(t, filepath.Join(dir, "a"), former)
			if err := j.Register("s"); err != nil {
				t.Fatal(err)
			}
			for i := range 20 {
				if _, err := j.Append(t.Context(), events("1", 10*(i+1))); err != nil {
					t.Fatal(err)
				}
				fold(t, j)
			}
			want := alerts(t, j)
			if len(want) != 200 {
				t.Fatalf("%d alerts", len(want))
			}
			for i, path := range []string{"b", "b", "a"} {
				if i == 2 { // it is open in the former owner
					if err := j.Close(); err != nil {
						t.Fatal(err)
					}
				}
				next := own(t, c, top, 1)
				k := openJournal(t, filepath.Join(dir, path), next)
				if got := alerts(t, k); !slices.Equal(got, want) {
					t.Errorf("%s: %d alerts, want %d", path, len(got), len(want))
				}
				if i == 0 {
					if _, err := j.Append(t.Context(), events("1", 500)); !errors.Is(err, store.ErrLost) || !fenced(err) {
						t.Errorf("a former owner: %v", err)
					}
				}
				if _, err := k.Append(t.Context(), events("2", i+1)); err != nil {
					t.Fatal(err)
				}
				if err := k.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// A transaction that a dead owner left open is aborted immediately, and hides
// nothing that was committed before it.
func TestOpenTransactionIsAborted(t *testing.T) {
	c := realCluster(t)
	top := prepared(t, c)
	dead := own(t, c, top, 0)
	j := openJournal(t, filepath.Join(t.TempDir(), "a"), dead)
	if _, err := j.Append(t.Context(), events("1", 3)); err != nil {
		t.Fatal(err)
	}
	if err := dead.client.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	dead.client.Produce(t.Context(), dead.record([]byte("left open"), []byte("x")), func(_ *kgo.Record, err error) {
		if err != nil {
			t.Error(err)
		}
	})
	if err := dead.client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	k := openJournal(t, filepath.Join(t.TempDir(), "b"), own(t, c, top, 0))
	if took := time.Since(started); took > 4*time.Second {
		t.Errorf("the next owner waited %s", took)
	}
	if n, err := k.Append(t.Context(), events("1", 4)); n != 1 || err != nil {
		t.Errorf("%d events are new, %v, want 1", n, err)
	}
	if err := dead.client.EndTransaction(t.Context(), kgo.TryCommit); err == nil {
		t.Error("the dead owner committed")
	}
}

// A cutter makes connections that lose the answer to the end of a transaction,
// once it is armed.
type cutter struct{ armed, cut atomic.Bool }

func (c *cutter) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	return &cutConn{conn, c}, err
}

type cutConn struct {
	net.Conn
	c *cutter
}

func (c *cutConn) Write(b []byte) (int, error) {
	if c.c.armed.Load() && len(b) > 6 && binary.BigEndian.Uint16(b[4:]) == uint16(kmsg.EndTxn) {
		c.c.cut.Store(true)
	}
	return c.Conn.Write(b)
}

func (c *cutConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.c.cut.CompareAndSwap(true, false) {
		return 0, errors.Join(io.ErrUnexpectedEOF, c.Close())
	}
	return n, err
}

// A commit whose answer is lost loses the journal, which is restored with the
// commit, or without it.
func TestUnknownCommit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		fault kfake.Fault
		kept  bool
		lost  bool
	}{
		{"answer lost", kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Observe: true, Count: -1}, true, true},
		{"end refused", kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.UnknownServerError}, false, true},
		{"invalid state", kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.InvalidTxnState}, false, true},
		{"fenced at the end", kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.ProducerFenced}, false, true},
		{"fenced at a write", kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.InvalidProducerEpoch}, false, true},
		{"not allowed", kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.TopicAuthorizationFailed}, false, false},
		{"too large", kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.MessageTooLarge}, false, false},
		{"busy", kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.ConcurrentTransactions}, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f, config := fake(t)
			top := prepared(t, config)
			var cut cutter
			l := own(t, config, top, 2, kgo.Dialer(cut.dial))
			path := filepath.Join(t.TempDir(), "a")
			j := openJournal(t, path, l)
			if _, err := j.Append(t.Context(), events("1", 2)); err != nil {
				t.Fatal(err)
			}
			cut.armed.Store(c.fault.Observe)
			h := f.Fault(c.fault)
			_, err := j.Append(t.Context(), events("1", 3))
			h.Remove()
			if h.Hits() == 0 {
				t.Fatal("the fault was not met")
			}
			if failed := c.lost || !c.kept; failed != (err != nil) || c.lost != errors.Is(err, store.ErrLost) || err != nil && c.lost == errors.Is(err, store.ErrRefused) {
				t.Fatalf("got %v", err)
			}
			if errors.Is(err, store.ErrRejected) != errors.Is(err, kerr.MessageTooLarge) {
				t.Errorf("is it the contents: %v", err)
			}
			if c.lost {
				j.Close()
				l.close()
				j = openJournal(t, path, own(t, config, top, 2))
			}
			want := 1
			if c.kept {
				want = 0
			}
			if n, err := j.Append(t.Context(), events("1", 3)); n != want || err != nil {
				t.Errorf("%d events are new, %v, want %d", n, err, want)
			}
		})
	}
}

// A transaction ends only once the client knows its partitions: before that, the
// client would abort it, and call it committed.
func TestPartitionsAreKnown(t *testing.T) {
	_, c := fake(t)
	l := own(t, c, prepared(t, c), 1)
	done, cancel := context.WithCancel(t.Context())
	cancel()
	unused := &kgo.Record{Topic: c.events(), Partition: 1}
	if err := l.known(done, []*kgo.Record{unused}); !errors.Is(err, context.Canceled) {
		t.Errorf("a topic without a record yet: %v", err)
	}
	if err := l.known(done, []*kgo.Record{l.record(nil, nil)}); err != nil {
		t.Errorf("the topic of the owner record: %v", err)
	}
	if _, err := l.Commit(store.Batch{Events: events("1", 9)}); err != nil {
		t.Fatal(err)
	}
	if err := l.known(done, []*kgo.Record{unused}); err != nil {
		t.Errorf("a topic with records: %v", err)
	}
}

// A part of a transaction that the brokers aborted in its middle is not committed
// without the rest. The client takes a new epoch by itself if a broker does not know
// it any more, and has deleted all that it wrote before.
func TestPartOfTransactionAborted(t *testing.T) {
	f, c := fake(t, kfake.NumBrokers(2))
	top := prepared(t, c)
	e := event("1", 1)
	other := partitionOf(journal.Lane(e), 4)
	if err := errors.Join(f.MoveTopicPartition(c.journal(), 1, 0), f.MoveTopicPartition(c.events(), other, 1)); err != nil {
		t.Fatal(err)
	}
	acked := make(chan struct{})
	var second, answered atomic.Bool
	l := own(t, c, top, 1, kgo.WithHooks(unbuffered(func(r *kgo.Record) {
		if r.Topic == c.journal() && second.Load() {
			close(acked)
		}
	})))
	commit := func(key string) error {
		_, err := l.Commit(store.Batch{Writes: []store.Write{{Key: []byte(key), Value: []byte("x")}}, Events: []*trail.Event{e}})
		return err
	}
	if err := commit("first"); err != nil {
		t.Fatal(err)
	}
	f.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		req := r.(*kmsg.ProduceRequest)
		f.KeepControl()
		topic := req.Topics[0]
		if topic.Topic == c.journal() || topic.TopicID == top.journal || answered.Swap(true) {
			return nil, nil, false
		}
		f.SleepControl(func() { <-acked })
		resp := req.ResponseKind().(*kmsg.ProduceResponse)
		answer := kmsg.NewProduceResponseTopicPartition()
		answer.Partition, answer.ErrorCode, answer.LogStartOffset = other, kerr.UnknownProducerID.Code, 1000
		resp.Topics = []kmsg.ProduceResponseTopic{{Topic: topic.Topic, TopicID: topic.TopicID, Partitions: []kmsg.ProduceResponseTopicPartition{answer}}}
		return resp, nil, true
	})
	second.Store(true)
	if err := commit("second"); !errors.Is(err, errRenewed) {
		t.Errorf("a transaction without its first part: %v", err)
	}
	next := own(t, c, top, 1)
	err := next.Restore(nil, func(writes []store.Write, _ []byte) error {
		if n := len(writes); n != 1 || string(writes[0].Key) != "first" {
			t.Errorf("%q", writes)
		}
		return nil
	})
	if got := everything(t, c, c.events()); len(got) != 1 || err != nil {
		t.Errorf("%d events, %v, want that of the first transaction", len(got), err)
	}
}

// unbuffered is called with each record that the client is done with.
type unbuffered func(r *kgo.Record)

// OnProduceRecordUnbuffered implements [kgo.HookProduceRecordUnbuffered].
func (f unbuffered) OnProduceRecordUnbuffered(r *kgo.Record, _ error) { f(r) }

// A cache that is ahead of its topic is discarded; a topic that was made again is
// refused.
func TestTopicIsNotTheOne(t *testing.T) {
	_, c := fake(t)
	top := prepared(t, c)
	l := own(t, c, top, 0)
	nothing := func([]store.Write, []byte) error { t.Error("restored"); return nil }
	if err := l.Restore(position(top.journal, 1000, -1), nothing); !errors.Is(err, store.ErrPosition) {
		t.Errorf("ahead: %v", err)
	}
	if err := l.Restore([]byte("x"), nothing); !errors.Is(err, store.ErrPosition) {
		t.Errorf("no position: %v", err)
	}
	path := filepath.Join(t.TempDir(), "a")
	j := openJournal(t, path, l)
	if _, err := j.Append(t.Context(), events("1", 3)); err != nil {
		t.Fatal(err)
	}
	j.Close()
	if _, err := admin(t, c).DeleteTopics(t.Context(), c.events(), c.journal()); err != nil {
		t.Fatal(err)
	}
	o := options()
	o.ChangeLog = own(t, c, prepared(t, c), 0)
	if _, err := journal.Open(path, o); !errors.Is(err, ErrRefused) {
		t.Errorf("made again: %v", err)
	}
}

// A shard that was silent longer than its lease proves that it is the owner before
// it sends.
func TestLease(t *testing.T) {
	f, c := fake(t)
	top := prepared(t, c)
	l := own(t, c, top, 0)
	ends := f.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Observe: true, Count: -1})
	if err := l.lease(time.Minute); err != nil || ends.Hits() != 0 {
		t.Errorf("fresh: %v, %d transactions", err, ends.Hits())
	}
	l.running.Lock() // a transaction that takes long holds up no send
	if err := l.lease(time.Minute); err != nil {
		t.Errorf("while a transaction runs: %v", err)
	}
	l.running.Unlock()
	if err := l.lease(0); err != nil || ends.Hits() != 1 {
		t.Errorf("old: %v, %d transactions", err, ends.Hits())
	}
	own(t, c, top, 0)
	if err := l.lease(time.Minute); err != nil {
		t.Errorf("within its lease: %v", err)
	}
	if err := l.lease(0); !fenced(err) {
		t.Errorf("another owner: %v", err)
	}
	select {
	case <-l.alive.Done():
	default:
		t.Error("the shard is not woken")
	}
}

// Alerts of a Kafka sink are in the transaction that acks them: readers of
// committed records see each once. A topic of alerts that refuses fails them alone.
func TestMessages(t *testing.T) {
	f, c := fake(t)
	top := prepared(t, c)
	if _, err := admin(t, c).CreateTopic(t.Context(), 3, 1, nil, "alerts"); err != nil {
		t.Fatal(err)
	}
	l := own(t, c, top, 0)
	path := filepath.Join(t.TempDir(), "a")
	j := openJournal(t, path, l)
	if err := j.Register("k"); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(t.Context(), events("1", 3)); err != nil {
		t.Fatal(err)
	}
	fold(t, j)
	done := func(n uint64) error {
		return j.Done("k", outbox.Result{Number: n, Message: &kgo.Record{Topic: "alerts", Key: []byte("k"), Value: fmt.Append(nil, n)}})
	}
	f.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.UnknownServerError})
	if err := done(1); !errors.Is(err, store.ErrLost) {
		t.Fatalf("got %v", err)
	}
	j.Close()
	l.close()
	l = own(t, c, top, 0)
	j = openJournal(t, path, l)
	if err := j.Register("k"); err != nil {
		t.Fatal(err)
	}
	batch := store.Batch{Writes: []store.Write{{Key: []byte("w")}}, Messages: []any{&kgo.Record{Topic: "alerts", Key: []byte("k")}}}
	for n := range uint64(3) {
		if err := done(n + 1); err != nil {
			t.Fatal(err)
		}
	}
	for topic, want := range map[string]bool{"alerts": true, c.journal(): false} {
		h := f.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Err: kerr.TopicAuthorizationFailed, Count: -1})
		if _, err := l.Commit(batch); errors.Is(err, store.ErrContents) != want || !errors.Is(err, store.ErrRefused) || errors.Is(err, store.ErrRejected) {
			t.Errorf("topic %s refuses: %v", topic, err)
		}
		h.Remove()
	}
	if got := committed(t, c, "alerts", 3); !slices.Equal(got, []string{"1", "2", "3"}) {
		t.Errorf("alerts %q", got)
	}
}

// committed returns the first n committed values of a topic.
func committed(t testing.TB, c Config, topic string, n int) (values []string) {
	t.Helper()
	reader := client(t, c, kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	ctx, cancel := context.WithTimeout(t.Context(), sourcetest.Patience)
	defer cancel()
	for len(values) < n && ctx.Err() == nil {
		reader.PollFetches(ctx).EachRecord(func(r *kgo.Record) { values = append(values, string(r.Value)) })
	}
	return values
}

// A shard of 10,000 exposures is restored from nothing in ten seconds, and from its
// cache in one.
func TestRestoreTime(t *testing.T) {
	if testing.Short() {
		t.Skip("restores 10,000 exposures: not with -short")
	}
	trailtest.Long(t, 20)
	_, c := fake(t)
	if os.Getenv("MFAWATCH_TEST_KAFKA") != "" {
		c = realCluster(t)
	}
	top := prepared(t, c)
	dir := t.TempDir()
	l := own(t, c, top, 0)
	j := openJournal(t, filepath.Join(dir, "a"), l)
	for account := range 20 {
		if _, err := j.Append(t.Context(), events(fmt.Sprint(account), 500)); err != nil {
			t.Fatal(err)
		}
		fold(t, j)
	}
	want, end := len(alerts(t, j)), l.next.Load()-1
	j.Close()
	l.close()
	testRestoreMemory(t, c, top, end, 256)
	written, kept := journalBytes(t, c, end)
	t.Logf("%d bytes of each event in the journal topic, %d after compaction", written/want, kept/want)
	if limit := 2000; kept/want > limit {
		t.Errorf("%d bytes of each event are left after compaction, want %d", kept/want, limit)
	}
	for _, r := range []struct {
		path  string
		limit time.Duration
	}{{"b", 10 * time.Second}, {"a", time.Second}} {
		started := time.Now()
		l := own(t, c, top, 0)
		j := openJournal(t, filepath.Join(dir, r.path), l)
		took := time.Since(started)
		if n := len(alerts(t, j)); n != want || n != 10_000 {
			t.Errorf("%d alerts, want %d", n, want)
		}
		t.Logf("%s: restored in %s", r.path, took.Round(time.Millisecond))
		if took > 5*r.limit { // other programs use the machine, too
			t.Errorf("restored in %s, want %s", took, r.limit)
		}
		j.Close()
		l.close()
	}
}

// testRestoreMemory restores a shard as often as a replica restores shards at one
// time. Their memory is at most limit, in MiB.
func testRestoreMemory(t *testing.T, c Config, top topicIDs, own int64, limit uint64) {
	t.Helper()
	defer debug.SetGCPercent(debug.SetGCPercent(10)) // little more than what is in use
	runtime.GC()
	runtime.GC() // a pool keeps what it holds for one
	used := func() uint64 {
		sample := []runtimemetrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		runtimemetrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	before, most := used(), uint64(0)
	dir := t.TempDir()
	ended := make(chan error, concurrentOpens)
	for n := range concurrentOpens {
		go func() {
			cl := command(t, c, filepath.Join(dir, strconv.Itoa(n)))
			s, err := cl.read(t.Context(), top, 0, own+1)
			if err == nil {
				err = s.Journal.Close()
			}
			ended <- err
		}()
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for left := concurrentOpens; left > 0; {
		select {
		case err := <-ended:
			if left--; err != nil {
				t.Error(err)
			}
		case <-tick.C:
			most = max(most, used())
		}
	}
	mib := (max(most, before) - before) >> 20
	t.Logf("%d at one time: %d MiB", concurrentOpens, mib)
	if mib > limit {
		t.Errorf("%d MiB, want %d", mib, limit)
	}
}

// journalBytes returns the bytes of the records in partition 0 of the journal topic up
// to an offset, and of those that compaction leaves.
func journalBytes(t *testing.T, c Config, end int64) (written, kept int) {
	t.Helper()
	reader := client(t, c, kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{c.journal(): {0: kgo.NewOffset().AtStart()}}))
	last := map[string]int{}
	for next := int64(0); next <= end; {
		fetches := reader.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			next = r.Offset + 1
			written += len(r.Key) + len(r.Value)
			if last[string(r.Key)] = len(r.Key) + len(r.Value); r.Value == nil {
				delete(last, string(r.Key))
			}
		})
	}
	for _, n := range last {
		kept += n
	}
	return written, kept
}

// Records of the greatest size are committed, also many in one transaction, and
// restored in bounded memory.
func TestLargeRecords(t *testing.T) {
	if testing.Short() {
		t.Skip("commits 60 MiB: not with -short")
	}
	trailtest.Long(t, 12)
	for name, c := range map[string]func(t *testing.T) Config{
		"fake": fakeProcess,
		"real": func(t *testing.T) Config { return realCluster(t) },
	} {
		t.Run(name, func(t *testing.T) {
			c := c(t)
			top := prepared(t, c)
			l := own(t, c, top, 0)
			j := openJournal(t, filepath.Join(t.TempDir(), "a"), l)
			random, noise := rand.NewChaCha8([32]byte{}), make([]byte, (maxBatchBytes-1<<20)*3/4)
			for i := range 2 {
				large := events(fmt.Sprint(i), 2)
				for _, e := range large {
					random.Read(noise)
					e.Raw = fmt.Appendf(nil, "%q", base64.StdEncoding.EncodeToString(noise)) // hardly made smaller by compression
				}
				if _, err := j.Append(t.Context(), large); err != nil {
					t.Fatal(err)
				}
			}
			end := l.next.Load() - 1
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			l.close()
			testRestoreMemory(t, c, top, end, 256)
		})
	}
}
