package journal

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// A Folder returns the outcome of all events of one account and the state kept of
// it. It must be pure: Fold may call it again for the same events. It
// must change neither them nor st.
type Folder func(events []*trail.Event, st exposure.State, now time.Time) exposure.Outcome

// Folded lists the alerts that a fold added to the journal.
type Folded struct {
	Account string            // partition/account
	Alerts  []*exposure.Alert // without those that were journalled before
}

// Bounds of one transaction of Fold.
const (
	maxFolds     = 64
	maxFoldBytes = 4 << 20
)

// Fold runs f for every account that has events since its last fold or is due,
// and stores the outcome of each in one transaction: state, alerts, deadline
// events, dropped events, due time. Then it calls folded, which may be nil, for
// each account. Fold returns when the next account is due; zero means that only
// a new event makes one due. If an account fails, even by a panic of f, the
// others are folded all the same, and the next Fold retries it.
func (j *Journal) Fold(ctx context.Context, now time.Time, f Folder, folded func(Folded)) (due time.Time, err error) {
	j.folding.Lock()
	defer j.folding.Unlock()
	if err := j.throttle(ctx); err != nil {
		return time.Time{}, err
	}
	started := time.Now()
	defer func() { j.folded, j.foldTime = time.Now(), time.Since(started) }()
	refold := j.takeRefold()
	defer func() { j.putRefold(refold) }() // those that are left
	names, since, err := j.due(now, refold)
	if err != nil {
		return time.Time{}, fmt.Errorf("fold: %w", err)
	}
	var errs []error
	var batch []*outcome
	size := 0
	flush := func() {
		if len(batch) > 0 {
			err := j.store(batch, now, folded)
			errs = append(errs, err)
			for _, o := range batch {
				if err == nil {
					delete(refold, o.account.name)
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
	err = j.view(func(tx *tx) error {
		if k := tx.table(dueTable).first(); k != nil {
			due = keyExact(k)
		}
		return nil
	})
	return due, errors.Join(append(errs, err, ctx.Err())...)
}

// maxThrottle bounds how long Fold waits before it starts.
const maxThrottle = 250 * time.Millisecond

// throttle keeps Fold from using more than half of the time: an account in a
// burst is folded as a whole again and again, and the more events each fold
// covers, the sooner all are alerted.
func (j *Journal) throttle(ctx context.Context) error {
	wait := min(j.foldTime, maxThrottle) - time.Since(j.folded)
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

// Refold makes the next Fold refold every account with an open exposure, since f
// may decide otherwise from now on.
func (j *Journal) Refold() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.refold = make(map[string]bool, len(j.open))
	for name := range j.open {
		j.refold[name] = true
	}
	j.appended.fire()
}

// takeRefold takes the accounts before any of them is folded: an earlier fold
// still used the old f.
func (j *Journal) takeRefold() map[string]bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	refold := j.refold
	j.refold = nil
	return refold
}

func (j *Journal) putRefold(left map[string]bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(left) > 0 {
		maps.Copy(left, j.refold)
		j.refold = left
	}
}

// due lists the accounts to fold: those that are due, then those with new
// events, with the time of the first, then those to refold.
func (j *Journal) due(now time.Time, refold map[string]bool) (names []string, since map[string]time.Time, err error) {
	listed := map[string]bool{}
	since = map[string]time.Time{}
	list := func(name []byte) {
		if !listed[string(name)] {
			listed[string(name)] = true
			names = append(names, string(name))
		}
	}
	err = j.view(func(tx *tx) (err error) {
		for k := range tx.table(dueTable).ascend(&err, nil) {
			if keyExact(k).After(now) {
				break
			}
			list(k[8:])
		}
		if err != nil {
			return err
		}
		for k, v := range tx.table(dirtyTable).ascend(&err, nil) {
			list(k)
			if _, since[string(k)], err = splitMark(k, v); err != nil {
				return err
			}
		}
		return err
	})
	for _, name := range slices.Sorted(maps.Keys(refold)) {
		list([]byte(name))
	}
	return names, since, err
}
