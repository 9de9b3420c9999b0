package journal

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// Append makes the events durable and returns how many of them are new: an
// event whose ID was seen within the retention is skipped. It keeps the events,
// which must not be changed afterwards. A ctx that is done stops it only
// before it has begun to write.
func (j *Journal) Append(ctx context.Context, events []*trail.Event) (fresh int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	entries := make([]entry, 0, len(events))
	for _, e := range events {
		en, err := newEntry(e)
		if err != nil {
			return 0, fmt.Errorf("append event %q: %w", e.ID, err)
		}
		entries = append(entries, en)
	}
	if len(entries) == 0 {
		return 0, nil
	}
	now := time.Now()
	var added []addition
	err = j.commit(change{
		do: func(tx *bolt.Tx) (err error) {
			added, err = putEntries(tx, entries, now, true)
			return err
		},
		done: func() {
			j.cache.add(added)
			for _, a := range added {
				if a.generation > 0 {
					fresh++
				}
			}
			if fresh > 0 {
				j.appended.fire()
			}
		},
	})
	if err != nil {
		return 0, fmt.Errorf("append %d events: %w", len(entries), err)
	}
	return fresh, nil
}

// An entry is an event on its way into the file.
type entry struct {
	event   *trail.Event
	account string // as a key
	key     []byte
	sealed  []byte
}

// An addition is an entry that was written: a new event, or one that was there
// with an origin that sorts behind.
type addition struct {
	entry
	generation uint64 // of its account from now on; 0 if there is nothing new to fold
}

func newEntry(e *trail.Event) (entry, error) {
	value, err := encode(e)
	if err != nil {
		// What JSON cannot say must not be offered for ever: a raw record that
		// is none, a time zone that moves the year past 9999.
		c := *e
		c.Raw = nil
		if c.Time.Year() < 0 || c.Time.Year() > 9999 {
			c.Time = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
		}
		if value, err = encode(&c); err != nil {
			return entry{}, err
		}
		e = &c
	}
	key := eventKey(e)
	return entry{e, accountName(e), key, seal(key, value)}, nil
}

// putEntries writes the entries that are new, and marks their accounts dirty if
// they are to be folded.
func putEntries(tx *bolt.Tx, entries []entry, now time.Time, fold bool) ([]addition, error) {
	events, seen, dirty := tx.Bucket(eventsBucket), tx.Bucket(seenBucket), tx.Bucket(dirtyBucket)
	var added []addition
	for _, e := range entries {
		id := seenKey(e.event)
		if seen.Get(id) != nil {
			// One event from several places shows the origin that sorts first (R30).
			better, err := sortsBefore(events, e)
			if err != nil {
				return nil, err
			}
			if better {
				if err := events.Put(e.key, e.sealed); err != nil {
					return nil, err
				}
				added = append(added, addition{entry: e})
			}
			continue
		}
		if err := seen.Put(id, timeKey(now)); err != nil {
			return nil, err
		}
		if err := events.Put(e.key, e.sealed); err != nil {
			return nil, err
		}
		if !fold {
			added = append(added, addition{entry: e})
			continue
		}
		generation, err := dirty.NextSequence()
		if err != nil {
			return nil, err
		}
		// The mark keeps the time of the first event that waits.
		since := now
		if old, first := splitMark(dirty.Get([]byte(e.account))); old > 0 {
			since = first
		}
		if err := dirty.Put([]byte(e.account), dirtyMark(generation, since)); err != nil {
			return nil, err
		}
		added = append(added, addition{e, generation})
	}
	return added, nil
}

// dirtyMark is what the dirty bucket holds of an account.
func dirtyMark(generation uint64, since time.Time) []byte {
	return append(binary.BigEndian.AppendUint64(nil, generation), exactKey(since)...)
}

// splitMark returns zeros where there is no mark.
func splitMark(mark []byte) (generation uint64, since time.Time) {
	if len(mark) != 16 {
		return 0, since
	}
	return binary.BigEndian.Uint64(mark), exactTime(mark[8:])
}

// sortsBefore reports whether e's origin sorts before that of the same event in
// the file, if that is kept.
func sortsBefore(events *bolt.Bucket, e entry) (bool, error) {
	sealed := events.Get(e.key)
	if sealed == nil || e.event.Origin == "" {
		return false, nil
	}
	old, err := decodeEvent(e.key, sealed)
	if err != nil {
		return false, err
	}
	return e.event.Origin < old.Origin, nil
}

func decodeEvent(key, sealed []byte) (*trail.Event, error) {
	value, err := unseal(key, sealed)
	if err != nil {
		return nil, err
	}
	e := new(trail.Event)
	if err := json.Unmarshal(value, e); err != nil {
		return nil, fmt.Errorf("%w: event %q: %w", ErrDamaged, key, err)
	}
	return e, nil
}
