// Package status holds the present error of a component, so that the component
// logs the error when it changes and reports it as long as it lasts.
package status

import (
	"sync"
	"time"
)

// Status is the present error of one component. The zero value has none. Its methods
// are safe for concurrent use.
type Status struct {
	// Lasts is how long an error counts after it was last set. 0: until another
	// is set, or nil.
	Lasts time.Duration

	mu  sync.Mutex
	err error
	key string
	set time.Time // when Lasts bounds it
}

// Set records err, nil if nothing is wrong, and reports whether that is a
// change: another text, a first error, or the end of one.
func (s *Status) Set(err error) (changed bool) {
	if err == nil {
		return s.SetAs("", nil)
	}
	return s.SetAs(err.Error(), err)
}

// SetAs is Set for errors whose text varies: two errors of the same key are no
// change.
func (s *Status) SetAs(key string, err error) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.present()
	changed = (before == nil) != (err == nil) || err != nil && s.key != key
	s.err, s.key = err, key
	if s.Lasts > 0 {
		s.set = time.Now()
	}
	return changed
}

// Err returns the present error, nil if there is none.
func (s *Status) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.present()
}

func (s *Status) present() error {
	if s.Lasts > 0 && time.Since(s.set) >= s.Lasts {
		return nil
	}
	return s.err
}
