package journal

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal/store"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// A record is the state of a subject besides its events.
type record struct {
	State alerting.State  `json:"state"`
	Open  []exposure.Open `json:"open,omitempty"`
	Live  bool            `json:"live,omitempty"` // another policy may need other alerts
	Due   time.Time       `json:"-"`              // when to fold again without a new event; zero: never
}

const neverDue = 1<<64 - 1

func encodeRecord(r record) ([]byte, error) {
	value, err := store.Encode(r)
	if err != nil {
		return nil, err
	}
	due := store.NumberKey(neverDue)
	if !r.Due.IsZero() {
		due = store.ExactKey(r.Due)
	}
	return append(due, value...), nil
}

func decodeRecord(key, value []byte) (record, error) {
	var r record
	due, err := recordDue(key, value)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(value[8:], &r); err != nil {
		return r, fmt.Errorf("%w: subject %q: %w", store.ErrDamaged, key, err)
	}
	r.Due = due
	return r, nil
}

// recordDue reads the due time alone.
func recordDue(key, value []byte) (time.Time, error) {
	if len(value) < 8 {
		return time.Time{}, store.Damaged(key)
	}
	if binary.BigEndian.Uint64(value) == neverDue {
		return time.Time{}, nil
	}
	return store.KeyExact(value), nil
}

// A subject is decoded: all its events and its record.
type subject struct {
	name       string
	joins      int    // how often another subject was joined to it; -1: it is not stored
	items      []item // sorted by number
	size       int    // of the items and the rest
	generation uint64 // of the newest event, as in the dirty mark if that is not folded
	record     record
}

type item struct {
	number uint64
	event  *trail.Event
	size   int
}

// eventSize returns about how much memory an event of n bytes in the file takes, or
// the rest of a subject.
func eventSize(n int) int { return 512 + n }

func loadSubject(tx *store.Tx, name string) (s *subject, err error) {
	s = &subject{name: name, joins: -1, size: eventSize(len(name))}
	key := []byte(name)
	keys, known, err := subjectKeys(tx, key)
	if err != nil {
		return nil, err
	}
	if known {
		s.joins = keys.Joins
	}
	if s.generation, _, err = dirtyMark(tx.Table(dirtyTable), key); err != nil {
		return nil, err
	}
	if s.record, err = loadRecord(tx, key); err != nil {
		return nil, err
	}
	numbers, err := subjectNumbers(tx, name)
	if err != nil {
		return nil, err
	}
	read := eventReader(tx)
	s.items = make([]item, 0, len(numbers))
	var last *trail.Event
	for _, number := range numbers {
		k, v, err := read(number)
		if err != nil {
			return nil, err
		}
		e, err := decodeEvent(k, v, last)
		if err != nil {
			return nil, err
		}
		last = e
		s.items = append(s.items, item{number, e, eventSize(len(v))})
		s.size += eventSize(len(v))
	}
	return s, nil
}

// loadRecord returns the zero record where there is none.
func loadRecord(tx *store.Tx, name []byte) (r record, err error) {
	v, err := tx.Table(recordTable).Get(name)
	if err != nil || v == nil {
		return r, err
	}
	return decodeRecord(name, v)
}

func (s *subject) events() []*trail.Event {
	events := make([]*trail.Event, len(s.items))
	for i, it := range s.items {
		events[i] = it.event
	}
	return events
}

func (s *subject) add(d addition) {
	it := item{d.number, d.event, eventSize(len(d.value))}
	i, found := slices.BinarySearchFunc(s.items, d.number, func(it item, number uint64) int { return cmp.Compare(it.number, number) })
	if found {
		s.size -= s.items[i].size
		s.items[i] = it
	} else {
		s.items = slices.Insert(s.items, i, it)
	}
	s.size += it.size
	s.generation = max(s.generation, d.generation)
}

func (s *subject) remove(numbers map[uint64]bool) {
	if len(numbers) == 0 {
		return
	}
	s.items = slices.DeleteFunc(s.items, func(it item) bool {
		if numbers[it.number] {
			s.size -= it.size
		}
		return numbers[it.number]
	})
}
