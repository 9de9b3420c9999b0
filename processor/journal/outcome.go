package journal

import (
	"bytes"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/processor/journal/store"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// errJoined is returned by a transaction that would store the outcome of a
// subject to which another one was joined meanwhile. It is folded again.
var errJoined = errors.New("a subject was joined while it was folded")

// An outcome is a fold on its way into the file.
type outcome struct {
	subject   *subject // as it was folded
	record    record
	value     []byte // the record, encoded
	alerts    []outbox.Entry
	arrived   []entry // derived events of others
	deadlines []entry
	derived   []entry         // for subjects that are not stored with it
	away      []*trail.Event  // derived events of lanes that other journals fold
	dropped   map[uint64]bool // numbers of events
	forgotten bool            // nothing is kept

	added    []addition     // of arrived and deadlines; set by the transaction
	numbered []outbox.Entry // of alerts, those that are new; set by the transaction
}

// newOutcome encodes the outcome of a part. Its alerts count from since if that
// is before now.
func newOutcome(p *folding, since, now time.Time) (o *outcome, err error) {
	if since.IsZero() || since.After(now) {
		since = now
	}
	out := p.part.Outcome
	o = &outcome{subject: p.subject, record: record{State: out.State, Open: out.Open, Live: out.Live || len(out.Open) > 0, Due: dueTime(out, now)}}
	if o.value, err = encodeRecord(o.record); err != nil {
		return nil, err
	}
	for _, al := range out.Alerts {
		e, err := outbox.NewEntry(al, since)
		if err != nil {
			return nil, err
		}
		o.alerts = append(o.alerts, e)
	}
	o.arrived, o.deadlines = newEntries(p.part.Arrived), newEntries(out.Deadlines)
	for _, e := range o.deadlines {
		if lane := laneName(e.event); lane != subjectLane(p.subject.name) {
			return nil, fmt.Errorf("deadline event %q is of %s", e.event.ID, lane)
		}
	}
	o.drop(out.Drop)
	left := len(p.subject.items) - len(o.dropped) + len(o.deadlines)
	for _, e := range o.arrived {
		if !e.dropped {
			left++
		}
	}
	o.forgotten = left == 0 && out.State.IsZero() && o.record.Due.IsZero()
	return o, nil
}

func newEntries(events []*trail.Event) (entries []entry) {
	for _, e := range events {
		entries = append(entries, newEntry(e))
	}
	return entries
}

// drop finds the events to be dropped.
func (o *outcome) drop(drop []string) {
	if len(drop) == 0 {
		return
	}
	ids := make(map[string]bool, len(drop))
	for _, id := range drop {
		ids[id] = true
	}
	o.dropped = make(map[uint64]bool, len(drop))
	for _, it := range o.subject.items {
		if ids[it.event.ID] {
			o.dropped[it.number] = true
		}
	}
	for i, e := range o.arrived {
		o.arrived[i].dropped = ids[e.event.ID]
	}
}

// subject returns the subject as it is on disk, from the cache where it is held.
func (j *Journal) subject(name string) (*subject, error) {
	if s := j.cache.get(name); s != nil {
		return s, nil
	}
	// No append may come between reading the subject and caching it.
	defer j.store.Hold()()
	var s *subject
	err := j.store.View(func(tx *store.Tx) (err error) {
		s, err = loadSubject(tx, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	if s.joins >= 0 {
		j.cache.put(*s)
	}
	return s, nil
}

// call runs f; one subject's panic is its own.
func call(f Folder, events []*trail.Event, st alerting.State, now time.Time) (out alerting.Outcome, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return f(events, st, now), nil
}

// dueTime keeps a due time at least a second away, so that folds do not follow
// each other without a pause, and within the range of a key.
func dueTime(out alerting.Outcome, now time.Time) time.Time {
	due := out.Next
	if due.IsZero() || !out.Sweep.IsZero() && out.Sweep.Before(due) {
		due = out.Sweep
	}
	switch {
	case due.IsZero(), due.Year() > 2200:
		return time.Time{}
	case due.Before(now.Add(time.Second)):
		return now.Add(time.Second)
	}
	return due
}

func (j *Journal) storeBatch(b *batch, folded func(Folded)) error {
	outcomes := b.outcomes()
	var left []addition
	var joins []join
	alerts := 0
	err := j.store.Commit(store.Change{
		Do: func(tx *store.Tx) (err error) {
			left, joins = nil, nil
			for _, o := range outcomes {
				if err := o.put(tx, b.now); err != nil {
					return err
				}
			}
			for _, o := range outcomes {
				tx.Events = append(tx.Events, o.away...)
				added, joined, err := putEntries(tx, o.derived, b.now)
				if err != nil {
					return err
				}
				left, joins = append(left, added...), append(joins, joined...)
			}
			return putInOrder(tx, outcomes)
		},
		Done: func() {
			for _, o := range outcomes {
				alerts += j.show(o)
			}
			j.cache.add(left)
			j.joined(joins)
		},
	})
	if errors.Is(err, errJoined) {
		return err
	}
	if err != nil {
		return fmt.Errorf("store the fold of %d subjects: %w", len(outcomes), err)
	}
	for _, a := range left {
		if a.generation > 0 {
			b.left = append(b.left, a.subject)
		}
	}
	if folded != nil {
		for _, o := range outcomes {
			f := Folded{Lane: subjectLane(o.subject.name)}
			for _, a := range o.numbered {
				f.Alerts = append(f.Alerts, a.Alert)
			}
			folded(f)
		}
	}
	if alerts > 0 {
		outbox.Announce(j.Outbox)
	}
	outbox.Moved(j.Outbox).Fire()
	return nil
}

// show shows a stored outcome in memory, and returns how many alerts are new.
func (j *Journal) show(o *outcome) (alerts int) {
	name := o.subject.name
	if o.forgotten {
		j.cache.forget(name)
	} else {
		j.cache.add(o.added)
		j.cache.folded(name, o.record, o.dropped)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.open, name)
	delete(j.live, name)
	if len(o.record.Open) > 0 {
		j.open[name] = o.record.Open
	}
	if o.record.Live {
		j.live[name] = true
	}
	outbox.Show(j.Outbox, o.numbered)
	return len(o.numbered)
}

func (o *outcome) put(tx *store.Tx, now time.Time) error {
	name := []byte(o.subject.name)
	if err := o.ensureSubject(tx); err != nil {
		return err
	}
	// The mark stays if an event came after those that were folded.
	dirty := tx.Table(dirtyTable)
	generation, _, err := dirtyMark(dirty, name)
	if err != nil {
		return err
	}
	fresh := generation > o.subject.generation
	switch {
	case fresh:
		err = putMark(dirty, name, generation, now)
	case generation > 0:
		err = dirty.Delete(name)
	}
	if err != nil {
		return err
	}
	if err := putRecord(tx, name, o.value); err != nil {
		return err
	}
	// The outcome knows these events: they are no reason to fold again.
	arrived, err := putNew(tx, o.subject.name, o.arrived, now)
	if err != nil {
		return err
	}
	deadlines, err := putNew(tx, o.subject.name, o.deadlines, now)
	if err != nil {
		return err
	}
	o.added = append(arrived, deadlines...)
	if err := deleteEvents(tx, o.subject.name, o.dropped); err != nil {
		return err
	}
	if o.forgotten = o.forgotten && !fresh; o.forgotten {
		if err := forget(tx, name); err != nil {
			return err
		}
	}
	return nil
}

// putInOrder journals the alerts of all outcomes in order of time, those of each
// outcome in their own order.
func putInOrder(tx *store.Tx, outcomes []*outcome) error {
	var all []outbox.Entry
	owner := map[*exposure.Alert]*outcome{}
	next := make([]int, len(outcomes))
	for {
		first := -1
		for i, o := range outcomes {
			if next[i] < len(o.alerts) && (first < 0 || o.alerts[next[i]].Alert.Time.Before(outcomes[first].alerts[next[first]].Alert.Time)) {
				first = i
			}
		}
		if first < 0 {
			break
		}
		e := outcomes[first].alerts[next[first]]
		next[first]++
		all, owner[e.Alert] = append(all, e), outcomes[first]
	}
	numbered, err := outbox.Put(tx, all)
	for _, o := range outcomes {
		o.numbered = nil
	}
	for _, e := range numbered {
		o := owner[e.Alert]
		o.numbered = append(o.numbered, e)
	}
	return err
}

// ensureSubject makes sure that the subject is the one that was folded, and makes
// one that derived events begin.
func (o *outcome) ensureSubject(tx *store.Tx) error {
	k, known, err := subjectKeys(tx, []byte(o.subject.name))
	switch {
	case err != nil:
		return err
	case known && (k.Joins == o.subject.joins || o.subject.joins < 0 && k.Joins == 0):
		return nil
	case known, o.subject.joins >= 0, len(o.arrived) == 0:
		return errJoined
	}
	name, _, err := subjectOf(tx, o.arrived[0].event, time.Time{})
	if err == nil && name != o.subject.name {
		err = errJoined
	}
	return err
}

// forget removes a subject of which nothing is kept.
func forget(tx *store.Tx, name []byte) error {
	k, _, err := subjectKeys(tx, name)
	if err != nil {
		return err
	}
	index := tx.Table(keyTable)
	for _, key := range k.Keys {
		if err := index.Delete(laneKey(subjectLane(string(name)), key)); err != nil {
			return err
		}
	}
	if err := deleteRecord(tx, name); err != nil {
		return err
	}
	return tx.Table(subjectTable).Delete(name)
}

func putRecord(tx *store.Tx, name, value []byte) error {
	records := tx.Table(recordTable)
	old, err := records.Get(name)
	if err != nil || bytes.Equal(old, value) {
		return err
	}
	if err := deleteRecord(tx, name); err != nil {
		return err
	}
	due, err := recordDue(name, value)
	if err != nil {
		return err
	}
	if err := records.Put(name, value); err != nil {
		return err
	}
	if due.IsZero() {
		return nil
	}
	return tx.Table(dueTable).Put(dueKey(due, name), nil)
}

// deleteRecord removes the record of a subject, if it has one, and when it is due.
func deleteRecord(tx *store.Tx, name []byte) error {
	records := tx.Table(recordTable)
	old, err := records.Get(name)
	if err != nil || old == nil {
		return err
	}
	due, err := recordDue(name, old)
	if err != nil {
		return err
	}
	if !due.IsZero() {
		if err := tx.Table(dueTable).Delete(dueKey(due, name)); err != nil {
			return err
		}
	}
	return records.Delete(name)
}
