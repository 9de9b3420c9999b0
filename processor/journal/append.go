package journal

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// Append makes the events durable and returns how many of them are new. It skips
// an event whose ID was seen within the retention. It keeps the events, which
// must not be changed afterwards. A ctx that is done stops it only before it
// has begun to write.
func (j *Journal) Append(ctx context.Context, events []*trail.Event) (fresh int, err error) {
	if len(events) == 0 {
		return 0, ctx.Err()
	}
	return j.append(ctx, events, func(*tx) error { return nil })
}

// AppendFrom is Append together with KeepOffsets for one cursor of the source that
// the events come from: both are durable, or neither is.
func (j *Journal) AppendFrom(ctx context.Context, source, name string, cursor []byte, events []*trail.Event) (fresh int, err error) {
	return j.append(ctx, events, func(tx *tx) error {
		if err := tx.makeSource(source); err != nil {
			return err
		}
		return tx.table(sourceTables, string(nameKey(source))).put(nameKey(name), cursor)
	})
}

func (j *Journal) append(ctx context.Context, events []*trail.Event, also func(tx *tx) error) (fresh int, err error) {
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
	now := time.Now()
	var added []addition
	err = j.commit(change{
		do: func(tx *tx) (err error) {
			if added, err = putEntries(tx, entries, now, true); err != nil {
				return err
			}
			return also(tx)
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
	value   []byte
}

// An addition is an entry that was written: a new event, or a known one whose
// stored origin sorts behind.
type addition struct {
	entry
	generation uint64 // of its account from now on; 0 if there is nothing new to fold
}

func newEntry(e *trail.Event) (entry, error) {
	value, err := encode(e)
	if err != nil {
		// An event that JSON cannot express must not be offered again and
		// again: a raw record that is no JSON, a time zone that moves the year
		// past 9999.
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
	return entry{e, accountName(e), eventKey(e), value}, nil
}

// putEntries writes the entries that are new, and marks their accounts dirty if
// they are to be folded.
func putEntries(tx *tx, entries []entry, now time.Time, fold bool) ([]addition, error) {
	events, seen := tx.table(eventTable), tx.table(seenTable)
	var added []addition
	for _, e := range entries {
		id := seenKey(e.event)
		if seen.has(id) {
			// One event from several places shows the origin that sorts first (R30).
			better, err := sortsBefore(events, e)
			if err != nil {
				return nil, err
			}
			if better {
				if err := events.put(e.key, e.value); err != nil {
					return nil, err
				}
				added = append(added, addition{entry: e})
			}
			continue
		}
		if err := seen.put(id, secondsKey(now)); err != nil {
			return nil, err
		}
		if err := events.put(e.key, e.value); err != nil {
			return nil, err
		}
		a := addition{entry: e}
		if fold {
			var err error
			if a.generation, err = markDirty(tx, e.account, now); err != nil {
				return nil, err
			}
		}
		added = append(added, a)
	}
	return added, nil
}

// markDirty returns the new generation of the account. The mark keeps the time
// of the first event that waits.
func markDirty(tx *tx, account string, now time.Time) (generation uint64, err error) {
	if generation, err = tx.table(stateTable).increment(generationKey); err != nil {
		return 0, err
	}
	dirty, key := tx.table(dirtyTable), []byte(account)
	old, since, err := dirtyMark(dirty, key)
	if err != nil {
		return 0, err
	}
	if old == 0 {
		since = now
	}
	return generation, putMark(dirty, key, generation, since)
}

func putMark(dirty table, account []byte, generation uint64, since time.Time) error {
	return dirty.put(account, append(numberKey(generation), exactKey(since)...))
}

// dirtyMark returns zeros where there is no mark.
func dirtyMark(dirty table, account []byte) (generation uint64, since time.Time, err error) {
	v, err := dirty.get(account)
	if err != nil || v == nil {
		return 0, since, err
	}
	return splitMark(account, v)
}

func splitMark(account, v []byte) (generation uint64, since time.Time, err error) {
	if len(v) != 16 {
		return 0, since, damagedEntry(account)
	}
	return binary.BigEndian.Uint64(v), keyExact(v[8:]), nil
}

// sortsBefore reports whether e's origin sorts before that of the same event in
// the file, if the file still has it.
func sortsBefore(events table, e entry) (bool, error) {
	v, err := events.get(e.key)
	if err != nil || v == nil || e.event.Origin == "" {
		return false, err
	}
	old, err := decodeEvent(e.key, v)
	if err != nil {
		return false, err
	}
	return e.event.Origin < old.Origin, nil
}

func decodeEvent(key, value []byte) (*trail.Event, error) {
	e := new(trail.Event)
	if err := json.Unmarshal(value, e); err != nil {
		return nil, fmt.Errorf("%w: event %q: %w", ErrDamaged, key, err)
	}
	return e, nil
}
