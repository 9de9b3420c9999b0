package journal

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal/store"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// Append makes the events durable and returns how many of them are new. It skips
// an event whose ID was seen within the retention, or that is kept longer. It keeps
// the events, which must not be changed afterwards. A ctx that is done stops it only
// before it has begun to write.
func (j *Journal) Append(ctx context.Context, events []*trail.Event) (fresh int, err error) {
	if len(events) == 0 {
		return 0, ctx.Err()
	}
	return j.append(ctx, events, func(*store.Tx) error { return nil })
}

// AppendFrom is Append together with KeepOffsets for one cursor of the source that
// the events come from: both are durable, or neither is.
func (j *Journal) AppendFrom(ctx context.Context, source, name string, cursor []byte, events []*trail.Event) (fresh int, err error) {
	return j.append(ctx, events, func(tx *store.Tx) error {
		source := string(store.NameKey(source))
		if err := tx.MakeMember(sourceTables, source); err != nil {
			return err
		}
		return tx.Table(sourceTables, source).Put(store.NameKey(name), cursor)
	})
}

func (j *Journal) append(ctx context.Context, events []*trail.Event, also func(tx *store.Tx) error) (fresh int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	entries := make([]entry, 0, len(events))
	for _, e := range events {
		entries = append(entries, newEntry(e))
	}
	now := time.Now()
	var added []addition
	var joined []join
	err = j.store.Commit(store.Change{
		Do: func(tx *store.Tx) (err error) {
			if added, joined, err = putEntries(tx, entries, now); err != nil {
				return err
			}
			return also(tx)
		},
		Done: func() {
			j.cache.add(added)
			j.joined(joined)
			for _, a := range added {
				if a.generation > 0 {
					fresh++
				}
			}
			if fresh > 0 {
				j.appended.Fire()
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
	value   []byte
	dropped bool   // the outcome with which it arrives drops it: only its ID is kept
	subject string // set by the transaction, as is number
	number  uint64
}

// An addition is an entry that was written: a new event, or a known one whose
// stored origin sorts behind.
type addition struct {
	entry
	generation uint64 // of its subject from now on; 0 if there is nothing new to fold
}

func newEntry(e *trail.Event) entry {
	e = expressible(e)
	return entry{event: e, value: encodeEvent(e)}
}

// expressible returns e, or a copy that JSON can express: alerts are JSON, and an
// event that makes none must not be offered again and again. What JSON cannot
// express is a raw record that is none, or a time zone that moves the year past 9999.
func expressible(e *trail.Event) *trail.Event {
	raw, year := len(e.Raw) == 0 || json.Valid(e.Raw), e.Time.Year()
	if raw && year >= 0 && year <= 9999 {
		return e
	}
	c := *e
	if !raw {
		c.Raw = nil
	}
	if year < 0 || year > 9999 {
		c.Time = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	}
	return &c
}

// putEntries writes the entries that are new, and marks their subjects dirty.
func putEntries(tx *store.Tx, entries []entry, now time.Time) (added []addition, joined []join, err error) {
	for _, e := range entries {
		if tx.Table(seenTable).Has(seenKey(e.event)) {
			better, err := improve(tx, &e)
			if err != nil {
				return nil, nil, err
			}
			if better {
				added = append(added, addition{entry: e})
			}
			continue
		}
		name, joins, err := subjectOf(tx, e.event, now)
		if err != nil {
			return nil, nil, err
		}
		joined = append(joined, joins...)
		if err := e.put(tx, name, now); err != nil {
			return nil, nil, err
		}
		if err := markDirty(tx, name, e.number, now); err != nil {
			return nil, nil, err
		}
		added = append(added, addition{e, e.number})
	}
	return added, joined, nil
}

// put writes the entry to a subject.
func (e *entry) put(tx *store.Tx, subject string, now time.Time) (err error) {
	e.subject, e.number = subject, 0
	if !e.dropped {
		if e.number, err = putEvent(tx, subject, e.value); err != nil {
			return err
		}
	}
	return tx.Table(seenTable).Put(seenKey(e.event), seenMark(now, e.number))
}

// putNew writes those of the entries that are new to one subject, which knows
// them: they are no reason to fold it.
func putNew(tx *store.Tx, subject string, entries []entry, now time.Time) (added []addition, err error) {
	for _, e := range entries {
		if tx.Table(seenTable).Has(seenKey(e.event)) {
			continue
		}
		if err := e.put(tx, subject, now); err != nil {
			return nil, err
		}
		if !e.dropped {
			added = append(added, addition{entry: e})
		}
	}
	return added, nil
}

// improve replaces a known event by a copy whose origin sorts first: one event
// from several places shows that origin (R30).
func improve(tx *store.Tx, e *entry) (bool, error) {
	subject := func(e *trail.Event) ([]byte, error) {
		return tx.Table(keyTable).Get(laneKey(laneName(e), exposure.Keys(e)[0]))
	}
	name, err := subject(e.event)
	if err != nil || name == nil || e.event.Origin == "" {
		return false, err
	}
	e.subject = string(name)
	key := seenKey(e.event)
	v, err := tx.Table(seenTable).Get(key)
	if err != nil {
		return false, err
	}
	if _, e.number, err = splitSeen(key, v); err != nil {
		return false, err
	}
	if v, err = getEvent(tx, e.number); err != nil || v == nil {
		return false, err
	}
	old, err := decodeEvent(key, v, nil)
	if err != nil {
		return false, err
	}
	if !bytes.Equal(seenKey(old), key) {
		return false, fmt.Errorf("%w: the number of event %.100q is that of %.100q", store.ErrDamaged, e.event.ID, old.ID)
	}
	// Another time or subject makes it another event, in whose place none is put.
	name, err = subject(old)
	if err != nil || string(name) != e.subject || e.event.Time.Unix() != old.Time.Unix() || e.event.Origin >= old.Origin {
		return false, err
	}
	return true, tx.Table(eventTable).Put(store.NumberKey(e.number), e.value)
}

// markDirty gives the subject a new generation. The mark keeps the time of the
// first event that waits.
func markDirty(tx *store.Tx, subject string, generation uint64, now time.Time) error {
	dirty, key := tx.Table(dirtyTable), []byte(subject)
	old, since, err := dirtyMark(dirty, key)
	if err != nil {
		return err
	}
	if old == 0 {
		since = now
	}
	return putMark(dirty, key, generation, since)
}

func putMark(dirty store.Table, subject []byte, generation uint64, since time.Time) error {
	return dirty.Put(subject, append(store.NumberKey(generation), store.ExactKey(since)...))
}

// dirtyMark returns zeros where there is no mark.
func dirtyMark(dirty store.Table, subject []byte) (generation uint64, since time.Time, err error) {
	v, err := dirty.Get(subject)
	if err != nil || v == nil {
		return 0, since, err
	}
	return splitMark(subject, v)
}

func splitMark(subject, v []byte) (generation uint64, since time.Time, err error) {
	if len(v) != 16 {
		return 0, since, store.Damaged(subject)
	}
	return binary.BigEndian.Uint64(v), store.KeyExact(v[8:]), nil
}

// EncodeEvent returns the event as JSON, for DecodeEvent.
func EncodeEvent(e *trail.Event) ([]byte, error) { return store.Encode(expressible(e)) }

// DecodeEvent returns the event that was encoded. It refuses what is no event.
func DecodeEvent(value []byte) (*trail.Event, error) {
	e := new(trail.Event)
	if err := json.Unmarshal(value, e); err != nil {
		return nil, fmt.Errorf("not an event: %w", err)
	}
	if e.ID == "" || e.Name == "" || e.Account == "" {
		return nil, errors.New("not an event: no id, name or account")
	}
	return e, nil
}
