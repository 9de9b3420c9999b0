package journal

import (
	"bytes"
	"container/list"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// A record is the state of an account besides its events.
type record struct {
	State exposure.State  `json:"state"`
	Open  []exposure.Open `json:"open,omitempty"`
	Due   time.Time       `json:"-"` // when to fold again without a new event; zero: never
}

const neverDue = 1<<64 - 1

func encodeRecord(r record) ([]byte, error) {
	value, err := encode(r)
	if err != nil {
		return nil, err
	}
	due := numberKey(neverDue)
	if !r.Due.IsZero() {
		due = exactKey(r.Due)
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
		return r, fmt.Errorf("%w: account %q: %w", ErrDamaged, key, err)
	}
	r.Due = due
	return r, nil
}

// recordDue reads the due time alone.
func recordDue(key, value []byte) (time.Time, error) {
	if len(value) < 8 {
		return time.Time{}, damagedEntry(key)
	}
	if binary.BigEndian.Uint64(value) == neverDue {
		return time.Time{}, nil
	}
	return keyExact(value), nil
}

// An account is a decoded account: all its events and its record.
type account struct {
	name       string
	items      []item // sorted by key
	size       int    // of the items
	generation uint64 // of the newest event, as in the dirty mark if that is not folded
	record     record
}

type item struct {
	key   string // in the table of events
	event *trail.Event
	size  int // in the file
}

func loadAccount(tx *tx, name string) (a *account, err error) {
	a = &account{name: name}
	key := []byte(name)
	if a.generation, _, err = dirtyMark(tx.table(dirtyTable), key); err != nil {
		return nil, err
	}
	v, err := tx.table(accountTable).get(key)
	if err != nil {
		return nil, err
	}
	if v != nil {
		if a.record, err = decodeRecord(key, v); err != nil {
			return nil, err
		}
	}
	prefix := accountPrefix(name)
	for k, v := range tx.table(eventTable).ascend(&err, prefix) {
		if !bytes.HasPrefix(k, prefix) {
			break
		}
		e, err := decodeEvent(k, v)
		if err != nil {
			return nil, err
		}
		a.items = append(a.items, item{string(k), e, len(v)})
		a.size += len(v)
	}
	return a, err
}

func (a *account) events() []*trail.Event {
	events := make([]*trail.Event, len(a.items))
	for i, it := range a.items {
		events[i] = it.event
	}
	return events
}

func (a *account) add(d addition) {
	it := item{string(d.key), d.event, len(d.value)}
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

// A cache holds the accounts that were folded last, so that a burst of small
// appends to one account does not decode all its events each time.
type cache struct {
	mu    sync.Mutex
	bound int // on size
	size  int
	order *list.List // of *account, the one used last in front
	by    map[string]*list.Element
}

func newCache(bound int) *cache {
	return &cache{bound: bound, order: list.New(), by: map[string]*list.Element{}}
}

// get returns a copy of the account that later additions leave alone, or nil.
func (c *cache) get(name string) *account {
	c.mu.Lock()
	defer c.mu.Unlock()
	el := c.by[name]
	if el == nil {
		return nil
	}
	c.order.MoveToFront(el)
	a := *el.Value.(*account)
	a.items = slices.Clone(a.items)
	return &a
}

// put holds a copy of a, unless a alone exceeds the bound.
func (c *cache) put(a account) {
	if a.size > c.bound {
		return
	}
	a.items = slices.Clone(a.items)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.by[a.name] = c.order.PushFront(&a)
	c.size += a.size
	c.shrink()
}

// add applies the additions to the accounts that are held.
func (c *cache) add(added []addition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range added {
		if el := c.by[d.account]; el != nil {
			c.change(el, func(a *account) { a.add(d) })
		}
	}
	c.shrink()
}

// folded applies the outcome of a fold to the account, if it is held.
func (c *cache) folded(name string, r record, dropped map[string]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el := c.by[name]; el != nil {
		c.change(el, func(a *account) {
			a.record = r
			a.remove(dropped)
		})
	}
}

func (c *cache) change(el *list.Element, f func(a *account)) {
	a := el.Value.(*account)
	before := a.size
	f(a)
	c.size += a.size - before
}

func (c *cache) shrink() {
	for c.size > c.bound {
		el := c.order.Back()
		a := el.Value.(*account)
		c.order.Remove(el)
		delete(c.by, a.name)
		c.size -= a.size
	}
}

func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.order.Init()
	clear(c.by)
	c.size = 0
}
