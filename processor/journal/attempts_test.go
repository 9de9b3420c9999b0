package journal

import (
	"testing"

	"github.com/mfawatch/mfawatch/processor/journal/store"
)

// A failure recorded before a restart is known after it, until the sink acks the
// alert.
func TestFailedIsKeptOverRestarts(t *testing.T) {
	j := temp(t)
	enlist(t, j, "a", "b")
	mustAppend(t, j, events(4)...)
	mustFold(t, j, each)
	done(t, j, "a", 3)
	first := start.Add(123456789)
	err := j.Failed("a", Failure{Number: 1, Attempts: 2}, Failure{Number: 2, Attempts: 7, First: first}, Failure{Number: 3, Attempts: 1, First: first})
	if err != nil {
		t.Fatal(err)
	}
	j = reopen(t, j)
	enlist(t, j, "a", "b")
	pending, err := j.Pending("a", 0, 10)
	if err != nil || len(pending) != 3 {
		t.Fatalf("%v, %v", pending, err)
	}
	for i, want := range []Failure{{Number: 1, Attempts: 2}, {Number: 2, Attempts: 7, First: first}, {Number: 4}} {
		if p := pending[i]; (Failure{Number: p.Number, Attempts: p.Attempts, First: p.First}) != want {
			t.Errorf("pending %+v, want %+v", p, want)
		}
	}
	other, err := j.Pending("b", 0, 10)
	if err != nil || other[1].Attempts != 0 {
		t.Errorf("another sink: %+v, %v", other, err)
	}
	done(t, j, "a", 2, 1, 4)
	left := 0
	err = j.store.View(func(tx *store.Tx) (err error) {
		left, err = tx.Count(sinkTables, "a", attemptsTable)
		return err
	})
	if err != nil || left != 0 {
		t.Errorf("%d attempts left of alerts that are done, %v", left, err)
	}
}

func TestStopIsKeptOverRestarts(t *testing.T) {
	j := temp(t)
	enlist(t, j, "a")
	mustAppend(t, j, event("1", "bob", 1), event("1", "bob", 2), event("1", "eve", 3))
	mustFold(t, j, each)
	if err := j.Done("a", Result{Number: 1, Ref: "ticket"}); err != nil {
		t.Fatal(err)
	}
	if err := j.Done("a", Result{Number: 2, Outcome: ClosedByPerson}); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, j, event("1", "bob", 4))
	mustFold(t, j, each)
	j = reopen(t, j)
	enlist(t, j, "a")
	pending, err := j.Pending("a", 0, 10)
	if err != nil || len(pending) != 2 || pending[0].ClosedByPerson || !pending[1].ClosedByPerson {
		t.Errorf("pending %+v, %v", pending, err)
	}
	if _, ref, err := j.Load("a", 4); ref != "ticket" || err != nil {
		t.Errorf("ref %q, %v", ref, err)
	}
}
