package web

import (
	"sync"
	"time"
)

// A shownViews holds the last event of each view that a stream shows: it is built
// once for all streams of the view. One event is built at a time, and longer pauses
// follow where that takes long, so that open pages use a fifth of a core at most.
type shownViews struct {
	mu    sync.Mutex
	views map[view]*shownView

	building sync.Mutex
}

// A shownView is the last event of a view; building guards it.
type shownView struct {
	streams int // guarded by mu
	event   event
	at      time.Time     // when it was built; zero: it was not yet
	took    time.Duration // to build it
}

// open returns the last event of a view for one stream more, which closes the view.
func (s *shownViews) open(v view) *shownView {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.views[v]
	if x == nil {
		x = new(shownView)
		if s.views == nil {
			s.views = map[view]*shownView{}
		}
		s.views[v] = x
	}
	x.streams++
	return x
}

// close forgets a view without a stream.
func (s *shownViews) close(v view) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.views[v].streams--; s.views[v].streams == 0 {
		delete(s.views, v)
	}
}

// rest returns how long a built event rests before the next one.
func (s *shownViews) rest(took time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(streamPause, 5*took*time.Duration(len(s.views)))
}

// latest returns the event of a view, and how long it rests. It is built again once
// it has rested and there was an alert, or the time between looks is over.
func (s *shownViews) latest(x *shownView, build func() (event, error)) (event, time.Duration, error) {
	s.building.Lock()
	defer s.building.Unlock()
	age := time.Since(x.at)
	if rest := s.rest(x.took); !x.at.IsZero() && (age < rest || age < streamEvery && !isClosed(x.event.alerted)) {
		return x.event, rest, nil
	}
	begun := time.Now()
	e, err := build()
	if err == nil {
		x.event, x.at, x.took = e, begun, time.Since(begun)
	}
	return e, s.rest(x.took), err
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
