package journal

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Bounds on what one transaction of Prune removes, and one look finds.
const (
	pruneStep = 1000
	pruneLook = 100_000
)

// A removal is a key to delete, in the bucket at the end of the path.
type removal struct {
	path [][]byte
	key  []byte
}

// A finder finds what can go.
type finder func(tx *bolt.Tx, add func(key []byte, path ...[]byte)) error

// Prune removes what is older than the retention and needed no more: alerts
// that every registered sink is done with, the IDs of events seen, references
// of exposures that are not open, and records kept aside. Dead letters stay.
func (j *Journal) Prune(ctx context.Context, now time.Time) error {
	before := now.Add(-j.retention)
	for _, find := range []finder{j.oldAlerts(before), oldSeen(before), j.oldRefs(before), oldAsides(before)} {
		var found []removal
		err := j.view(func(tx *bolt.Tx) error {
			return find(tx, func(key []byte, path ...[]byte) {
				if len(found) < pruneLook {
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
	return j.commit(change{
		do: func(tx *bolt.Tx) error {
			for _, r := range removals {
				b := tx.Bucket(r.path[0])
				for _, name := range r.path[1:] {
					b = b.Bucket(name)
				}
				if err := b.Delete(r.key); err != nil {
					return err
				}
			}
			return nil
		},
		done: func() {},
	})
}

// oldAlerts finds alerts, and the marks that they were told, up to the first
// that some registered sink may still need.
func (j *Journal) oldAlerts(before time.Time) finder {
	j.mu.Lock()
	needed := j.last + 1
	for _, p := range j.places {
		needed = min(needed, p.next)
	}
	j.mu.Unlock()
	return func(tx *bolt.Tx, add func([]byte, ...[]byte)) error {
		c := tx.Bucket(alertsBucket).Cursor()
		for k, v := c.First(); k != nil && string(k) < string(numberKey(needed)); k, v = c.Next() {
			p, body, err := splitAlert(k, v)
			if err != nil {
				return err
			}
			if !p.Since.Before(before) {
				return nil
			}
			var a struct{ ID string }
			if err := json.Unmarshal(body, &a); err != nil {
				return fmt.Errorf("%w: alert %d: %w", ErrDamaged, p.Number, err)
			}
			add(k, alertsBucket)
			add(nameKey(a.ID), toldBucket)
		}
		return nil
	}
}

func oldSeen(before time.Time) finder {
	return func(tx *bolt.Tx, add func([]byte, ...[]byte)) error {
		return tx.Bucket(seenBucket).ForEach(func(k, v []byte) error {
			if len(v) == 8 && keyTime(v).Before(before) {
				add(k, seenBucket)
			}
			return nil
		})
	}
}

// oldRefs finds references that were kept last before the time. An exposure that
// is open keeps its own and that of its campaign, however long; of one that is not, resolved or never,
// an alert may still be pending.
func (j *Journal) oldRefs(before time.Time) finder {
	needed := map[string]bool{}
	for _, o := range j.Open() {
		needed[string(nameKey(o.ID))], needed[string(nameKey(o.Campaign))] = true, true
	}
	return func(tx *bolt.Tx, add func([]byte, ...[]byte)) error {
		alerts := tx.Bucket(alertsBucket).Cursor()
		for k, v := alerts.First(); k != nil; k, v = alerts.Next() {
			p, _, err := splitAlert(k, v)
			if err != nil {
				return err
			}
			needed[p.Line] = true
		}
		sinks := tx.Bucket(sinksBucket)
		return sinks.ForEachBucket(func(sink []byte) error {
			path := [][]byte{sinksBucket, slices.Clone(sink), refsBucket}
			return sinks.Bucket(sink).Bucket(refsBucket).ForEach(func(k, v []byte) error {
				var r ref
				if json.Unmarshal(v, &r) != nil || r.Time.Before(before) && (r.Over || !needed[string(k)]) {
					add(k, path...)
				}
				return nil
			})
		})
	}
}

func oldAsides(before time.Time) finder {
	return func(tx *bolt.Tx, add func([]byte, ...[]byte)) error {
		return tx.Bucket(asideBucket).ForEach(func(k, v []byte) error {
			r, err := decodeAside(k, v)
			if err == nil && r.Time.Before(before) {
				add(k, asideBucket)
			}
			return err
		})
	}
}
