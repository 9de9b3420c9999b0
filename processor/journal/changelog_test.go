package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/processor/journal/store"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
)

// A memoryLog is a ChangeLog whose position is the number of batches.
type memoryLog struct {
	batches []store.Batch
	first   int    // the log has positions from here on
	fault   string // of commits: "", "lost" or "kept"
}

func (l *memoryLog) Commit(b store.Batch) ([]byte, error) {
	if l.fault != "lost" {
		l.batches = append(l.batches, b)
	}
	switch l.fault {
	case "":
	case "refused":
		l.batches = l.batches[:len(l.batches)-1]
		return nil, store.ErrRefused
	default:
		return nil, errInjected
	}
	return store.NumberKey(uint64(len(l.batches))), nil
}

func (l *memoryLog) Restore(position []byte, apply func([]store.Write, []byte) error) error {
	at := 0
	if position != nil {
		at = int(binary.BigEndian.Uint64(position))
		if at < l.first || at > len(l.batches) {
			return store.ErrPosition
		}
	}
	for i := at; i < len(l.batches); i++ {
		if err := apply(l.batches[i].Writes, store.NumberKey(uint64(i+1))); err != nil {
			return err
		}
	}
	return nil
}

// compacted returns the log with the last write of each key alone, and without
// deletions, as Kafka's compaction leaves it.
func (l *memoryLog) compacted() *memoryLog {
	last := map[string]int{}
	for i, b := range l.batches {
		for _, w := range b.Writes {
			last[string(w.Key)] = i
		}
	}
	c := &memoryLog{first: len(l.batches)}
	for i, b := range l.batches {
		var left store.Batch
		for _, w := range b.Writes {
			if last[string(w.Key)] == i && w.Value != nil {
				left.Writes = append(left.Writes, w)
			}
		}
		c.batches = append(c.batches, left)
	}
	return c
}

