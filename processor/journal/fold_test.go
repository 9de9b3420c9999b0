package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
)

func TestFoldGivesAllEventsOfOneSubject(t *testing.T) {
	j := temp(t)
	mustAppend(t, j, event("1", "bob", 2), event("11", "eve", 1), event("1", "Bob", 1), event("1", "al", 1))
	folds := map[string]int{}
	f := func(events []*trail.Event, _ alerting.State, _ time.Time) alerting.Outcome {
		for _, e := range events {
			if e.Account != events[0].Account || !strings.EqualFold(e.User, events[0].User) {
				t.Errorf("events of %s in %s and %s in %s in one fold", e.User, e.Account, events[0].User, events[0].Account)
			}
		}
		folds[events[0].Account+strings.ToLower(events[0].User)] = len(events)
		return alerting.Outcome{}
	}
	mustFold(t, j, f)
	if folds["1bob"] != 2 || folds["11eve"] != 1 || folds["1al"] != 1 || len(folds) != 3 {
		t.Errorf("folded %v", folds)
	}
	clear(folds)
	mustFold(t, j, f)
	if len(folds) != 0 {
		t.Errorf("folded %v again without a reason", folds)
	}
	mustAppend(t, j, event("11", "eve", 2))
	mustFold(t, j, f)
	if folds["11eve"] != 2 || len(folds) != 1 {
		t.Errorf("folded %v, want the subject with the new event alone, with both of its events", folds)
	}
}

func TestFoldKeepsState(t *testing.T) {
	for _, restart := range []bool{false, true} {
		j := temp(t)
		mustAppend(t, j, event("1", "bob", 1))
		var first alerting.Outcome
		mustFold(t, j, func(events []*trail.Event, st alerting.State, now time.Time) alerting.Outcome {
			first = alerting.Notify(events, st, now, exposure.Policy{})
			return first
		})
		if len(first.Alerts) == 0 || len(first.Open) != 1 {
			t.Fatalf("the deactivation was not alerted: %+v", first)
		}
		if restart {
			j = reopen(t, j)
		}
		if got := j.Open(); len(got) != 1 || got[0].ID != first.Open[0].ID {
			t.Errorf("restart %v: open exposures %+v, want %+v", restart, got, first.Open)
		}
		mustAppend(t, j, event("1", "bob", 2))
		mustFold(t, j, func(events []*trail.Event, st alerting.State, now time.Time) alerting.Outcome {
			got, _ := json.Marshal(st)
			want, _ := json.Marshal(first.State)
			if string(got) != string(want) {
				t.Errorf("restart %v: state %s, want %s", restart, got, want)
			}
			return alerting.Outcome{State: st}
		})
		if got := j.Open(); len(got) != 0 {
			t.Errorf("still open: %+v", got)
		}
	}
}

func TestFoldWhenDue(t *testing.T) {
	j := temp(t)
	mustAppend(t, j, event("1", "bob", 1))
	var looks []time.Time
	due := start.Add(time.Hour)
	f := func(_ []*trail.Event, _ alerting.State, now time.Time) alerting.Outcome {
		looks = append(looks, now)
		if now.Before(due) {
			return alerting.Outcome{Next: due}
		}
		return alerting.Outcome{}
	}
	fold := func(now time.Time) time.Time {
		t.Helper()
		next, err := j.Fold(t.Context(), now, f, nil)
		if err != nil {
			t.Fatal(err)
		}
		return next
	}
	if next := fold(start); !next.Equal(due) {
		t.Errorf("next %v, want %v", next, due)
	}
	j = reopen(t, j)
	if next := fold(due.Add(-1)); !next.Equal(due) || len(looks) != 1 {
		t.Errorf("before it is due: next %v, %d looks", next, len(looks))
	}
	if next := fold(due); !next.IsZero() || len(looks) != 2 {
		t.Errorf("when it is due: next %v, %d looks", next, len(looks))
	}
	if fold(due.Add(time.Hour)); len(looks) != 2 {
		t.Errorf("%d looks after the last", len(looks))
	}
}

// A due time that has passed must not make a loop without a pause.
func TestFoldDueInThePast(t *testing.T) {
	j := temp(t)
	mustAppend(t, j, event("1", "bob", 1))
	next, err := j.Fold(t.Context(), start, func([]*trail.Event, alerting.State, time.Time) alerting.Outcome {
		return alerting.Outcome{Next: start.Add(-time.Hour)}
	}, nil)
	if err != nil || !next.Equal(start.Add(time.Second)) {
		t.Errorf("next %v, %v", next, err)
	}
}

