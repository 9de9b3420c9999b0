package journal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal/store"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// A keyring lists the keys of a subject.
type keyring struct {
	Keys  []string `json:"keys"`            // as in keyTable, without their lane
	Joins int      `json:"joins,omitempty"` // how often another subject was joined to it
}

// A join names the subject that has become part of another.
type join struct{ into, from string }

// subjectKeys returns the keys of a subject, and whether it is stored.
func subjectKeys(tx *store.Tx, name []byte) (k keyring, known bool, err error) {
	v, err := tx.Table(subjectTable).Get(name)
	if err != nil || v == nil {
		return k, false, err
	}
	if err := json.Unmarshal(v, &k); err != nil {
		return k, false, fmt.Errorf("%w: subject %q: %w", store.ErrDamaged, name, err)
	}
	return k, true, nil
}

func putKeys(tx *store.Tx, name string, k keyring) error {
	v, err := store.Encode(k)
	if err != nil {
		return err
	}
	return tx.Table(subjectTable).Put([]byte(name), v)
}

// subjectOf returns the subject of e. It makes one where there is none, and joins
// those that e joins.
func subjectOf(tx *store.Tx, e *trail.Event, now time.Time) (name string, joined []join, err error) {
	lane, index := laneName(e), tx.Table(keyTable)
	var fresh []string
	for _, key := range exposure.Keys(e) {
		v, err := index.Get(laneKey(lane, key))
		switch {
		case err != nil:
			return "", nil, err
		case v == nil:
			fresh = append(fresh, string(store.NameKey(key)))
		case name == "":
			name = string(v)
		case name != string(v):
			j, err := joinSubjects(tx, name, string(v), now)
			if err != nil {
				return "", nil, err
			}
			name, joined = j.into, append(joined, j)
		}
	}
	if len(fresh) == 0 {
		return name, joined, nil
	}
	if name == "" {
		name = string(laneKey(lane, fresh[0]))
	}
	k, _, err := subjectKeys(tx, []byte(name))
	if err != nil {
		return "", nil, err
	}
	for _, key := range fresh {
		if err := index.Put(laneKey(lane, key), []byte(name)); err != nil {
			return "", nil, err
		}
	}
	k.Keys = append(k.Keys, fresh...)
	return name, joined, putKeys(tx, name, k)
}

// joinSubjects moves the subject that has fewer lists of events into the other one, which
// is dirty from then on.
func joinSubjects(tx *store.Tx, a, b string, now time.Time) (join, error) {
	j := join{into: a, from: b}
	if hasFewer(tx, a, b) {
		j.into, j.from = b, a
	}
	if err := moveEvents(tx, j); err != nil {
		return j, err
	}
	if err := moveKeys(tx, j); err != nil {
		return j, err
	}
	if err := moveRecord(tx, j); err != nil {
		return j, err
	}
	if err := tx.Table(dirtyTable).Delete([]byte(j.from)); err != nil {
		return j, err
	}
	generation, err := tx.Table(store.StateTable).Increment(generationKey)
	if err != nil {
		return j, err
	}
	return j, markDirty(tx, j.into, generation, now)
}

// hasFewer reports whether a has fewer lists than b, in the time of the smaller.
func hasFewer(tx *store.Tx, a, b string) bool {
	of := func(name string) func() bool {
		prefix, c := store.NamePrefix(name), tx.Table(listTable).Cursor()
		k, _ := c.Seek(prefix)
		return func() bool {
			had := bytes.HasPrefix(k, prefix)
			k, _ = c.Next()
			return had
		}
	}
	for moreA, moreB := of(a), of(b); ; {
		switch hasA, hasB := moreA(), moreB(); {
		case !hasA:
			return hasB
		case !hasB:
			return false
		}
	}
}

// moveEvents moves the lists, and leaves the events where they are.
func moveEvents(tx *store.Tx, j join) error {
	moved, err := lists(tx, j.from)
	if err != nil {
		return err
	}
	for _, l := range moved {
		if err := tx.Table(listTable).Delete(listKey(j.from, l[0])); err != nil {
			return err
		}
		if err := l.put(tx, j.into); err != nil {
			return err
		}
	}
	return nil
}

func moveKeys(tx *store.Tx, j join) error {
	into, _, err := subjectKeys(tx, []byte(j.into))
	if err != nil {
		return err
	}
	from, _, err := subjectKeys(tx, []byte(j.from))
	if err != nil {
		return err
	}
	lane, index := subjectLane(j.into), tx.Table(keyTable)
	for _, key := range from.Keys {
		if err := index.Put(laneKey(lane, key), []byte(j.into)); err != nil {
			return err
		}
	}
	into.Keys = append(into.Keys, from.Keys...)
	into.Joins += from.Joins + 1
	if err := putKeys(tx, j.into, into); err != nil {
		return err
	}
	return tx.Table(subjectTable).Delete([]byte(j.from))
}

func moveRecord(tx *store.Tx, j join) error {
	into, err := loadRecord(tx, []byte(j.into))
	if err != nil {
		return err
	}
	from, err := loadRecord(tx, []byte(j.from))
	if err != nil {
		return err
	}
	if err := deleteRecord(tx, []byte(j.from)); err != nil {
		return err
	}
	into.State = into.State.Merge(from.State)
	into.Open = slices.Concat(into.Open, from.Open)
	into.Live = into.Live || from.Live
	value, err := encodeRecord(into)
	if err != nil {
		return err
	}
	return putRecord(tx, []byte(j.into), value)
}

// joined shows in memory the subjects that a transaction has joined.
func (j *Journal) joined(joins []join) {
	if len(joins) == 0 {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, m := range joins {
		j.cache.forget(m.into)
		j.cache.forget(m.from)
		if open := j.open[m.from]; open != nil {
			j.open[m.into] = slices.Concat(j.open[m.into], open)
		}
		if j.live[m.from] {
			j.live[m.into] = true
		}
		if j.refold[m.from] {
			j.refold[m.into] = true
		}
		delete(j.open, m.from)
		delete(j.live, m.from)
		delete(j.refold, m.from)
	}
}
