package web

import (
	"iter"
	"sync"
	"time"
)

// A health remembers since when parts of a service fail, or none does.
type health struct {
	mu      sync.Mutex
	since   map[string]time.Time
	started time.Time // of the time in which nothing fails, or failed last
}

// look returns the parts that fail.
func (h *health) look(ready iter.Seq2[string, error]) []Failure {
	h.mu.Lock()
	defer h.mu.Unlock()
	all, now := []Failure{}, map[string]time.Time{}
	for name, err := range ready {
		if err == nil {
			continue
		}
		at, known := h.since[name]
		if !known {
			at = time.Now()
		}
		now[name] = at
		all = append(all, Failure{name, at.UTC(), problem(err)})
	}
	if len(now) == 0 && len(h.since) > 0 {
		h.started = time.Now()
	}
	h.since = now
	return all
}

// okSince returns since when nothing fails; zero while something does.
func (h *health) okSince() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.since) > 0 {
		return time.Time{}
	}
	return h.started
}
