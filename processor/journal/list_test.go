package journal

import (
	"bytes"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal/store"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// The lists of a subject hold the numbers of its events, whatever was put, dropped
// and moved, and none of them is longer than a list may be.
func TestListsHoldTheNumbersOfASubject(t *testing.T) {
	j := temp(t)
	r := rand.New(rand.NewPCG(1, 2))
	want := map[string]map[uint64]bool{"a": {}, "b": {}, "ab": {}}
	names := slices.Sorted(maps.Keys(want))
	for range 300 {
		name := names[r.IntN(len(names))]
		err := j.store.Commit(store.Change{Do: func(tx *store.Tx) error {
			switch r.IntN(8) {
			default:
				for range r.IntN(30) {
					number, err := putEvent(tx, name, []byte("x"))
					if err != nil {
						return err
					}
					want[name][number] = true
				}
			case 0, 1:
				dropped := map[uint64]bool{1 << 40: true}
				for _, number := range slices.Sorted(maps.Keys(want[name])) {
					if r.IntN(3) == 0 {
						dropped[number] = true
						delete(want[name], number)
					}
				}
				return deleteEvents(tx, name, dropped)
			case 2:
				into := names[r.IntN(len(names))]
				if into == name {
					return nil
				}
				maps.Copy(want[into], want[name])
				clear(want[name])
				return moveEvents(tx, join{into: into, from: name})
			}
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		err = j.store.View(func(tx *store.Tx) error {
			for _, name := range names {
				got, err := subjectNumbers(tx, name)
				if err != nil {
					return err
				}
				if !slices.Equal(got, slices.Sorted(maps.Keys(want[name]))) {
					t.Fatalf("%s has %d, want %d", name, got, slices.Sorted(maps.Keys(want[name])))
				}
				all, err := lists(tx, name)
				if err != nil {
					return err
				}
				for _, l := range all {
					if len(l) > maxList {
						t.Errorf("a list of %d numbers", len(l))
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// An event that an exposure keeps beyond the retention stays known: delivered again,
// it is no second event of its subject.
func TestIDOfAKeptEventStaysKnown(t *testing.T) {
	j := temp(t)
	mustAppend(t, j, event("1", "bob", 1), event("1", "eve", 1))
	mustFold(t, j, func(events []*trail.Event, _ alerting.State, _ time.Time) (out alerting.Outcome) {
		if events[0].User == "eve" {
			out.Drop = []string{events[0].ID}
		}
		return out
	})
	if err := j.Compact(t.Context(), time.Now().Add(100*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	j = reopen(t, j)
	if n := mustAppend(t, j, event("1", "bob", 1)); n != 0 {
		t.Error("the event that is kept is new")
	}
	if n := mustAppend(t, j, event("1", "eve", 1)); n != 1 {
		t.Error("the event that was dropped is known after the retention")
	}
}

// A copy of an event takes its place only if it is of the same time and subject: an
// ID that was used twice moves no event.
func TestCopyOfAnotherTimeOrSubjectReplacesNothing(t *testing.T) {
	later, other := event("1", "bob", 1), event("1", "bob", 1)
	later.Time, later.Origin = later.Time.Add(time.Hour), "a"
	other.User, other.Serial, other.Origin = "eve", "arn:aws:iam::1:mfa/eve", "a"
	for _, e := range []*trail.Event{later, other} {
		j := temp(t)
		mustAppend(t, j, event("1", "bob", 1), event("1", "eve", 2))
		mustAppend(t, j, e)
		s, err := j.subject(string(laneKey(laneName(e), exposure.Keys(event("1", "bob", 1))[0])))
		if err != nil || len(s.items) != 1 || s.items[0].event.Origin != "test@1" {
			t.Errorf("got %+v, %v", s, err)
		}
	}
}

// An ID that leads to the event of another one is damage, also where each event has
// one ID.
func TestIDsThatAreExchanged(t *testing.T) {
	j := temp(t)
	one, two := event("1", "bob", 1), event("1", "bob", 2)
	mustAppend(t, j, one, two)
	err := j.store.Commit(store.Change{Do: func(tx *store.Tx) error {
		seen := tx.Table(seenTable)
		a, err := seen.Get(seenKey(one))
		a = bytes.Clone(a)
		b, err2 := seen.Get(seenKey(two))
		return errors.Join(err, err2, seen.Put(seenKey(one), bytes.Clone(b)), seen.Put(seenKey(two), a))
	}})
	if err != nil {
		t.Fatal(err)
	}
	better := event("1", "bob", 1)
	better.Origin = "a"
	if _, err := j.Append(t.Context(), []*trail.Event{better}); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("got %v, want that it is damaged", err)
	}
}
