package journal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/processor/journal/store"
)

// load reads the part of the file that is held in memory besides the cache, and
// refuses tables that contradict each other.
func (j *Journal) load(tx *store.Tx) error {
	j.cache.clear()
	open, live, err := loadRecords(tx)
	if err != nil {
		return err
	}
	if err := checkKeys(tx); err != nil {
		return err
	}
	if err := checkDirty(tx); err != nil {
		return err
	}
	if err := checkEvents(tx); err != nil {
		return err
	}
	if err := outbox.Restore(j.Outbox, tx); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.open, j.live = open, live
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

// checkEvents refuses events that are not in one list and known by one ID each, and
// numbers beyond the newest.
func checkEvents(tx *store.Tx) error {
	newest, err := tx.Table(store.StateTable).Number(generationKey)
	if err != nil {
		return err
	}
	var numbers []uint64
	for k, v := range tx.Table(listTable).Ascend(&err, nil) {
		l, err := parseList(k, v)
		if err != nil {
			return err
		}
		if last := l[len(l)-1]; last > newest {
			return fmt.Errorf("%w: event %d is in a list, the newest is %d", store.ErrDamaged, last, newest)
		}
		numbers = append(numbers, l...)
	}
	if err != nil {
		return err
	}
	slices.Sort(numbers)
	events := tx.Table(eventTable).Cursor()
	k, _ := events.First()
	for _, number := range numbers {
		if !bytes.Equal(k, store.NumberKey(number)) {
			return fmt.Errorf("%w: event %d is in a list, the next event is %x", store.ErrDamaged, number, k)
		}
		k, _ = events.Next()
	}
	if k != nil {
		return fmt.Errorf("%w: event %x is in no list", store.ErrDamaged, k)
	}
	return checkSeen(tx, numbers, newest)
}

// checkSeen refuses IDs that do not lead to one event each, or to none.
func checkSeen(tx *store.Tx, numbers []uint64, newest uint64) (err error) {
	known := make([]bool, len(numbers))
	left := len(numbers)
	for k, v := range tx.Table(seenTable).Ascend(&err, nil) {
		_, number, err := splitSeen(k, v)
		if err != nil {
			return err
		}
		if number > newest {
			return fmt.Errorf("%w: ID %.100q is of event %d, the newest is %d", store.ErrDamaged, k, number, newest)
		}
		i, found := slices.BinarySearch(numbers, number)
		if !found { // it was dropped
			continue
		}
		if known[i] {
			return fmt.Errorf("%w: ID %.100q is of event %d, which has another one", store.ErrDamaged, k, number)
		}
		known[i] = true
		left--
	}
	if err == nil && left > 0 {
		err = fmt.Errorf("%w: %d events have no ID", store.ErrDamaged, left)
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