func TestFoldDropsAndAddsDeadlines(t *testing.T) {
	for _, restart := range []bool{false, true} {
		j := temp(t)
		mustAppend(t, j, event("1", "bob", 1), event("1", "bob", 2))
		deadline := event("1", "bob", 3)
		deadline.Name = trail.Deadline
		mustFold(t, j, func(events []*trail.Event, _ alerting.State, _ time.Time) alerting.Outcome {
			return alerting.Outcome{Drop: []string{events[0].ID, "unknown"}, Deadlines: []*trail.Event{deadline}}
		})
		if restart {
			j = reopen(t, j)
		}
		if got := mustAppend(t, j, event("1", "bob", 1), deadline); got != 0 {
			t.Errorf("a dropped event or a deadline was taken for new: %d", got)
		}
		mustFold(t, j, func([]*trail.Event, alerting.State, time.Time) alerting.Outcome {
			t.Error("folded again without a reason")
			return alerting.Outcome{}
		})
		mustAppend(t, j, event("1", "bob", 4))
		var ids []string
		mustFold(t, j, func(events []*trail.Event, _ alerting.State, _ time.Time) alerting.Outcome {
			for _, e := range events {
				ids = append(ids, e.ID)
			}
			return alerting.Outcome{}
		})
		if want := []string{"1-bob-2", "1-bob-3", "1-bob-4"}; !slices.Equal(ids, want) {
			t.Errorf("restart %v: events %v, want %v", restart, ids, want)
		}
	}
}

func TestFoldMissesNoEventThatComesMeanwhile(t *testing.T) {
	for _, cached := range []bool{true, false} {
		j := temp(t)
		if !cached {
			j.cache.bound = 0
		}
		mustAppend(t, j, event("1", "bob", 1))
		mustFold(t, j, func(events []*trail.Event, st alerting.State, now time.Time) alerting.Outcome {
			mustAppend(t, j, event("1", "bob", 2))
			return each(events, st, now)
		})
		if got := mustFold(t, j, each); !slices.Equal(got, []string{"alert-1-bob-2"}) {
			t.Errorf("cached %v: then alerted %v", cached, got)
		}
	}
}

// A fold is stored whole or not at all, whether the failed commit reached the
// disk or not.
func TestFoldIsOneTransaction(t *testing.T) {
	injected := errors.New("injected")
	for _, persisted := range []bool{false, true} {
		for _, restart := range []bool{false, true} {
			j := temp(t)
			mustAppend(t, j, event("1", "bob", 1), event("1", "bob", 2))
			deadline := event("1", "bob", 3)
			deadline.Name = trail.Deadline
			f := func(events []*trail.Event, st alerting.State, now time.Time) alerting.Outcome {
				out := each(events, st, now)
				out.Drop, out.Deadlines, out.Next = []string{"1-bob-1"}, []*trail.Event{deadline}, start.Add(time.Hour)
				return out
			}
			update := j.store.Update
			j.store.Update = func(f func(*bolt.Tx) error) error {
				err := update(func(tx *bolt.Tx) error {
					if err := f(tx); err != nil || persisted {
						return err
					}
					return injected
				})
				return errors.Join(err, injected)
			}
			if _, err := j.Fold(t.Context(), start, f, func(Folded) { t.Error("called back before it was stored") }); !errors.Is(err, injected) {
				t.Fatalf("got %v", err)
			}
			j.store.Update = update
			if restart {
				j = reopen(t, j)
			}
			if err := j.Register("late"); err != nil { // its place says how many alerts there are
				t.Fatal(err)
			}
			mustFold(t, j, f)
			mustAppend(t, j, event("1", "bob", 4))
			var ids []string
			alerted := mustFold(t, j, func(events []*trail.Event, st alerting.State, now time.Time) alerting.Outcome {
				for _, e := range events {
					ids = append(ids, e.ID)
				}
				return each(events, st, now)
			})
			if want := []string{"1-bob-2", "1-bob-3", "1-bob-4"}; !slices.Equal(ids, want) {
				t.Errorf("persisted %v, restart %v: events %v, want %v", persisted, restart, ids, want)
			}
			if want := []string{"alert-1-bob-4"}; !slices.Equal(alerted, want) {
				t.Errorf("persisted %v, restart %v: alerted %v, want %v", persisted, restart, alerted, want)
			}
			pending, err := j.Pending("late", 0, 10)
			want := 3
			if persisted && restart {
				want = 1
			}
			if persisted && !restart {
				want = 1
			}
			if err != nil || len(pending) != want {
				t.Errorf("persisted %v, restart %v: %d alerts after the fault, %v, want %d", persisted, restart, len(pending), err, want)
			}
		}
	}
}

