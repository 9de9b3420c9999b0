package journal

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// A record is what is kept of an account besides its events.
type record struct {
	State exposure.State  `json:"state"`
	Open  []exposure.Open `json:"open,omitempty"`
	Next  time.Time       `json:"-"` // when to look again; zero: not before the next event
}

const noNext = 1<<64 - 1

func encodeRecord(key []byte, r record) ([]byte, error) {
	value, err := encode(r)
	if err != nil {
		return nil, err
	}
	next := binary.BigEndian.AppendUint64(nil, noNext)
	if !r.Next.IsZero() {
		next = dueKey(r.Next, nil)
	}
	return seal(key, append(next, value...)), nil
}

func decodeRecord(key, sealed []byte) (record, error) {
	var r record
	next, err := recordNext(key, sealed)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(sealed[12:], &r); err != nil {
		return r, fmt.Errorf("%w: account %q: %w", ErrDamaged, key, err)
	}
	r.Next = next
	return r, nil
}

// recordNext reads the next look alone.
func recordNext(key, sealed []byte) (time.Time, error) {
	value, err := unseal(key, sealed)
	if err != nil {
		return time.Time{}, err
	}
	if len(value) < 8 {
		return time.Time{}, fmt.Errorf("%w: account %q", ErrDamaged, key)
	}
	if binary.BigEndian.Uint64(value) == noNext {
		return time.Time{}, nil
	}
	return dueTime(value), nil
}

// dueKey sorts by time, to the nanosecond, then by account.
func dueKey(t time.Time, account []byte) []byte {
	return append(exactKey(t), account...)
}

func dueTime(key []byte) time.Time {
	return exactTime(key)
}

// An account is a decoded account: all its events and its record.
type account struct {
	name       string
	items      []item // sorted by key
	size       int    // of the items
	generation uint64 // of the newest event; what the dirty mark holds if that is not folded
	record     record
}

type item struct {
	key   string // in the events bucket
	event *trail.Event
	size  int // in the file
}

func loadAccount(tx *bolt.Tx, name string) (*account, error) {
	a := &account{name: name}
	a.generation, _ = splitMark(tx.Bucket(dirtyBucket).Get([]byte(name)))
	if sealed := tx.Bucket(accountBucket).Get([]byte(name)); sealed != nil {
		var err error
		if a.record, err = decodeRecord([]byte(name), sealed); err != nil {
			return nil, err
		}
	}
	prefix := accountPrefix(name)
	c := tx.Bucket(eventsBucket).Cursor()
	for k, v := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = c.Next() {
		e, err := decodeEvent(k, v)
		if err != nil {
			return nil, err
		}
		a.items = append(a.items, item{string(k), e, len(v)})
		a.size += len(v)
	}
	return a, nil
}

func (a *account) events() []*trail.Event {
	events := make([]*trail.Event, len(a.items))
	for i, it := range a.items {
		events[i] = it.event
	}
	return events
}

func (a *account) add(d addition) {
	it := item{string(d.key), d.event, len(d.sealed)}
	i, found := slices.BinarySearchFunc(a.items, it.key, func(it item, key string) int { return strings.Compare(it.key, key) })
	if found {
		a.size -= a.items[i].size
		a.items[i] = it
	} else {
		a.items = slices.Insert(a.items, i, it)
	}
	a.size += it.size
	a.generation = max(a.generation, d.generation)
}

func (a *account) remove(keys map[string]bool) {
	if len(keys) == 0 {
		return
	}
	a.items = slices.DeleteFunc(a.items, func(it item) bool {
		if keys[it.key] {
			a.size -= it.size
		}
		return keys[it.key]
	})
}
