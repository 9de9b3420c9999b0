package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal/boltfile"
	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/processor/journal/store"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
)

// fullJournal returns the path of a closed journal with entries in each table,
// of several pages in the large ones.
func fullJournal(t *testing.T) string {
	t.Helper()
	full.Do(func() {
		var err error
		if fullFile, err = os.ReadFile(makeFullJournal(t)); err != nil {
			t.Fatal(err)
		}
	})
	path := filepath.Join(t.TempDir(), "mfawatch.db")
	if err := os.WriteFile(path, fullFile, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var (
	full     sync.Once
	fullFile []byte
)

func makeFullJournal(t *testing.T) string {
	t.Helper()
	j := temp(t)
	enlist(t, j, "a", "b", "gone")
	f := func(events []*trail.Event, st alerting.State, now time.Time) alerting.Outcome {
		out := each(events, st, now)
		out.Next = now.Add(time.Hour)
		out.Open = []exposure.Open{{ID: events[0].Account, Account: events[0].Account}}
		return out
	}
	var all []*trail.Event
	for i := range 120 {
		all = append(all, event(fmt.Sprint(i%20), fmt.Sprint("user", i), i))
	}
	mustAppend(t, j, all...)
	mustFold(t, j, f)
	for _, s := range []string{"a", "b"} {
		for n := uint64(1); n <= 100; n += 2 {
			if err := j.Done(s, outbox.Result{Number: n, Ref: fmt.Sprint("ticket-", n), To: []string{"x"}}); err != nil {
				t.Fatal(err)
			}
		}
		bury(t, j, s, 2, 6, 8)
		if err := j.Failed(s, outbox.Failure{Number: 10, Attempts: 3}, outbox.Failure{Number: 12, Attempts: 4, First: start}); err != nil {
			t.Fatal(err)
		}
	}
	retryAll(t, j, "a", 6)
	if _, err := j.Quarantine(t.Context(), []Quarantined{{Origin: "x", Raw: []byte("{")}, {Origin: "y", Raw: []byte("[")}}); err != nil {
		t.Fatal(err)
	}
	keepBookmarks(t, j, "bucket", map[string]string{"one": "1", "two": "2"})
	mustAppend(t, j, event("3", "late", 500), event("30", "late", 501)) // dirty
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return j.store.Path()
}

// Flags of the pages of a bbolt file.
const (
	branchPage = 0x01
	leafPage   = 0x02
)

// A found entry is where a table's entry lies in the file, old copies included.
type foundEntry struct {
	table      string
	key, value []byte
}

// layout returns the entries and the pages in use of a store.
func layout(t *testing.T, file []byte) (entries map[string][]foundEntry, tables []string, w *boltfile.Walk, head boltfile.Head) {
	t.Helper()
	r := bytes.NewReader(file)
	head, err := boltfile.ReadHead(r, os.Getpagesize())
	if err != nil {
		t.Fatal(err)
	}
	entries = map[string][]foundEntry{}
	w = &boltfile.Walk{File: r, PageSize: os.Getpagesize(), Bucket: func(string) {}, Entry: func(path string, key, value []byte) {
		if entries[path] == nil {
			tables = append(tables, path)
		}
		entries[path] = append(entries[path], foundEntry{path, bytes.Clone(key), bytes.Clone(value)})
	}}
	if err := w.Check(int64(len(file)), head); err != nil {
		t.Fatal(err)
	}
	return entries, tables, w, head
}

// contents returns everything in a journal, as text.
func contents(t testing.TB, j *Journal) string {
	t.Helper()
	var b strings.Builder
	err := j.store.View(func(tx *store.Tx) error {
		var walk func(prefix string, k, v []byte, in *bolt.Bucket) error
		walk = func(prefix string, k, v []byte, in *bolt.Bucket) error {
			fmt.Fprintf(&b, "%s/%x=%x\n", prefix, k, v)
			if v != nil {
				return nil
			}
			inner := in.Bucket(k)
			return inner.ForEach(func(k2, v2 []byte) error { return walk(prefix+"/"+string(k), k2, v2, inner) })
		}
		return tx.ForEach(func(name []byte, top *bolt.Bucket) error {
			return top.ForEach(func(k, v []byte) error { return walk(string(name), k, v, top) })
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// A journal that is damaged anywhere is refused, or it is as it was. It is never
// something else, and Open never takes long. Damage to an entry, live and in all
// old copies of its page, is always refused.
func TestOpenDamagedJournals(t *testing.T) {
	rounds := 200
	if trailtest.Whole() {
		rounds = 1000
	}
	path := fullJournal(t)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	j := open(t, path)
	want := contents(t, j)
	j.Close()
	entries, tables, w, head := layout(t, good)
	if len(tables) < 2+len(schema.Tables)+1+2*len(schema.Groups[outbox.SinkGroup])+1 {
		t.Fatalf("only %d tables have entries: %q", len(tables), tables)
	}
	page := os.Getpagesize()
	var live []int
	for id := range w.Used {
		if id < 2 || uint64(id) == head.Freelist || binary.NativeEndian.Uint16(good[id*page+8:])&(branchPage|leafPage) != 0 {
			live = append(live, id)
		}
	}
	r := rand.New(rand.NewPCG(13, 4))
	refused, slowest := 0, time.Duration(0)
	for round := range rounds {
		b := bytes.Clone(good)
		table := tables[round/10%len(tables)]
		e := entries[table][r.IntN(len(entries[table]))]
		at := live[r.IntN(len(live))] * page
		var what string
		must := true // be refused
		switch round % 10 {
		case 0, 1:
			i := r.IntN(len(e.value))
			what = fmt.Sprintf("bit of byte %d of the value of %q", i, e.key)
			replaceAll(b, e, func(_, value []byte) { value[i] ^= 1 << r.IntN(8) })
		case 2:
			i := r.IntN(len(e.key))
			what = fmt.Sprintf("bit of byte %d of the key %q", i, e.key)
			bit := byte(1) << r.IntN(8)
			replaceAll(b, e, func(key, _ []byte) { key[i] ^= bit })
		case 3:
			what = fmt.Sprintf("value of %q in zeros", e.key)
			replaceAll(b, e, func(_, value []byte) { clear(value) })
		case 4: // a value of the same length from elsewhere in the table, or from another table
			other := otherEntry(r, entries, e)
			if other == nil {
				continue
			}
			what = fmt.Sprintf("value of %q moved to %q", other.key, e.key)
			replaceAll(b, e, func(_, value []byte) { copy(value, other.value) })
		case 5: // head, elements
			must = false
			i := at + r.IntN(16+8*16)
			what = fmt.Sprintf("bit of byte %d", i)
			b[i] ^= 1 << r.IntN(8)
		case 6:
			must = false
			i := r.IntN(len(b) - 8)
			what = fmt.Sprintf("eight bytes at %d", i)
			for k := range 8 {
				b[i+k] = byte(r.Uint32())
			}
		case 7:
			must = false
			from := r.IntN(len(b)/page) * page
			what = fmt.Sprintf("page %d over page %d", from/page, at/page)
			copy(b[at:at+page], good[from:from+page])
		case 8:
			must = false
			what = fmt.Sprintf("page %d in zeros", at/page)
			clear(b[at : at+page])
		case 9:
			must = false
			n := r.IntN(len(b))
			what = fmt.Sprintf("cut to %d bytes", n)
			b = b[:n]
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		started := time.Now()
		j, err := openWithin(t, path, 10*time.Second)
		slowest = max(slowest, time.Since(started))
		switch {
		case err != nil && !errors.Is(err, store.ErrDamaged) && !errors.Is(err, store.ErrFormat):
			t.Errorf("round %d, %s of %q: %v", round, what, table, err)
		case err != nil:
			refused++
			continue
		case must:
			t.Errorf("round %d, %s of %q: opened", round, what, table)
		}
		if j == nil {
			continue
		}
		if got := contents(t, j); got != want {
			t.Errorf("round %d, %s of %q: opened with other contents", round, what, table)
		}
		j.Close()
	}
	t.Logf("%d of %d refused, the others are as they were; the slowest took %s", refused, rounds, slowest)
	if refused < rounds*6/10 {
		t.Errorf("only %d of %d were damaged", refused, rounds)
	}
}

// replaceAll changes each copy of the entry in the file.
func replaceAll(b []byte, e foundEntry, change func(key, value []byte)) {
	whole := append(bytes.Clone(e.key), e.value...)
	changed := bytes.Clone(whole)
	change(changed[:len(e.key)], changed[len(e.key):])
	for i := bytes.Index(b, whole); i >= 0; i = bytes.Index(b, whole) {
		copy(b[i:], changed)
		if bytes.Equal(changed, whole) {
			return
		}
	}
}

// otherEntry returns an entry with another value of the same length.
func otherEntry(r *rand.Rand, entries map[string][]foundEntry, e foundEntry) *foundEntry {
	var fit []foundEntry
	for _, all := range entries {
		for _, o := range all {
			if len(o.value) == len(e.value) && !bytes.Equal(o.value, e.value) {
				fit = append(fit, o)
			}
		}
	}
	if len(fit) == 0 {
		return nil
	}
	return &fit[r.IntN(len(fit))]
}

func openWithin(t *testing.T, path string, limit time.Duration) (*Journal, error) {
	t.Helper()
	type result struct {
		j   *Journal
		err error
	}
	done := make(chan result, 1)
	go func() {
		j, err := Open(path, options())
		done <- result{j, err}
	}()
	select {
	case r := <-done:
		return r.j, r.err
	case <-time.After(limit):
		t.Fatalf("opening took more than %s", limit)
		return nil, nil
	}
}

// Entries whose seals are right are refused all the same if they contradict each
// other.
func TestOpenRefusesContradictions(t *testing.T) {
	inSink := func(table string) []string { return []string{outbox.SinkGroup, "a", table} }
	for _, tt := range []struct {
		name  string
		spoil func(tx *store.Tx) error
		want  string
	}{
		{"a cursor beyond the last alert", func(tx *store.Tx) error {
			return tx.Table(inSink("cursor")...).Put([]byte("next"), store.NumberKey(1<<40))
		}, "the cursor of sink"},
		{"a cursor of zero", func(tx *store.Tx) error { return tx.Table(inSink("cursor")...).Put([]byte("next"), store.NumberKey(0)) }, "no cursor"},
		{"an ack before the cursor", func(tx *store.Tx) error { return tx.Table(inSink("done")...).Put(store.NumberKey(1), nil) }, "done of alert"},
		{"an ack beyond the last alert", func(tx *store.Tx) error { return tx.Table(inSink("done")...).Put(store.NumberKey(1<<40), nil) }, "done of alert"},
		{"an ack without a number", func(tx *store.Tx) error { return tx.Table(inSink("done")...).Put([]byte("x"), nil) }, "done of alert"},
		{"attempts beyond the last alert", func(tx *store.Tx) error {
			return tx.Table(inSink("attempts")...).Put(store.NumberKey(1<<40), []byte{0, 0, 0, 1})
		}, "attempts of alert"},
		{"a dead letter beyond the last alert", func(tx *store.Tx) error {
			return tx.Table(inSink("dead")...).Put(store.NumberKey(1<<40), []byte("{}"))
		}, "dead of alert"},
		{"a reference that is no JSON", func(tx *store.Tx) error { return tx.Table(inSink("refs")...).Put([]byte("x"), []byte("{")) }, "entry"},
		{"a due time of no account", func(tx *store.Tx) error { return tx.Table(dueTable).Put(dueKey(start, []byte("aws/9")), nil) }, "are scheduled"},
		{"a due time other than the account's", func(tx *store.Tx) error {
			due := tx.Table(dueTable)
			k := bytes.Clone(due.First())
			return errors.Join(due.Delete(k), due.Put(dueKey(start, k[8:]), nil))
		}, "not scheduled then"},
		{"an alert beyond the last", func(tx *store.Tx) error { return tx.Table("alerts").Put(store.NumberKey(1<<40), []byte("x")) }, "beyond the last"},
		{"an alert that the index by lane lacks", func(tx *store.Tx) error {
			index := tx.Table("alert-lanes")
			return index.Delete(bytes.Clone(index.First()))
		}, "the index by lane has"},
		{"an ID of an alert beyond the last", func(tx *store.Tx) error { return tx.Table("alert-ids").Put([]byte("x"), store.NumberKey(1<<40)) }, "the last is"},
		{"a generation that is to come", func(tx *store.Tx) error { return putMark(tx.Table(dirtyTable), []byte("aws/3"), 1<<40, start) }, "has generation"},
		{"an event beyond the newest", func(tx *store.Tx) error {
			return numberList{1 << 40}.put(tx, subjectOfLists(tx.Table(listTable).First()))
		}, "the newest is"},
		{"an event that is in no list", func(tx *store.Tx) error {
			lists := tx.Table(listTable)
			k, _ := lists.Cursor().Last()
			return lists.Delete(bytes.Clone(k))
		}, "event"},
		{"an event that is in two lists", func(tx *store.Tx) error {
			lists := tx.Table(listTable)
			k, _ := lists.Cursor().Last()
			first := bytes.Clone(lists.First())
			return numberList{binary.BigEndian.Uint64(first[len(first)-8:])}.put(tx, subjectOfLists(k))
		}, "the next event is"},
		{"an event that is missing", func(tx *store.Tx) error {
			events := tx.Table(eventTable)
			return events.Delete(bytes.Clone(events.First()))
		}, "is in a list, the next event is"},
		{"a list that goes down", func(tx *store.Tx) error {
			lists := tx.Table(listTable)
			return lists.Put(bytes.Clone(lists.First()), []byte{0})
		}, "entry"},
		{"a list that ends within a number", func(tx *store.Tx) error {
			lists := tx.Table(listTable)
			return lists.Put(bytes.Clone(lists.First()), []byte{0x80})
		}, "entry"},
		{"a list without a number", func(tx *store.Tx) error { return tx.Table(listTable).Put([]byte("x"), nil) }, "entry"},
		{"an event without an ID", func(tx *store.Tx) error {
			seen := tx.Table(seenTable)
			return seen.Delete(bytes.Clone(seen.First()))
		}, "have no ID"},
		{"an ID that leads to no event", func(tx *store.Tx) error {
			seen := tx.Table(seenTable)
			return seen.Put(bytes.Clone(seen.First()), seenMark(start, 0))
		}, "have no ID"},
		{"an ID that leads to the event of another one", func(tx *store.Tx) error {
			seen := tx.Table(seenTable)
			v, err := seen.Get(seen.First())
			k, _ := seen.Cursor().Last()
			return errors.Join(err, seen.Put(bytes.Clone(k), bytes.Clone(v)))
		}, "has another one"},
		{"an ID of an event beyond the newest", func(tx *store.Tx) error {
			seen := tx.Table(seenTable)
			return seen.Put(bytes.Clone(seen.First()), seenMark(start, 1<<40))
		}, "the newest is"},
		{"an ID without an event", func(tx *store.Tx) error {
			seen := tx.Table(seenTable)
			return seen.Put(bytes.Clone(seen.First()), store.SecondsKey(start))
		}, "entry"},
		{"an entry that is gone", func(tx *store.Tx) error {
			seen := tx.Bucket([]byte(seenTable))
			k, _ := seen.Cursor().First()
			return seen.Delete(k)
		}, "other entries than were written"},
		{"a value of another sink", func(tx *store.Tx) error {
			of := func(sink string) *bolt.Bucket {
				return tx.Bucket([]byte(outbox.SinkGroup)).Bucket([]byte(sink)).Bucket([]byte("attempts"))
			}
			return of("a").Put(store.NumberKey(10), bytes.Clone(of("b").Get(store.NumberKey(10))))
		}, "checksum of entry"},
		{"a table that is gone", func(tx *store.Tx) error {
			return errors.Join(tx.DeleteBucket([]byte(quarantineTable)), tx.Bucket([]byte("tallies")).Delete([]byte(quarantineTable)))
		}, "is missing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := fullJournal(t)
			db, err := bolt.Open(path, 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			err = db.Update(func(b *bolt.Tx) error {
				tx := store.NewTx(b)
				return errors.Join(tt.spoil(tx), tx.Flush())
			})
			if err := errors.Join(err, db.Close()); err != nil {
				t.Fatal(err)
			}
			_, err = openWithin(t, path, 10*time.Second)
			if !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want that it is damaged, and %q", err, tt.want)
			}
		})
	}
}

// subjectOfLists returns the subject of a key in the table of lists.
func subjectOfLists(k []byte) string { return string(k[2 : len(k)-8]) }
