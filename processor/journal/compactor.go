package journal

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/mfawatch/mfawatch/processor/journal/store"
)

// Bounds on the entries that one transaction of Prune removes, and one search finds.
const (
	pruneStep   = 1000
	pruneSearch = 100_000
)

// A removal is a key to delete, in the table at the path.
type removal struct {
	path []string
	key  []byte
}

// A finder calls add with each entry to remove.
type finder func(tx *store.Tx, add func(key []byte, path ...string)) error

// Compact removes entries that are older than the retention and not needed any
// more: alerts that every registered sink has acked with their deliveries, the IDs of events seen,
// references of exposures that are not open, and quarantined records. Dead
// letters stay.
func (j *Journal) Compact(ctx context.Context, now time.Time) error {
	before := now.Add(-j.retention)
	for _, find := range []finder{j.oldAlerts(before), oldSeen(before), j.oldRefs(before), oldQuarantined(before)} {
		var found []removal
		err := j.store.View(func(tx *store.Tx) error {
			return find(tx, func(key []byte, path ...string) {
				if len(found) < pruneSearch {
					found = append(found, removal{path, slices.Clone(key)})
				}
			})
		})
		if err != nil {
			return fmt.Errorf("prune: %w", err)
		}
		for step := range slices.Chunk(found, pruneStep) {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := j.remove(step); err != nil {
				return fmt.Errorf("prune: %w", err)
			}
		}
	}
	return nil
}

func (j *Journal) remove(removals []removal) error {
	return j.store.Commit(store.Change{
		Do: func(tx *store.Tx) error {
			for _, r := range removals {
				if err := tx.Table(r.path...).Delete(r.key); err != nil {
					return err
				}
			}
			return nil
		},
	})
}

// oldAlerts finds alerts, and their IDs, up to the first that a registered sink
// may still need.
func (j *Journal) oldAlerts(before time.Time) finder {
	j.mu.Lock()
	needed := j.last + 1
	for _, c := range j.cursors {
		needed = min(needed, c.next)
	}
	j.mu.Unlock()
	return func(tx *store.Tx, add func([]byte, ...string)) (err error) {
		sinks := map[string]*sinkStore{}
		err = eachSink(tx, func(name string, s *sinkStore) error {
			sinks[name] = s
			return nil
		})
		if err != nil {
			return err
		}
		for k, v := range tx.Table(alertTable).Ascend(&err, nil) {
			p, _, err := splitAlert(k, v)
			if err != nil {
				return err
			}
			if p.Number >= needed || !p.Since.Before(before) {
				break
			}
			for name, s := range sinks {
				if s.deliveries.Has(k) {
					add(k, sinkTables, name, deliveryTable)
				}
			}
			add([]byte(p.id), alertIDTable)
			add(k, alertTable) // last: what the bound leaves out is found again by it
		}
		return err
	}
}

func oldSeen(before time.Time) finder {
	return func(tx *store.Tx, add func([]byte, ...string)) (err error) {
		for k, v := range tx.Table(seenTable).Ascend(&err, nil) {
			if len(v) != 8 {
				return store.Damaged(k)
			}
			if store.KeySeconds(v).Before(before) {
				add(k, seenTable)
			}
		}
		return err
	}
}

// oldRefs finds references that were kept last before the time. An open exposure
// keeps its own and that of its campaign, however old; so does one of which an
// alert is in the journal, unless it is resolved.
func (j *Journal) oldRefs(before time.Time) finder {
	needed := map[string]bool{}
	for _, o := range j.Open() {
		needed[string(store.NameKey(o.ID))], needed[string(store.NameKey(o.Campaign))] = true, true
	}
	return func(tx *store.Tx, add func([]byte, ...string)) (err error) {
		for k, v := range tx.Table(alertTable).Ascend(&err, nil) {
			p, _, err := splitAlert(k, v)
			if err != nil {
				return err
			}
			needed[p.Lane] = true
		}
		if err != nil {
			return err
		}
		return eachSink(tx, func(name string, s *sinkStore) (err error) {
			for k := range s.refs.Ascend(&err, nil) {
				r, err := s.ref(string(k))
				if err != nil {
					return err
				}
				if r.Time.Before(before) && (r.Over || !needed[string(k)]) {
					add(k, sinkTables, name, refTable)
				}
			}
			return err
		})
	}
}

func oldQuarantined(before time.Time) finder {
	return func(tx *store.Tx, add func([]byte, ...string)) (err error) {
		for k, v := range tx.Table(quarantineTable).Ascend(&err, nil) {
			r, err := decodeAside(k, v)
			if err != nil {
				return err
			}
			if r.Time.Before(before) {
				add(k, quarantineTable)
			}
		}
		return err
	}
}
