package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// A Folder says what follows from all events of one account and what was kept
// of it. It must be pure: it may be called again for the same events, and must
// change neither them nor st.
type Folder func(events []*trail.Event, st exposure.State, now time.Time) exposure.Outcome

// Folded is what a fold added to the journal.
type Folded struct {
	Account string            // partition/account
	Alerts  []*exposure.Alert // without those that were journalled before
}

// Bounds of one transaction of Fold.
const (
	maxFolds     = 64
	maxFoldBytes = 4 << 20
)

// Fold runs f for every account that has events since its last fold, or whose
// time to look again has come, and stores the outcome of each in one
// transaction: state, alerts, deadline events, dropped events, next look. told
// may be nil; it is called for each account once that is on disk. Fold returns
// when to look again, zero if only a new event can be the reason. An account
// that fails, even by a panic of f, does not keep the others from being folded;
// it is folded again by the next Fold.
func (j *Journal) Fold(ctx context.Context, now time.Time, f Folder, told func(Folded)) (next time.Time, err error) {
	j.folding.Lock()
	defer j.folding.Unlock()
	if err := j.breathe(ctx); err != nil {
		return time.Time{}, err
	}
	begin := time.Now()
	defer func() { j.folded, j.foldTime = time.Now(), time.Since(begin) }()
	anew := j.takeAnew()
	defer func() { j.putAnew(anew) }() // what is left of them
	names, since, err := j.ripe(now, anew)
	if err != nil {
		return time.Time{}, fmt.Errorf("fold: %w", err)
	}
	var errs []error
	var batch []*outcome
	size := 0
	flush := func() {
		if len(batch) > 0 {
			err := j.store(batch, now, told)
			errs = append(errs, err)
			for _, o := range batch {
				if err == nil {
					delete(anew, o.account.name)
				}
			}
		}
		batch, size = nil, 0
	}
	for _, name := range names {
		if ctx.Err() != nil {
			break
		}
		o, err := j.fold(name, since[name], now, f)
		if err != nil {
			errs = append(errs, fmt.Errorf("fold account %s: %w", name, err))
			continue
		}
		batch = append(batch, o)
		if size += o.size; len(batch) == maxFolds || size > maxFoldBytes {
			flush()
		}
	}
	flush()
	err = j.view(func(tx *bolt.Tx) error {
		if k, _ := tx.Bucket(dueBucket).Cursor().First(); k != nil {
			next = dueTime(k)
		}
		return nil
	})
	return next, errors.Join(append(errs, err, ctx.Err())...)
}

// maxBreath bounds how long Fold holds off.
const maxBreath = 250 * time.Millisecond

// Anew has the next Fold fold every account in which an exposure is open, too,
// since what f says of them may be another from now on.
func (j *Journal) Anew() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.anew = make(map[string]bool, len(j.open))
	for name := range j.open {
		j.anew[name] = true
	}
}

// takeAnew takes those before any of them is folded: what f was before is not
// what Anew asked for.
func (j *Journal) takeAnew() map[string]bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	anew := j.anew
	j.anew = nil
	return anew
}

func (j *Journal) putAnew(left map[string]bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(left) > 0 {
		maps.Copy(left, j.anew)
		j.anew = left
	}
}

