package journal

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/processor/journal/store"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
)

// A model keeps a journal's promises in memory.
type model struct {
	*testing.T
	j     *Journal
	r     *rand.Rand
	fault string // of the next transactions: "", "lost", "kept"

	log       *memoryLog     // nil: the journal has none
	committed func(*Journal) // after each transaction; may be nil

	acked map[string]bool            // alerts of events that Append took
	asked map[string]bool            // alerts of events that were offered to it
	acks  map[string]map[uint64]bool // by sink: Done or Bury accepted it
	tried map[string]map[uint64]bool // by sink: it was offered to them
	tries map[string]map[uint64]int  // by sink: attempts that Failed took; -1 if it may have
	gone  map[string]bool            // alerts that were pruned, which may be alerted again
	seen  []string                   // alerts, in the order of their numbers
}

var errInjected = errors.New("injected")

func (m *model) open(path string) {
	m.Helper()
	o := options()
	if m.log != nil {
		m.log.fault = ""
		o.ChangeLog = m.log
	}
	j, err := Open(path, o)
	if err != nil {
		m.Fatal(err)
	}
	m.j = j
	file(j).NoSync = true
	if m.r.IntN(3) == 0 {
		j.cache.bound = 4000 // accounts come and go
	}
	update := j.store.Update
	j.store.Update = func(f func(*bolt.Tx) error) error {
		switch {
		case m.log != nil:
			m.log.fault = m.fault
			err := update(f)
			if err == nil && m.committed != nil {
				m.committed(j)
			}
			return err
		case m.fault == "lost":
			return errors.Join(errInjected, update(func(tx *bolt.Tx) error {
				return cmpErr(f(tx), errInjected)
			}))
		case m.fault == "kept":
			return errors.Join(errInjected, update(f))
		}
		return update(f)
	}
	fault := m.fault
	m.fault = ""
	enlist(m, j, "a", "b")
	m.fault = fault
}

func cmpErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// took reports whether the call was accepted; it fails only where a fault was
// injected.
func (m *model) took(what string, err error) bool {
	m.Helper()
	if err != nil && (m.fault == "" || !errors.Is(err, errInjected)) {
		m.Fatalf("%s: %v", what, err)
	}
	if errors.Is(err, store.ErrLost) {
		m.restart()
	}
	return err == nil
}

func (m *model) append() {
	var events []*trail.Event
	for range 1 + m.r.IntN(4) {
		events = append(events, event(fmt.Sprint(m.r.IntN(3)), fmt.Sprint(m.r.IntN(3)), m.r.IntN(40)))
	}
	_, err := m.j.Append(context.Background(), events)
	for _, e := range events {
		m.asked[alert(e).ID] = true
		if err == nil {
			m.acked[alert(e).ID] = true
		}
	}
	m.took("append", err)
}

// folder alerts every event, drops some and adds a deadline now and then.
func folder(events []*trail.Event, st alerting.State, now time.Time) alerting.Outcome {
	out := each(events, st, now)
	for _, e := range events {
		if e.Name == trail.Deadline {
			continue
		}
		switch e.Time.Second() % 5 {
		case 0:
			out.Drop = append(out.Drop, e.ID)
		case 1:
			d := *e
			d.ID, d.Name = "deadline-"+e.ID, trail.Deadline
			out.Deadlines = append(out.Deadlines, &d)
		}
	}
	return out
}

func (m *model) fold() {
	_, err := m.j.Fold(context.Background(), start, folder, nil)
	m.took("fold", err)
}

func (m *model) deliver() {
	sink := []string{"a", "b"}[m.r.IntN(2)]
	pending, err := m.j.Pending(sink, 0, 100)
	if !m.took("pending", err) {
		return
	}
	for i, p := range pending {
		if m.acks[sink][p.Number] {
			m.Fatalf("alert %d is pending again for %s", p.Number, sink)
		}
		if want := m.tries[sink][p.Number]; want >= 0 && p.Attempts != want {
			m.Fatalf("alert %d failed %d times for %s, and %d are known", p.Number, want, sink, p.Attempts)
		}
		if i > 0 && p.Number <= pending[i-1].Number {
			m.Fatalf("pending out of order: %v", pending)
		}
	}
	if len(pending) == 0 {
		return
	}
	n := pending[m.r.IntN(len(pending))].Number
	if m.r.IntN(4) == 0 {
		attempts := 1 + m.r.IntN(9)
		m.tries[sink][n] = -1
		if m.took("failed", m.j.Failed(sink, outbox.Failure{Number: n, Attempts: attempts, First: start})) {
			m.tries[sink][n] = attempts
		}
		return
	}
	m.tried[sink][n] = true
	if m.r.IntN(5) == 0 {
		err = m.j.Bury(sink, outbox.DeadLetter{Number: n, Cause: "x"})
	} else {
		err = m.j.Done(sink, outbox.Result{Number: n})
	}
	if m.took("done", err) {
		m.acks[sink][n] = true
	}
}