// One account that cannot be folded does not keep the others.
func TestFoldPanicOfOneAccount(t *testing.T) {
	j := temp(t)
	mustAppend(t, j, event("1", "bob", 1), event("2", "eve", 1), event("3", "al", 1))
	sick := true
	f := func(events []*trail.Event, st alerting.State, now time.Time) alerting.Outcome {
		if sick && events[0].Account == "2" {
			panic("sick")
		}
		return each(events, st, now)
	}
	var alerted []string
	_, err := j.Fold(t.Context(), start, f, func(f Folded) { alerted = append(alerted, f.Lane) })
	if err == nil || !strings.Contains(err.Error(), "fold account aws/2: panic: sick") {
		t.Errorf("got %v", err)
	}
	if !slices.Equal(alerted, []string{"aws/1", "aws/3"}) {
		t.Errorf("folded %v, want the others", alerted)
	}
	sick = false
	if got := mustFold(t, j, f); !slices.Equal(got, []string{"alert-2-eve-1"}) {
		t.Errorf("then alerted %v", got)
	}
}

func TestFoldDiskFull(t *testing.T) {
	j := temp(t)
	mustAppend(t, j, event("1", "bob", 1))
	file(j).MaxSize = 1 // any growth fails
	var err error
	for i := 2; i < 2000 && err == nil; i++ {
		_, err = j.Append(t.Context(), []*trail.Event{event("1", "bob", i)})
	}
	if err == nil {
		t.Fatal("the file did not fill up")
	}
	file(j).MaxSize = 0
	mustAppend(t, j, event("1", "eve", 1))
	j = reopen(t, j)
	if got := mustFold(t, j, each); !slices.Contains(got, "alert-1-eve-1") || !slices.Contains(got, "alert-1-bob-1") {
		t.Errorf("after the disk had space again: alerted %v", got)
	}
}

func TestCacheIsBounded(t *testing.T) {
	j := temp(t)
	j.cache.bound = 20_000
	for _, account := range []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"} {
		for i := range 10 {
			mustAppend(t, j, event(account, "bob", i))
		}
		mustFold(t, j, each)
		size := 0
		for el := j.cache.order.Front(); el != nil; el = el.Next() {
			size += eventSize(len(el.Value.(*decoded).name))
			for _, it := range el.Value.(*decoded).items {
				size += it.size
			}
		}
		if size != j.cache.size || size > j.cache.bound {
			t.Fatalf("cache of %d bytes says %d, bound %d", size, j.cache.size, j.cache.bound)
		}
	}
	if j.cache.order.Len() < 2 {
		t.Errorf("%d accounts held", j.cache.order.Len())
	}
}

type decoded = subject // for where a variable has its name

// An event appended while its account is loaded is in the cache afterwards.
func TestAppendsWhileLoading(t *testing.T) {
	j := temp(t)
	const before, during = 1000, 50
	mustAppend(t, j, events(before)...)
	mustFold(t, j, each)
	j.cache.clear()
	mustAppend(t, j, event("1", "eve", 0))
	appended := make(chan struct{})
	go func() {
		defer close(appended)
		for i := range during {
			mustAppend(t, j, event("1", "al", i))
		}
	}()
	alerted := len(mustFold(t, j, each))
	<-appended
	alerted += len(mustFold(t, j, each))
	if alerted != 1+during {
		t.Errorf("%d alerted, want %d", alerted, 1+during)
	}
}

// Concurrent appends and folds, with accounts that come and go in the cache, lose
// nothing.
func TestAppendsWhileFolding(t *testing.T) {
	j := temp(t)
	j.cache.bound = 2000
	const appenders, many = 4, 60
	var wg sync.WaitGroup
	for a := range appenders {
		wg.Go(func() {
			for i := range many {
				mustAppend(t, j, event(fmt.Sprint((a+i)%3), fmt.Sprint(a), i))
			}
		})
	}
	appended := make(chan struct{})
	go func() { wg.Wait(); close(appended) }()
	alerted := map[string]bool{}
	for last := false; !last; {
		select {
		case <-appended:
			last = true
		default:
		}
		for _, id := range mustFold(t, j, each) {
			if alerted[id] {
				t.Errorf("%s was alerted twice", id)
			}
			alerted[id] = true
		}
	}
	if len(alerted) != appenders*many {
		t.Errorf("%d alerted, want %d", len(alerted), appenders*many)
	}
}
