package journal

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/processor/journal/store"
)

func bury(t testing.TB, j *Journal, sink string, ns ...uint64) {
	t.Helper()
	for _, n := range ns {
		if err := j.Bury(sink, outbox.DeadLetter{Number: n, Cause: "no such channel", Attempts: 3, First: start, Last: start}); err != nil {
			t.Fatal(err)
		}
	}
}

// pendingIDs returns the IDs of the sink's pending alerts, in order.
func pendingIDs(t testing.TB, j *Journal, sink string) []string {
	t.Helper()
	ids := []string{}
	for _, n := range numbers(t, j, sink) {
		a, _, err := j.Load(sink, n)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, a.ID)
	}
	return ids
}

func retryAll(t testing.TB, j *Journal, sink string, ns ...uint64) int {
	t.Helper()
	n, err := j.Requeue(sink, ns...)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestRetryPutsBackForOneSinkInOrder(t *testing.T) {
	for _, restart := range []bool{false, true} {
		j := temp(t)
		enlist(t, j, "a", "b")
		alertEach(t, j, event("1", "bob", 1), event("1", "eve", 2), event("1", "bob", 3), event("1", "eve", 4))
		done(t, j, "b", 1, 2, 3, 4)
		bury(t, j, "a", 3, 1) // bob's two; eve's are pending
		alerted := j.Alerted()
		if n := retryAll(t, j, "a", 3, 1, 3, 77); n != 2 {
			t.Fatalf("%d retried, want 2", n)
		}
		select {
		case <-alerted:
		default:
			t.Error("Alerted did not fire")
		}
		if restart {
			j = reopen(t, j)
			enlist(t, j, "a", "b")
		}
		want := []string{"alert-1-eve-2", "alert-1-eve-4", "alert-1-bob-1", "alert-1-bob-3"}
		if got := pendingIDs(t, j, "a"); !slices.Equal(got, want) {
			t.Errorf("restart %v: pending %v, want %v", restart, got, want)
		}
		if got := pendingIDs(t, j, "b"); len(got) != 0 {
			t.Errorf("restart %v: pending for the other sink: %v", restart, got)
		}
		if a, b := stats(t, j, "a"), stats(t, j, "b"); a.Pending != 4 || a.Dead != 0 || b.Pending != 0 {
			t.Errorf("restart %v: a %+v, b %+v", restart, a, b)
		}
		done(t, j, "a", numbers(t, j, "a")...)
		if err := j.Idle(t.Context()); err != nil {
			t.Errorf("restart %v: %v", restart, err)
		}
		if s := stats(t, j, "a"); s.Pending != 0 {
			t.Errorf("restart %v: when all is acked: %+v", restart, s)
		}
	}
}

// Pending alerts of the exposure stay behind those that are retried, however many
// calls retry them.
func TestRetryKeepsTheOrderOfAnExposure(t *testing.T) {
	j := temp(t)
	enlist(t, j, "a")
	alertEach(t, j, event("1", "bob", 1), event("1", "bob", 2), event("1", "bob", 3), event("1", "bob", 4))
	bury(t, j, "a", 1, 3)
	retryAll(t, j, "a", 3) // pending: 2, 3, 4
	want := []string{"alert-1-bob-2", "alert-1-bob-3", "alert-1-bob-4"}
	if got := pendingIDs(t, j, "a"); !slices.Equal(got, want) {
		t.Errorf("pending %v, want %v", got, want)
	}
	retryAll(t, j, "a", 1)
	want = append([]string{"alert-1-bob-1"}, want...)
	if got := pendingIDs(t, j, "a"); !slices.Equal(got, want) {
		t.Errorf("pending %v, want %v", got, want)
	}
	if s := stats(t, j, "a"); s.Pending != 4 || s.Dead != 0 {
		t.Errorf("%+v", s)
	}
}

// A dead letter outlives the alert it is made of, and a sink its registration.
func TestRetryAfterPruneAndForASinkThatIsAway(t *testing.T) {
	j := temp(t)
	enlist(t, j, "a", "b")
	alertEach(t, j, event("1", "bob", 1))
	bury(t, j, "a", 1)
	done(t, j, "b", 1)
	if err := j.Compact(t.Context(), start.AddDate(200, 0, 0)); err != nil {
		t.Fatal(err)
	}
	j = reopen(t, j)
	enlist(t, j, "b")
	if names, err := j.Sinks(); err != nil || !slices.Equal(names, []string{"a", "b"}) {
		t.Errorf("sinks %v, %v", names, err)
	}
	if n := retryAll(t, j, "a", 1); n != 1 {
		t.Fatalf("%d retried, want 1", n)
	}
	if got := pendingIDs(t, j, "b"); len(got) != 0 {
		t.Errorf("pending for the other sink: %v", got)
	}
	enlist(t, j, "a")
	if got := pendingIDs(t, j, "a"); !slices.Equal(got, []string{"alert-1-bob-1"}) {
		t.Errorf("pending %v", got)
	}
}

func TestDropDead(t *testing.T) {
	j := temp(t)
	enlist(t, j, "a")
	alertEach(t, j, event("1", "bob", 1), event("1", "bob", 2), event("1", "bob", 3))
	bury(t, j, "a", 1, 2, 3)
	if letters, err := j.DeadLettersAfter("a", 1, 1); err != nil || len(letters) != 1 || letters[0].Number != 2 {
		t.Errorf("the one after the first: %+v, %v", letters, err)
	}
	if n, err := j.DropDead("a", 1, 3, 3, 9); n != 2 || err != nil {
		t.Errorf("dropped %d, %v, want 2", n, err)
	}
	if s := stats(t, j, "a"); s.Dead != 1 || s.Pending != 0 {
		t.Errorf("%+v", s)
	}
	if letters, err := j.DeadLetters("a"); err != nil || len(letters) != 1 || letters[0].Number != 2 {
		t.Errorf("left: %+v, %v", letters, err)
	}
	if _, err := j.DropDead("unknown", 1); !errors.Is(err, outbox.ErrUnknownSink) {
		t.Errorf("of an unknown sink: %v", err)
	}
	if _, err := j.Requeue("unknown", 1); !errors.Is(err, outbox.ErrUnknownSink) {
		t.Errorf("of an unknown sink: %v", err)
	}
}

func TestUnregister(t *testing.T) {
	j := temp(t)
	enlist(t, j, "a", "b")
	alertEach(t, j, event("1", "bob", 1), event("1", "bob", 2))
	done(t, j, "a", 1)
	done(t, j, "b", 1, 2)
	j.Unregister("a")
	if err := j.Idle(t.Context()); err != nil { // does not wait for a
		t.Fatal(err)
	}
	if _, err := j.Pending("a", 0, 1); !errors.Is(err, outbox.ErrUnknownSink) {
		t.Errorf("pending of a sink that left: %v", err)
	}
	enlist(t, j, "a")
	if got := numbers(t, j, "a"); !slices.Equal(got, []uint64{2}) {
		t.Errorf("pending for a sink that came back: %v, want 2", got)
	}
}

func TestAsidesDropAndSize(t *testing.T) {
	j := temp(t)
	big := make([]byte, 64<<10)
	var records []Quarantined
	for i := range 300 {
		records = append(records, Quarantined{Origin: "s3://b/k", Offset: int64(i), Raw: big})
	}
	if _, err := j.Quarantine(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	kept, err := j.QuarantineRecords()
	if err != nil || len(kept) < 75 || len(kept) > 100 { // 8 MiB, in base64
		t.Fatalf("%d kept, %v", len(kept), err)
	}
	for _, r := range kept {
		if len(r.ID) != asideID {
			t.Fatalf("ID %q", r.ID)
		}
	}
	if n, err := j.DropQuarantined(kept[0].ID, kept[0].ID, kept[3].ID, "", kept[1].ID[:6], "nonsense"); n != 2 || err != nil {
		t.Errorf("dropped %d, %v, want 2", n, err)
	}
	if left, err := j.QuarantineRecords(); err != nil || len(left) != len(kept)-2 || slices.ContainsFunc(left, func(r Quarantined) bool { return r.ID == kept[0].ID }) {
		t.Errorf("%d left, %v", len(left), err)
	}
}

func TestClosedForCommands(t *testing.T) {
	j := temp(t)
	enlist(t, j, "a")
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	_, retry := j.Requeue("a", 1)
	_, drop := j.DropDead("a", 1)
	_, quarantined := j.DropQuarantined("00")
	_, list := j.DeadLetters("a")
	_, sinks := j.Sinks()
	for i, err := range []error{retry, drop, quarantined, list, sinks} {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("method %d: %v", i, err)
		}
	}
}

// However alerts are buried, retried, dropped and acked, and however often the
// journal is opened again, the right ones are pending, an exposure's in order.
func TestRetryModel(t *testing.T) {
	const seed = 7
	random := rand.New(rand.NewPCG(seed, seed))
	j := temp(t)
	enlist(t, j, "a", "b")
	users := []string{"bob", "eve", "zoe"}
	pending, dead := map[string]bool{}, map[string]bool{} // of a, by alert
	order := map[string]int{}
	b := 0 // pending of b
	for step := range 400 {
		ns := numbers(t, j, "a")
		letters, err := j.DeadLetters("a")
		if err != nil {
			t.Fatal(err)
		}
		switch random.IntN(8) {
		case 0, 1:
			e := event("1", users[random.IntN(len(users))], step)
			alertEach(t, j, e)
			id := alert(e).ID
			pending[id], order[id] = true, step
			b++
		case 2, 3:
			if len(ns) > 0 {
				n := ns[random.IntN(len(ns))]
				a, _, err := j.Load("a", n)
				if err != nil {
					t.Fatal(err)
				}
				bury(t, j, "a", n)
				delete(pending, a.ID)
				dead[a.ID] = true
			}
		case 4:
			if len(ns) > 0 {
				a, _, err := j.Load("a", ns[0])
				if err != nil {
					t.Fatal(err)
				}
				done(t, j, "a", ns[0])
				delete(pending, a.ID)
			}
		case 5:
			var some []uint64
			for _, l := range letters {
				if random.IntN(2) == 0 {
					some = append(some, l.Number)
					delete(dead, l.Alert.ID)
					pending[l.Alert.ID] = true
				}
			}
			if n := retryAll(t, j, "a", some...); n != len(some) {
				t.Fatalf("step %d: %d retried, want %d", step, n, len(some))
			}
		case 6:
			if len(letters) > 0 {
				l := letters[random.IntN(len(letters))]
				if n, err := j.DropDead("a", l.Number); n != 1 || err != nil {
					t.Fatal(n, err)
				}
				delete(dead, l.Alert.ID)
			}
		case 7:
			if random.IntN(4) == 0 {
				j = reopen(t, j)
				enlist(t, j, "a", "b")
			}
		}
		if a, of := stats(t, j, "a"), stats(t, j, "b"); a.Pending != len(pending) || a.Dead != len(dead) || of.Pending != b || of.Dead != 0 {
			t.Fatalf("step %d: a %+v, want %d pending and %d dead; b %+v, want %d pending", step, a, len(pending), len(dead), of, b)
		}
		got, last := pendingIDs(t, j, "a"), map[string]int{}
		if len(got) != len(pending) {
			t.Fatalf("step %d: pending %v, want %d", step, got, len(pending))
		}
		for _, id := range got {
			user := id[:len("alert-1-bob")]
			if !pending[id] || order[id] < last[user] {
				t.Fatalf("step %d: %s is out of turn, or not pending, in %v", step, id, got)
			}
			last[user] = order[id]
		}
	}
	if ids := pendingIDs(t, j, "b"); len(ids) != b || !slices.IsSortedFunc(ids, func(x, y string) int { return order[x] - order[y] }) {
		t.Errorf("pending for b: %v", ids)
	}
}