func openShared(t testing.TB, path string, l store.ChangeLog) *Journal {
	t.Helper()
	o := options()
	o.ChangeLog = l
	j, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

// dump returns all entries of the journal, one a line.
func dump(t testing.TB, db *bolt.DB) string {
	t.Helper()
	var text strings.Builder
	err := db.View(func(tx *bolt.Tx) error {
		for w := range store.Entries(tx) {
			text.Write(strconv.AppendQuote(nil, string(w.Key)))
			text.WriteByte('=')
			text.Write(strconv.AppendQuote(nil, string(w.Value)))
			text.WriteByte('\n')
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// A journal that is restored from its change log equals the original, for every
// prefix of its commits: from nothing, from a file of any earlier commit, and from
// a log that was compacted.
func TestRestoredEqualsOriginal(t *testing.T) {
	seeds := uint64(1)
	if trailtest.Whole() {
		seeds = 3
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel() // it waits for the disk
			log := &memoryLog{}
			m := newTestModel(t, seed)
			m.log = log
			dir := t.TempDir()
			dumps := map[int]string{} // by the length of the log
			m.committed = func(j *Journal) { dumps[len(log.batches)] = dump(t, file(j)) }
			m.open(filepath.Join(dir, "original"))
			defer func() { m.j.Close() }()
			m.run(60, func() string { return "" })
			m.j.KeepOffsets(t.Context(), "trail", map[string][]byte{"a": []byte("1"), "b": nil}, []string{"c"})
			m.j.Quarantine(t.Context(), []Quarantined{{Origin: "x", Raw: []byte("{")}})
			if len(log.batches) < 50 {
				t.Fatalf("only %d commits", len(log.batches))
			}
			r := rand.New(rand.NewPCG(seed, 2))
			follower := filepath.Join(dir, "follower")
			for i, n := range slices.Sorted(maps.Keys(dumps)) {
				if i%3 > 0 && !trailtest.Whole() {
					continue
				}
				prefix := &memoryLog{batches: log.batches[:n:n]}
				paths := map[string]store.ChangeLog{"new": prefix, "compacted": prefix.compacted()}
				if r.IntN(4) == 0 {
					paths["follower"] = prefix
				}
				for name, l := range paths {
					path := follower
					if name != "follower" {
						path = filepath.Join(t.TempDir(), "cache")
					}
					j := openShared(t, path, l)
					if got := dump(t, file(j)); got != dumps[n] {
						t.Fatalf("%s after %d of %d commits:\n%s\nwant\n%s", name, n, len(log.batches), got, dumps[n])
					}
					j.Close()
				}
			}
		})
	}
}

// Whichever commit is lost, or kept while its answer is lost: the journal fails
// until it is opened again, and then holds every accepted event, once.
func TestModelWithAChangeLog(t *testing.T) {
	for seed := range modelSeeds(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel() // it waits for the disk
			m := newTestModel(t, seed)
			m.log = &memoryLog{}
			m.open(filepath.Join(t.TempDir(), "cache"))
			defer func() { m.j.Close() }()
			m.run(150, m.anyFault)
		})
	}
}

// A commit of unknown outcome makes every method fail with store.ErrLost and wakes the
// owner.
func TestLost(t *testing.T) {
	for _, fault := range []string{"lost", "kept"} {
		log := &memoryLog{}
		j := openShared(t, filepath.Join(t.TempDir(), "cache"), log)
		enlist(t, j, "a")
		mustAppend(t, j, events(2)...)
		log.fault = fault
		if _, err := j.Append(t.Context(), events(3)); !errors.Is(err, errInjected) {
			t.Fatalf("got %v", err)
		}
		select {
		case <-j.Lost():
		default:
			t.Error("the owner is not woken")
		}
		log.fault = ""
		_, appended := j.Append(t.Context(), events(3))
		_, pending := j.Pending("a", 0, 1)
		for _, err := range []error{appended, pending, j.Ready()} {
			if !errors.Is(err, store.ErrLost) {
				t.Errorf("got %v, want ErrLost", err)
			}
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		want := 1
		if fault == "kept" {
			want = 0
		}
		if n := mustAppend(t, openShared(t, j.store.Path(), log), events(3)...); n != want {
			t.Errorf("%s: %d events are new, want %d", fault, n, want)
		}
	}
}

// Failed writes to the file after the commit to the change log lose the journal,
// not the commit.
func TestCacheFails(t *testing.T) {
	log := &memoryLog{}
	j := openShared(t, filepath.Join(t.TempDir(), "cache"), log)
	failNext(j, false)
	if _, err := j.Append(t.Context(), events(1)); !errors.Is(err, store.ErrLost) {
		t.Fatalf("got %v, want ErrLost", err)
	}
	j.Close()
	if n := mustAppend(t, openShared(t, j.store.Path(), log), events(1)...); n != 0 {
		t.Error("the commit was lost")
	}
}

// A cache that is damaged, of another format, or ahead of its change log is
// discarded; a change log that is damaged or of another format is refused.
func TestCacheIsDiscarded(t *testing.T) {
	write := func(table string, key, value []byte) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			db, err := bolt.Open(path, 0o600, nil)
			if err == nil {
				err = db.Update(func(tx *bolt.Tx) error { return tx.Bucket([]byte(table)).Put(key, value) })
			}
			if err := errors.Join(err, db.Close()); err != nil {
				t.Fatal(err)
			}
		}
	}
	meta, formatKey, positionKey := "meta", []byte("format"), []byte("position")
	sealed := store.Seal(meta, positionKey, store.NumberKey(1000))
	for name, spoil := range map[string]func(t *testing.T, path string){
		"missing":           func(_ *testing.T, path string) { os.Remove(path) },
		"empty":             func(_ *testing.T, path string) { os.Truncate(path, 0) },
		"cut short":         func(_ *testing.T, path string) { os.Truncate(path, 4*4096) },
		"no store":          func(_ *testing.T, path string) { os.WriteFile(path, bytes.Repeat([]byte("x"), 1<<16), 0o600) },
		"an old entry":      write(store.StateTable, []byte("alert"), store.Seal(store.StateTable, []byte("alert"), store.NumberKey(7))),
		"another format":    write(meta, formatKey, []byte("mfawatch.journal/0")),
		"ahead":             write(meta, positionKey, sealed),
		"damaged position":  write(meta, positionKey, []byte("12345678")),
		"of an unknown key": write(meta, []byte("x"), []byte("y")),
	} {
		t.Run(name, func(t *testing.T) {
			log := &memoryLog{}
			j := openShared(t, filepath.Join(t.TempDir(), "cache"), log)
			enlist(t, j, "a")
			mustAppend(t, j, events(3)...)
			mustFold(t, j, each)
			want := dump(t, file(j))
			j.Close()
			spoil(t, j.store.Path())
			if got := dump(t, file(openShared(t, j.store.Path(), log))); got != want {
				t.Errorf("restored\n%s\nwant\n%s", got, want)
			}
		})
	}
	for name, c := range map[string]struct {
		write store.Write
		want  error
	}{
		"another format": {store.Write{Key: []byte(store.WriteKey(meta, formatKey)), Value: []byte("mfawatch.journal/9")}, store.ErrFormat},
		"an old entry":   {store.Write{Key: []byte(store.WriteKey(store.StateTable, []byte("alert"))), Value: store.Seal(store.StateTable, []byte("alert"), store.NumberKey(7))}, store.ErrDamaged},
		"no key":         {store.Write{Key: []byte("x"), Value: nil}, store.ErrDamaged},
		"cut key":        {store.Write{Key: []byte("\xff\xffx"), Value: nil}, store.ErrDamaged},
		"no table":       {store.Write{Key: []byte("\x00\x00x"), Value: []byte("y")}, store.ErrDamaged},
	} {
		t.Run("log with "+name, func(t *testing.T) {
			log := &memoryLog{}
			j := openShared(t, filepath.Join(t.TempDir(), "cache"), log)
			mustAppend(t, j, events(3)...)
			mustFold(t, j, each)
			j.Close()
			log.batches = append(log.batches, store.Batch{Writes: []store.Write{c.write}})
			o := options()
			o.ChangeLog = log
			if _, err := Open(j.store.Path(), o); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// A message goes with the transaction that acks its alert, once; what changes
// nothing is no transaction.
func TestMessagesAndIdle(t *testing.T) {
	log := &memoryLog{}
	j := openShared(t, filepath.Join(t.TempDir(), "cache"), log)
	enlist(t, j, "a")
	mustAppend(t, j, events(1)...)
	mustFold(t, j, each)
	for range 2 {
		if err := j.Done("a", outbox.Result{Number: 1, Message: "hello"}); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, b := range log.batches {
		for _, m := range b.Messages {
			got = append(got, fmt.Sprint(m))
			acked := slices.ContainsFunc(b.Writes, func(w store.Write) bool { return strings.Contains(string(w.Key), "cursor") })
			if !acked {
				t.Error("the message went without its ack")
			}
		}
	}
	if !slices.Equal(got, []string{"hello"}) {
		t.Errorf("messages %q", got)
	}
	n := len(log.batches)
	enlist(t, j, "a")
	mustAppend(t, j, events(1)...)
	mustFold(t, j, each)
	if err := j.Compact(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if len(log.batches) != n {
		t.Errorf("%d transactions that change nothing", len(log.batches)-n)
	}
}

// A cursor is kept with the events that it stands behind, or neither is.
func TestAppendFrom(t *testing.T) {
	log := &memoryLog{}
	j := openShared(t, filepath.Join(t.TempDir(), "cache"), log)
	for i, faulty := range []bool{false, true, false} {
		if faulty {
			log.fault = "lost"
		}
		n, err := j.AppendFrom(t.Context(), "events", "3", fmt.Append(nil, i), events(2*i+1))
		if faulty != (err != nil) || !faulty && n == 0 {
			t.Errorf("step %d: %d events, %v", i, n, err)
		}
		if faulty {
			log.fault = ""
			j.Close()
			j = openShared(t, j.store.Path(), log)
		}
		want := fmt.Sprint(i)
		if faulty {
			want = "0"
		}
		if got, err := j.Offsets("events"); err != nil || string(got["3"]) != want {
			t.Errorf("step %d: cursor %q, %v, want %q", i, got["3"], err, want)
		}
	}
}

// A commit that was refused changed nothing, and the journal goes on.
func TestRefused(t *testing.T) {
	log := &memoryLog{}
	j := openShared(t, filepath.Join(t.TempDir(), "cache"), log)
	mustAppend(t, j, events(2)...)
	before := dump(t, file(j))
	log.fault = "refused"
	if _, err := j.Append(t.Context(), events(3)); !errors.Is(err, store.ErrRefused) || errors.Is(err, store.ErrLost) {
		t.Fatalf("got %v", err)
	}
	if dump(t, file(j)) != before {
		t.Error("something was written")
	}
	log.fault = ""
	if n := mustAppend(t, j, events(3)...); n != 1 {
		t.Errorf("%d events are new, want 1", n)
	}
}

// Derived events of lanes that another journal folds go to the change log, in the
// transaction of their fold, once.
func TestDerivedEventsAway(t *testing.T) {
	log := &memoryLog{}
	o := options()
	o.ChangeLog, o.Local = log, func(lane string) bool { return lane != "aws/2" }
	j, err := Open(filepath.Join(t.TempDir(), "cache"), o)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	enlist(t, j, "a")
	mustAppend(t, j, events(2)...)
	for range 2 {
		mustFold(t, j, func(events []*trail.Event, st alerting.State, now time.Time) alerting.Outcome {
			out := each(events, st, now)
			for _, e := range events {
				for _, account := range []string{"2", "3"} {
					if e.Account != "1" {
						continue
					}
					d := *e
					d.ID, d.Account, d.Name = account+"-"+e.ID, account, trail.PathSeen
					out.Derived = append(out.Derived, &d)
				}
			}
			return out
		})
	}
	var away []string
	for _, b := range log.batches {
		for _, e := range b.Events {
			away = append(away, e.ID)
			if !slices.ContainsFunc(b.Writes, func(w store.Write) bool { return strings.Contains(string(w.Key), "alerts") }) {
				t.Error("a derived event went without its fold")
			}
		}
	}
	slices.Sort(away)
	if want := []string{"2-1-bob-0", "2-1-bob-1"}; !slices.Equal(away, want) {
		t.Errorf("derived events %q, want %q", away, want)
	}
	if n := mustAppend(t, j, event("1", "bob", 1)); n != 0 {
		t.Error("the event is new")
	}
}
