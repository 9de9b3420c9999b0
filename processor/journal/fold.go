package journal

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal/store"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// A Folder returns the outcome of all events of one subject and the state kept of
// it. It must be pure: Fold calls it again with the events that other subjects
// derive. It must change neither them nor st.
type Folder func(events []*trail.Event, st alerting.State, now time.Time) alerting.Outcome

// Folded lists the alerts that a fold added to the journal.
type Folded struct {
	Lane   string            // partition/account, or an actor's identity
	Alerts []*exposure.Alert // without those that were journalled before
}

// Bounds of one transaction of Fold. Subjects that derived events reach may
// exceed them by as much again.
const (
	maxFolds     = 256
	maxFoldBytes = 4 << 20
)

// maxPasses bounds how often Fold continues with what its own folds made due.
const maxPasses = 8

// Fold runs f for every subject that has events since its last fold or is due,
// and for those that their derived events reach, and stores the outcome of each
// in one transaction: state, alerts, deadline events, derived events, dropped
// events, due time. Then it calls folded, which may be nil, for each subject. Fold
// returns when the next subject is due; zero means that only a new event makes one
// due. If a subject fails, even by a panic of f, the others are folded all the
// same, and the next Fold retries it.
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
	for pass := 0; len(names) > 0 && pass < maxPasses && ctx.Err() == nil; pass++ {
		var next []string
		for len(names) > 0 && ctx.Err() == nil {
			b := &batch{j: j, now: now, since: since, folder: f, parts: map[string]*folding{}}
			names = b.load(names)
			err := b.run()
			if err == nil {
				err = j.storeBatch(b, folded)
			}
			switch {
			case errors.Is(err, errJoined):
				next = append(next, b.names...)
				continue
			case err == nil:
				next = append(next, b.left...)
				for _, p := range b.parts {
					if p.part.Err == nil {
						delete(refold, p.subject.name)
					}
				}
			}
			errs = append(errs, err, b.failures())
		}
		names = next
	}
	err = j.store.View(func(tx *store.Tx) error {
		if k := tx.Table(dueTable).First(); k != nil {
			due = store.KeyExact(k)
		}
		return nil
	})
	return due, errors.Join(append(errs, err, ctx.Err())...)
}

// maxThrottle bounds how long Fold waits before it starts.
const maxThrottle = 250 * time.Millisecond

// throttle keeps Fold from using more than half of the time: a subject in a
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

// Refold makes the next Fold refold every subject with an open exposure, since f
// may decide otherwise from now on.
func (j *Journal) Refold() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.refold = maps.Clone(j.live)
	j.appended.Fire()
}

// takeRefold takes the subjects before any of them is folded: an earlier fold
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

// due lists the subjects to fold: those that are due, then those with new
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
	err = j.store.View(func(tx *store.Tx) (err error) {
		for k := range tx.Table(dueTable).Ascend(&err, nil) {
			if store.KeyExact(k).After(now) {
				break
			}
			list(k[8:])
		}
		if err != nil {
			return err
		}
		for k, v := range tx.Table(dirtyTable).Ascend(&err, nil) {
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
