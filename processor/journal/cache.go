package journal

import (
	"container/list"
	"slices"
	"sync"
)

// A cache holds the subjects that were folded last, so that a burst of small
// appends to one subject does not decode all its events each time.
type cache struct {
	mu    sync.Mutex
	bound int // on size
	size  int
	order *list.List // of *subject, the one used last in front
	by    map[string]*list.Element
}

func newCache(bound int) *cache {
	return &cache{bound: bound, order: list.New(), by: map[string]*list.Element{}}
}

// get returns a copy of the subject that later additions leave alone, or nil.
func (c *cache) get(name string) *subject {
	c.mu.Lock()
	defer c.mu.Unlock()
	el := c.by[name]
	if el == nil {
		return nil
	}
	c.order.MoveToFront(el)
	a := *el.Value.(*subject)
	a.items = slices.Clone(a.items)
	return &a
}

// put holds a copy of a, unless a alone exceeds the bound.
func (c *cache) put(a subject) {
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

// add applies the additions to the subjects that are held.
func (c *cache) add(added []addition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range added {
		if el := c.by[d.subject]; el != nil {
			c.change(el, func(a *subject) { a.add(d) })
		}
	}
	c.shrink()
}

// folded applies the outcome of a fold to the subject, if it is held.
func (c *cache) folded(name string, r record, dropped map[uint64]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el := c.by[name]; el != nil {
		c.change(el, func(a *subject) {
			a.record = r
			a.remove(dropped)
		})
	}
}

func (c *cache) change(el *list.Element, f func(a *subject)) {
	a := el.Value.(*subject)
	before := a.size
	f(a)
	c.size += a.size - before
}

// forget drops a subject.
func (c *cache) forget(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el := c.by[name]; el != nil {
		c.order.Remove(el)
		delete(c.by, name)
		c.size -= el.Value.(*subject).size
	}
}

func (c *cache) shrink() {
	for c.size > c.bound {
		el := c.order.Back()
		a := el.Value.(*subject)
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
