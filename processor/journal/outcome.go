package journal

import (
	"bytes"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// An outcome is a fold on its way into the file.
type outcome struct {
	account   *account // as it was folded
	record    record
	value     []byte // the record, encoded
	alerts    []alertEntry
	deadlines []entry
	dropped   map[string]bool // keys of events
	size      int

	added    []addition   // of deadlines; set by the transaction
	numbered []alertEntry // of alerts, those that are new; set by the transaction
}

// fold folds an account. Its alerts count from since if that is before now.
func (j *Journal) fold(name string, since, now time.Time, f Folder) (*outcome, error) {
	if since.IsZero() || since.After(now) {
		since = now
	}
	a, err := j.account(name)
	if err != nil {
		return nil, err
	}
	out, err := call(f, a, now)
	if err != nil {
		return nil, err
	}
	o := &outcome{account: a, record: record{State: out.State, Open: out.Open, Due: dueTime(out.Next, now)}}
	if o.value, err = encodeRecord(o.record); err != nil {
		return nil, err
	}
	o.size = len(o.value)
	for _, al := range out.Alerts {
		e, err := newAlertEntry(al, since)
		if err != nil {
			return nil, err
		}
		o.alerts = append(o.alerts, e)
		o.size += len(e.value)
	}
	for _, d := range out.Deadlines {
		e, err := newEntry(d)
		if err != nil {
			return nil, err
		}
		if e.account != name {
			return nil, fmt.Errorf("deadline event %q is of account %q", d.ID, d.Account)
		}
		o.deadlines = append(o.deadlines, e)
		o.size += len(e.value)
	}
	if len(out.Drop) > 0 {
		ids := make(map[string]bool, len(out.Drop))
		for _, id := range out.Drop {
			ids[id] = true
		}
		o.dropped = make(map[string]bool, len(out.Drop))
		for _, it := range a.items {
			if ids[it.event.ID] {
				o.dropped[it.key] = true
			}
		}
	}
	return o, nil
}

// account returns the account as it is on disk, from the cache where it is held.
func (j *Journal) account(name string) (*account, error) {
	if a := j.cache.get(name); a != nil {
		return a, nil
	}
	// No append may come between reading the account and caching it.
	j.write.Lock()
	defer j.write.Unlock()
	var a *account
	err := j.view(func(tx *tx) (err error) {
		a, err = loadAccount(tx, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	j.cache.put(*a)
	return a, nil
}

// call runs f; one account's panic is its own.
func call(f Folder, a *account, now time.Time) (out exposure.Outcome, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return f(a.events(), a.record.State, now), nil
}

// dueTime keeps a due time at least a second away, so that folds do not follow
// each other without a pause, and within the range of a key.
func dueTime(due, now time.Time) time.Time {
	switch {
	case due.IsZero(), due.Year() > 2200:
		return time.Time{}
	case due.Before(now.Add(time.Second)):
		return now.Add(time.Second)
	}
	return due
}

func (j *Journal) store(batch []*outcome, now time.Time, folded func(Folded)) error {
	alerts := 0
	err := j.commit(change{
		do: func(tx *tx) error {
			for _, o := range batch {
				if err := o.put(tx, now); err != nil {
					return err
				}
			}
			return nil
		},
		done: func() {
			j.mu.Lock()
			defer j.mu.Unlock()
			for _, o := range batch {
				j.cache.folded(o.account.name, o.record, o.dropped)
				j.cache.add(o.added)
				delete(j.open, o.account.name)
				if len(o.record.Open) > 0 {
					j.open[o.account.name] = o.record.Open
				}
				for _, a := range o.numbered {
					j.last = a.number
					alerts++
				}
			}
		},
	})
	if err != nil {
		return fmt.Errorf("store the fold of %d accounts: %w", len(batch), err)
	}
	if folded != nil {
		for _, o := range batch {
			f := Folded{Account: o.account.name}
			for _, a := range o.numbered {
				f.Alerts = append(f.Alerts, a.alert)
			}
			folded(f)
		}
	}
	if alerts > 0 {
		j.alerted.fire()
	}
	j.moved.fire()
	return nil
}

func (o *outcome) put(tx *tx, now time.Time) error {
	name := []byte(o.account.name)
	// The mark stays if an event came after those that were folded.
	dirty := tx.table(dirtyTable)
	generation, _, err := dirtyMark(dirty, name)
	if err != nil {
		return err
	}
	switch {
	case generation > o.account.generation:
		err = putMark(dirty, name, generation, now)
	case generation > 0:
		err = dirty.delete(name)
	}
	if err != nil {
		return err
	}
	if err := o.putRecord(tx, name); err != nil {
		return err
	}
	events := tx.table(eventTable)
	for key := range o.dropped {
		if err := events.delete([]byte(key)); err != nil {
			return err
		}
	}
	// The outcome knows its deadlines: they are no reason to fold again.
	if o.added, err = putEntries(tx, o.deadlines, now, false); err != nil {
		return err
	}
	o.numbered, err = putAlerts(tx, o.alerts)
	return err
}

func (o *outcome) putRecord(tx *tx, name []byte) error {
	accounts, due := tx.table(accountTable), tx.table(dueTable)
	old, err := accounts.get(name)
	if err != nil || bytes.Equal(old, o.value) {
		return err
	}
	if old != nil {
		was, err := recordDue(name, old)
		if err != nil {
			return err
		}
		if !was.IsZero() {
			if err := due.delete(dueKey(was, name)); err != nil {
				return err
			}
		}
	}
	if err := accounts.put(name, o.value); err != nil {
		return err
	}
	if o.record.Due.IsZero() {
		return nil
	}
	return due.put(dueKey(o.record.Due, name), nil)
}
