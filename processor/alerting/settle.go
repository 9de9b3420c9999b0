package alerting

import (
	"slices"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// Part is one subject in a Settlement.
type Part struct {
	Events  []*trail.Event // those stored
	State   State
	Arrived []*trail.Event // derived events that other parts add
	Outcome Outcome        // of Events and Arrived
	Err     error          // the fold failed
}

// Settlement folds subjects together with those that their derived events
// reach, until no fold derives anything new. The alerts are then the same as if
// the derived events had been known from the beginning, so that three exposures
// that become known together are a campaign from their first alert on.
type Settlement struct {
	// Fold returns the outcome of a subject.
	Fold func(events []*trail.Event, st State) (Outcome, error)
	// Find returns the part that a derived event belongs to. It returns the same
	// part for one subject each time, and nil for an event that is stored there
	// already, or that is left for another settlement.
	Find func(e *trail.Event) (*Part, error)
}

// maxRounds bounds a settlement: a sighting, its membership, and what that
// changes take three.
const maxRounds = 8

// Run settles the parts, and returns them with those that were reached.
func (s *Settlement) Run(parts []*Part) ([]*Part, error) {
	queue := parts
	for range maxRounds {
		for _, p := range queue {
			p.Outcome, p.Err = s.Fold(slices.Concat(p.Events, p.Arrived), p.State)
		}
		var err error
		if parts, queue, err = s.deliver(parts); err != nil || len(queue) == 0 {
			return parts, err
		}
	}
	return parts, nil
}

// deliver distributes what the parts derived, and returns all parts and those to
// be folded again.
func (s *Settlement) deliver(parts []*Part) (all, queue []*Part, err error) {
	arrived := map[*Part][]*trail.Event{}
	known := map[string]bool{}
	all = slices.Clip(parts)
	for _, p := range parts {
		for _, e := range p.Outcome.Derived {
			to, err := s.Find(e)
			if err != nil {
				return parts, nil, err
			}
			if to == nil || known[e.ID] {
				continue
			}
			known[e.ID] = true
			arrived[to] = append(arrived[to], e)
			if !slices.Contains(all, to) {
				all = append(all, to)
			}
		}
	}
	for _, p := range all {
		slices.SortFunc(arrived[p], func(a, b *trail.Event) int { return inOrder(a.Time, b.Time, a.ID, b.ID) })
		if !slices.EqualFunc(p.Arrived, arrived[p], func(a, b *trail.Event) bool { return a.ID == b.ID }) {
			p.Arrived = arrived[p]
			queue = append(queue, p)
		}
	}
	return all, queue, nil
}