// breathe keeps Fold from taking more than half of the time: an account in a
// burst is folded as a whole again and again, and the more events each fold
// takes up, the sooner all are told.
func (j *Journal) breathe(ctx context.Context) error {
	wait := min(j.foldTime, maxBreath) - time.Since(j.folded)
	if wait <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// ripe lists the accounts to fold: those whose time has come, then those with
// new events, and since when they have them, then those that are to be folded anew.
func (j *Journal) ripe(now time.Time, anew map[string]bool) (names []string, since map[string]time.Time, err error) {
	listed := map[string]bool{}
	since = map[string]time.Time{}
	list := func(name []byte) {
		if !listed[string(name)] {
			listed[string(name)] = true
			names = append(names, string(name))
		}
	}
	err = j.view(func(tx *bolt.Tx) error {
		c := tx.Bucket(dueBucket).Cursor()
		for k, _ := c.First(); k != nil && !dueTime(k).After(now); k, _ = c.Next() {
			list(k[8:])
		}
		return tx.Bucket(dirtyBucket).ForEach(func(k, mark []byte) error {
			list(k)
			_, since[string(k)] = splitMark(mark)
			return nil
		})
	})
	for _, name := range slices.Sorted(maps.Keys(anew)) {
		list([]byte(name))
	}
	return names, since, err
}

// An outcome is a fold on its way into the file.
type outcome struct {
	account   *account // as it was folded
	record    record
	sealed    []byte // the record
	alerts    []alertEntry
	deadlines []entry
	dropped   map[string]bool // keys of events
	size      int

	added    []addition   // of deadlines; set by the transaction
	numbered []alertEntry // of alerts, those that are new; set by the transaction
}

// fold folds an account, whose alerts count from since if that is before now.
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
	o := &outcome{account: a, record: record{State: out.State, Open: out.Open, Next: sensible(out.Next, now)}}
	if o.sealed, err = encodeRecord([]byte(name), o.record); err != nil {
		return nil, err
	}
	o.size = len(o.sealed)
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
		o.size += len(e.sealed)
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

// account returns the account as it is on disk, from memory where it is held.
func (j *Journal) account(name string) (*account, error) {
	if a := j.cache.get(name); a != nil {
		return a, nil
	}
	// No append may fall between what is read and what the cache then shows.
	j.write.Lock()
	defer j.write.Unlock()
	var a *account
	err := j.view(func(tx *bolt.Tx) (err error) {
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

// sensible keeps a next look from being at once, again and again, or past what
// a key can hold.
func sensible(next, now time.Time) time.Time {
	switch {
	case next.IsZero(), next.Year() > 2200:
		return time.Time{}
	case next.Before(now.Add(time.Second)):
		return now.Add(time.Second)
	}
	return next
}

func (j *Journal) store(batch []*outcome, now time.Time, told func(Folded)) error {
	alerts := 0
	err := j.commit(change{
		do: func(tx *bolt.Tx) error {
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
	if told != nil {
		for _, o := range batch {
			f := Folded{Account: o.account.name}
			for _, a := range o.numbered {
				f.Alerts = append(f.Alerts, a.alert)
			}
			told(f)
		}
	}
	if alerts > 0 {
		j.alerted.fire()
	}
	j.moved.fire()
	return nil
}

func (o *outcome) put(tx *bolt.Tx, now time.Time) error {
	name := []byte(o.account.name)
	// The mark stays if an event came after those that were folded.
	dirty := tx.Bucket(dirtyBucket)
	generation, _ := splitMark(dirty.Get(name))
	var err error
	switch {
	case generation > o.account.generation:
		err = dirty.Put(name, dirtyMark(generation, now))
	case generation > 0:
		err = dirty.Delete(name)
	}
	if err != nil {
		return err
	}
	if err := o.putRecord(tx, name); err != nil {
		return err
	}
	events := tx.Bucket(eventsBucket)
	for key := range o.dropped {
		if err := events.Delete([]byte(key)); err != nil {
			return err
		}
	}
	// The outcome knows of its deadlines: they are no reason to fold again.
	if o.added, err = putEntries(tx, o.deadlines, now, false); err != nil {
		return err
	}
	o.numbered, err = putAlerts(tx, o.alerts)
	return err
}

func (o *outcome) putRecord(tx *bolt.Tx, name []byte) error {
	accounts, due := tx.Bucket(accountBucket), tx.Bucket(dueBucket)
	if old := accounts.Get(name); old != nil {
		if bytes.Equal(old, o.sealed) {
			return nil
		}
		next, err := recordNext(name, old)
		if err != nil {
			return err
		}
		if !next.IsZero() {
			if err := due.Delete(dueKey(next, name)); err != nil {
				return err
			}
		}
	}
	if err := accounts.Put(name, o.sealed); err != nil {
		return err
	}
	if o.record.Next.IsZero() {
		return nil
	}
	return due.Put(dueKey(o.record.Next, name), present)
}
