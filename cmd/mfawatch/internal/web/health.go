package web

import (
	"context"
	"iter"
	"sync"
	"time"
)

// A health remembers since when parts of a service fail.
type health struct {
	mu    sync.Mutex
	since map[string]time.Time
}

// A failing part of a service.
type failing struct{ Name, Problem, Since string }

// look returns the parts that fail.
func (h *health) look(ready iter.Seq2[string, error]) (all []failing) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := map[string]time.Time{}
	for name, err := range ready {
		if err == nil {
			continue
		}
		at, known := h.since[name]
		if !known {
			at = time.Now()
		}
		now[name] = at
		all = append(all, failing{name, problem(err), moment(at)})
	}
	h.since = now
	return all
}

// lookEvery is how often health is looked at while no page is open.
const lookEvery = 5 * time.Second

// watch looks until ctx is done.
func (h *health) watch(ctx context.Context, ready iter.Seq2[string, error]) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		h.look(ready)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
