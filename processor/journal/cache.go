package journal

import (
	"container/list"
	"slices"
	"sync"
)

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

// put holds a copy of a, unless it is over the bound by itself.
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

// add shows the additions to the accounts that are held.
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

// folded shows the outcome of a fold to the account, if it is held.
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