// alerts are those in the journal, with their numbers.
func (m *model) alerts() map[string]uint64 {
	m.Helper()
	alerts := map[string]uint64{}
	err := m.j.store.View(func(tx *store.Tx) (err error) {
		for k, v := range tx.Table("alerts").Ascend(&err, nil) {
			var a exposure.Alert
			if err := json.Unmarshal(v[bytes.Index(v, []byte(`{"schema"`)):], &a); err != nil {
				return err
			}
			if alerts[a.ID] != 0 {
				m.Errorf("alert %s was journalled twice", a.ID)
			}
			alerts[a.ID] = binary.BigEndian.Uint64(k)
		}
		return err
	})
	if err != nil {
		m.Fatal(err)
	}
	return alerts
}

// prune removes all that the sinks are done with, as if long after.
func (m *model) prune() {
	before := m.alerts()
	m.took("prune", m.j.Compact(context.Background(), time.Now().AddDate(1, 0, 0)))
	after := m.alerts()
	for id, n := range before {
		if after[id] != 0 {
			continue
		}
		m.gone[id] = true
		for sink, tried := range m.tried {
			if !tried[n] {
				m.Fatalf("alert %d was pruned, and not acked by %s", n, sink)
			}
		}
	}
}

func (m *model) restart() {
	path := m.j.store.Path()
	if err := m.j.Close(); err != nil {
		m.Fatal(err)
	}
	m.open(path)
}

// check holds the journal against the model, when all is folded.
func (m *model) check() {
	m.fault = ""
	m.fold()
	alerts := m.alerts()
	for id, n := range alerts {
		for int(n) > len(m.seen) {
			m.seen = append(m.seen, "")
		}
		if was := m.seen[n-1]; was != "" && was != id {
			m.Errorf("alert %d was %s and is now %s", n, was, id)
		}
		m.seen[n-1] = id
		if !m.asked[id] {
			m.Errorf("alert %s of no event", id)
		}
	}
	for id := range m.acked {
		if alerts[id] == 0 && !m.gone[id] {
			m.Errorf("alert %s was lost", id)
		}
	}
	st, err := m.j.Stats()
	if err != nil {
		m.Fatal(err)
	}
	for _, sink := range []string{"a", "b"} {
		left := map[uint64]bool{}
		pending, err := m.j.Pending(sink, 0, 10000)
		if err != nil {
			m.Fatal(err)
		}
		for _, p := range pending {
			left[p.Number] = true
		}
		for _, n := range alerts {
			switch {
			case left[n] && m.acks[sink][n]:
				m.Errorf("alert %d is pending for %s, which acked it", n, sink)
			case !left[n] && !m.tried[sink][n]:
				m.Errorf("alert %d was never offered to %s and is not pending", n, sink)
			}
		}
		letters, err := m.j.DeadLetters(sink)
		if err != nil {
			m.Fatal(err)
		}
		if s := st.Sinks[sink]; s.Pending != len(pending) || s.Dead != len(letters) {
			m.Errorf("stats of %s: %+v, want %d pending and %d dead", sink, s, len(pending), len(letters))
		}
	}
}

// Whichever transaction fails, whatever is pruned, and however often the journal is
// opened again: every accepted event is kept, once.
func TestModel(t *testing.T) {
	for seed := range modelSeeds(15) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel() // it waits for the disk
			m := newTestModel(t, seed)
			m.open(t.TempDir() + "/mfawatch.db")
			defer func() { m.j.Close() }()
			m.run(150, m.anyFault)
		})
	}
}

// modelSeeds returns how many random runs a model has: n, or a third where tests do
// not run whole.
func modelSeeds(n uint64) uint64 {
	if trailtest.Whole() {
		return n
	}
	return n / 3
}

func newTestModel(t *testing.T, seed uint64) *model {
	m := &model{T: t, r: rand.New(rand.NewPCG(seed, 1)), acked: map[string]bool{}, asked: map[string]bool{}}
	m.acks = map[string]map[uint64]bool{"a": {}, "b": {}}
	m.tried = map[string]map[uint64]bool{"a": {}, "b": {}}
	m.tries = map[string]map[uint64]int{"a": {}, "b": {}}
	m.gone = map[string]bool{}
	return m
}

func (m *model) anyFault() string { return []string{"", "", "", "lost", "kept"}[m.r.IntN(5)] }

// run takes random steps and checks them.
func (m *model) run(steps int, fault func() string) {
	for range steps {
		m.fault = fault()
		switch m.r.IntN(11) {
		case 0, 1, 2:
			m.append()
		case 3, 4:
			m.fold()
		case 5, 6, 7, 8:
			m.deliver()
		case 9:
			m.restart()
		case 10:
			m.prune()
		}
		if m.r.IntN(20) == 0 {
			m.check()
		}
		if m.Failed() {
			return
		}
	}
	m.check()
	if len(m.acked) == 0 || len(slices.Collect(maps.Keys(m.acks["a"]))) == 0 {
		m.Error("the model did nothing")
	}
}
