package journal

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal/store"
)

// load reads the part of the file that is held in memory besides the cache, and
// refuses tables that contradict each other.
func (j *Journal) load(tx *store.Tx) error {
	j.cache.clear()
	last, err := tx.Table(store.StateTable).Number(lastAlertKey)
	if err != nil {
		return err
	}
	open, live, err := loadRecords(tx)
	if err != nil {
		return err
	}
	if err := checkKeys(tx); err != nil {
		return err
	}
	if err := checkAlerts(tx, last); err != nil {
		return err
	}
	if err := checkDirty(tx); err != nil {
		return err
	}
	cursors, err := loadCursors(tx, last)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.open, j.live, j.last = open, live, last
	for name, c := range j.cursors {
		if stored, ok := cursors[name]; ok {
			*c = stored
		}
	}
	return nil
}

// loadRecords returns the open exposures, and the subjects that another policy
// may concern. The due times have to be those of the subjects' own records.
func loadRecords(tx *store.Tx) (open map[string][]exposure.Open, live map[string]bool, err error) {
	open, live = map[string][]exposure.Open{}, map[string]bool{}
	due, scheduled := tx.Table(dueTable), 0
	for k, v := range tx.Table(recordTable).Ascend(&err, nil) {
		r, err := decodeRecord(k, v)
		if err != nil {
			return nil, nil, err
		}
		if !tx.Table(subjectTable).Has(k) {
			return nil, nil, fmt.Errorf("%w: there is a record of subject %q, which is none", store.ErrDamaged, k)
		}
		if len(r.Open) > 0 {
			open[string(k)] = r.Open
		}
		if r.Live {
			live[string(k)] = true
		}
		if r.Due.IsZero() {
			continue
		}
		scheduled++
		if !due.Has(dueKey(r.Due, k)) {
			return nil, nil, fmt.Errorf("%w: subject %q is due at %s and not scheduled then", store.ErrDamaged, k, r.Due)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	n, err := tx.Count(dueTable)
	if err == nil && n != scheduled {
		err = fmt.Errorf("%w: %d subjects are scheduled and %d are due", store.ErrDamaged, n, scheduled)
	}
	return open, live, err
}

// checkKeys refuses keys that lead to another subject than the one that lists
// them.
func checkKeys(tx *store.Tx) (err error) {
	index, listed := tx.Table(keyTable), 0
	for name, v := range tx.Table(subjectTable).Ascend(&err, nil) {
		var ring keyring
		if err := json.Unmarshal(v, &ring); err != nil {
			return fmt.Errorf("%w: subject %q: %w", store.ErrDamaged, name, err)
		}
		for _, key := range ring.Keys {
			of, err := index.Get(laneKey(subjectLane(string(name)), key))
			if err != nil {
				return err
			}
			if !bytes.Equal(of, name) {
				return fmt.Errorf("%w: key %q of subject %q leads to %q", store.ErrDamaged, key, name, of)
			}
		}
		listed += len(ring.Keys)
	}
	if err != nil {
		return err
	}
	n, err := tx.Count(keyTable)
	if err == nil && n != listed {
		err = fmt.Errorf("%w: there are %d keys, and the subjects list %d", store.ErrDamaged, n, listed)
	}
	return err
}

// checkAlerts refuses numbers beyond the last alert's.
func checkAlerts(tx *store.Tx, last uint64) (err error) {
	for k := range tx.Table(alertTable).Descend(&err) {
		if !numbered(k, 1, last) {
			return fmt.Errorf("%w: alert %x beyond the last, %d", store.ErrDamaged, k, last)
		}
		break
	}
	for k, v := range tx.Table(alertIDTable).Ascend(&err, nil) {
		if !numbered(v, 1, last) {
			return fmt.Errorf("%w: alert %q is said to be %x, the last is %d", store.ErrDamaged, k, v, last)
		}
	}
	return err
}

func checkDirty(tx *store.Tx) error {
	newest, err := tx.Table(store.StateTable).Number(generationKey)
	if err != nil {
		return err
	}
	for k, v := range tx.Table(dirtyTable).Ascend(&err, nil) {
		generation, _, err := splitMark(k, v)
		if err != nil {
			return err
		}
		if generation == 0 || generation > newest {
			return fmt.Errorf("%w: subject %q has generation %d, the newest is %d", store.ErrDamaged, k, generation, newest)
		}
	}
	return err
}

// loadCursors returns how far each sink has come. The numbers that a sink keeps have
// to lie between its cursor and the last alert.
func loadCursors(tx *store.Tx, last uint64) (map[string]cursor, error) {
	cursors := map[string]cursor{}
	err := eachSink(tx, func(name string, s *sinkStore) error {
		c, err := s.load(tx, name)
		if err != nil {
			return err
		}
		cursors[name] = c
		if c.next < 1 || c.next > last+1 {
			return fmt.Errorf("%w: the cursor of sink %q is %d, the last alert is %d", store.ErrDamaged, name, c.next, last)
		}
		for _, t := range []struct {
			store.Table
			name string
			low  uint64
		}{{s.done, doneTable, c.next + 1}, {s.attempts, attemptsTable, c.next}, {s.dead, deadTable, 1}, {s.deliveries, deliveryTable, 1}} {
			for k := range t.Ascend(&err, nil) {
				if !numbered(k, t.low, last) {
					return fmt.Errorf("%w: sink %q: %s of alert %x, the cursor is %d and the last alert %d", store.ErrDamaged, name, t.name, k, c.next, last)
				}
			}
			if err != nil {
				return err
			}
		}
		for k, v := range s.refs.Ascend(&err, nil) {
			if !json.Valid(v) {
				return store.Damaged(k)
			}
		}
		return err
	})
	return cursors, err
}
