package journal

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal/store"
	"github.com/mfawatch/mfawatch/processor/trail"
)

func rename(from, to string, n int) *trail.Event {
	e := event("1", from, n)
	e.Name, e.NewUser, e.Serial = trail.UpdateUser, to, ""
	return e
}

func ids(events []*trail.Event) string {
	var all []string
	for _, e := range events {
		all = append(all, e.ID)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// An event that joins two subjects makes them one, with the events, the state,
// the open exposures and the due time of both, over a restart as well.
func TestJoin(t *testing.T) {
	for _, restart := range []bool{false, true} {
		j := temp(t)
		policy := exposure.DefaultPolicy()
		now := start.Add(time.Minute)
		fold := func() (alerts []string) {
			t.Helper()
			_, err := j.Fold(t.Context(), now, func(events []*trail.Event, st alerting.State, now time.Time) alerting.Outcome {
				return alerting.Notify(events, st, now, policy)
			}, func(f Folded) {
				for _, a := range f.Alerts {
					alerts = append(alerts, string(a.Step)+" "+*a.User)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			return alerts
		}
		mustAppend(t, j, event("1", "bob", 1), event("1", "eve", 2), event("1", "eve", 3))
		if got := fold(); !slices.Equal(got, []string{"opened bob", "opened eve", "updated eve"}) {
			t.Fatalf("alerted %q", got)
		}
		if mustAppend(t, j, rename("bob", "EVE", 4)) != 1 || mustAppend(t, j, event("1", "bob", 1), event("1", "eve", 3)) != 0 {
			t.Error("a known event was taken for new")
		}
		if restart {
			j = reopen(t, j)
		}
		if got := fold(); !slices.Equal(got, []string{"resolved eve"}) { // who had the name is gone
			t.Errorf("restart %v: alerted %q", restart, got)
		}
		if got := fold(); len(got) != 0 {
			t.Errorf("restart %v: alerted %q again", restart, got)
		}
		open := j.Open()
		j = reopen(t, j)
		if again := j.Open(); len(open) == 0 || len(again) != len(open) {
			t.Errorf("restart %v: open %v, after a restart %v", restart, open, again)
		}
		st, err := j.Stats()
		if err != nil || st.Subjects != 1 {
			t.Errorf("%d subjects, %v", st.Subjects, err)
		}
	}
}

// A subject that another one is joined to while it is folded is folded again.
func TestJoinWhileFolding(t *testing.T) {
	j := temp(t)
	mustAppend(t, j, event("1", "bob", 1), event("1", "eve", 2))
	joined := false
	var seen []string
	got := mustFold(t, j, func(events []*trail.Event, st alerting.State, now time.Time) alerting.Outcome {
		if !joined {
			joined = true
			mustAppend(t, j, rename("bob", "eve", 3))
		}
		seen = append(seen, ids(events))
		return each(events, st, now)
	})
	if want := "1-bob-1 1-bob-3 1-eve-2"; !slices.Contains(seen, want) || len(got) != 3 {
		t.Errorf("folded %q, alerted %q", seen, got)
	}
	if got := mustFold(t, j, each); len(got) != 0 {
		t.Errorf("alerted %q again", got)
	}
	reopen(t, j)
}

// deriving derives an event for an actor's lane from each event of an account.
func deriving(events []*trail.Event, st alerting.State, now time.Time) alerting.Outcome {
	out := each(events, st, now)
	for _, e := range events {
		if e.Lane == "" {
			d := *e
			d.ID, d.Name, d.Lane, d.Key = "seen-"+e.ID, trail.Sighting, "actor:mallory", "actor"
			out.Derived = append(out.Derived, &d)
		}
	}
	return out
}

// Derived events are folded in the same call, once, and in the same transaction.
func TestDerivedEvents(t *testing.T) {
	j := temp(t)
	mustAppend(t, j, event("1", "bob", 1), event("2", "eve", 2))
	want := []string{"alert-1-bob-1", "alert-2-eve-2", "alert-seen-1-bob-1", "alert-seen-2-eve-2"}
	if got := mustFold(t, j, deriving); !slices.Equal(got, want) {
		t.Errorf("alerted %q, want %q", got, want)
	}
	mustAppend(t, j, event("1", "bob", 3))
	if got := mustFold(t, j, deriving); !slices.Equal(got, []string{"alert-1-bob-3", "alert-seen-1-bob-3"}) {
		t.Errorf("alerted %q", got)
	}
	j = reopen(t, j)
	if got := mustFold(t, j, deriving); len(got) != 0 {
		t.Errorf("alerted %q again", got)
	}
}

// A lane that cannot be folded keeps its events for the next call, and holds up
// no other.
func TestDerivedEventsOfALaneThatFails(t *testing.T) {
	j := temp(t)
	mustAppend(t, j, event("1", "bob", 1))
	var alerted []string
	_, err := j.Fold(t.Context(), start, func(events []*trail.Event, st alerting.State, now time.Time) alerting.Outcome {
		if events[0].Lane != "" {
			panic("sick")
		}
		return deriving(events, st, now)
	}, func(f Folded) {
		for _, a := range f.Alerts {
			alerted = append(alerted, a.ID)
		}
	})
	if err == nil || !slices.Equal(alerted, []string{"alert-1-bob-1"}) {
		t.Errorf("alerted %q, %v", alerted, err)
	}
	j = reopen(t, j)
	if got := mustFold(t, j, deriving); !slices.Equal(got, []string{"alert-seen-1-bob-1"}) {
		t.Errorf("then alerted %q", got)
	}
}

// More derived subjects than a transaction holds are folded in further ones of
// the same call.
func TestManyDerivedSubjects(t *testing.T) {
	j := temp(t)
	mustAppend(t, j, event("1", "bob", 1))
	const many = 5 * maxFolds
	got := mustFold(t, j, func(events []*trail.Event, st alerting.State, now time.Time) alerting.Outcome {
		out := each(events, st, now)
		if events[0].Lane == "" {
			for i := range many {
				d := *events[0]
				d.ID, d.Lane, d.Key = fmt.Sprint("seen-", i), fmt.Sprint("actor:", i), "actor"
				out.Derived = append(out.Derived, &d)
			}
		}
		return out
	})
	if len(got) != 1+many {
		t.Errorf("%d alerts, want %d", len(got), 1+many)
	}
}

// A subject of which nothing is kept is forgotten.
func TestForget(t *testing.T) {
	j := temp(t)
	mustAppend(t, j, event("1", "bob", 1), event("1", "eve", 1))
	mustFold(t, j, func(events []*trail.Event, _ alerting.State, _ time.Time) (out alerting.Outcome) {
		if events[0].User == "bob" {
			out.Drop = append(out.Drop, events[0].ID)
		}
		return out
	})
	st, err := j.Stats()
	if err != nil || st.Subjects != 1 {
		t.Errorf("%d subjects, %v", st.Subjects, err)
	}
	j = reopen(t, j)
	mustAppend(t, j, event("1", "bob", 2))
	if got := mustFold(t, j, each); !slices.Equal(got, []string{"alert-1-bob-2"}) {
		t.Errorf("alerted %q", got)
	}
}

// Keys that lead elsewhere are refused.
func TestOpenRefusesWrongKeys(t *testing.T) {
	for _, spoil := range []func(tx *store.Tx) error{
		func(tx *store.Tx) error {
			return tx.Table(keyTable).Put(laneKey("aws/1", "user:bob"), laneKey("aws/1", "user:eve"))
		},
		func(tx *store.Tx) error {
			return tx.Table(keyTable).Put(laneKey("aws/1", "user:al"), laneKey("aws/1", "user:eve"))
		},
		func(tx *store.Tx) error { return tx.Table(subjectTable).Delete(laneKey("aws/1", "user:eve")) },
	} {
		j := temp(t)
		mustAppend(t, j, event("1", "bob", 1), event("1", "eve", 1))
		mustFold(t, j, each)
		if err := j.store.Commit(store.Change{Do: spoil}); err != nil {
			t.Fatal(err)
		}
		path := j.store.Path()
		j.Close()
		if _, err := Open(path, options()); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("got %v", err)
		}
	}
}
