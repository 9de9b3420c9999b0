package route

import (
	"slices"
	"time"

	"golang.org/x/time/rate"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// Pending is one alert that a sink has not been sent yet.
type Pending struct {
	Number   uint64 // its place in the journal
	Step     exposure.Step
	Severity exposure.Severity
}

// Lane is the queue of one exposure at one sink. An alert without an exposure has
// a lane of its own. The queue is never empty, and its order never changes.
type Lane struct {
	Queue          []Pending
	Known          Knowledge // what the sink knows of the exposure
	Closed         bool      // a person closed the exposure at the channel
	MaybeDelivered bool      // an attempt at the head may have arrived
}

// Sink is one sink as far as decisions depend on it.
type Sink struct {
	Name   string
	Human  bool    // people read it: outdated alerts are superseded
	Router *Router // nil: every alert is sent, to the sink's own recipients
	Group  Group   // how alerts share a message
	Batch  int     // most alerts in one send of a sink that takes several; 0: one
	Rate   float64 // sends a second; 0: unlimited. Critical alerts do not count.
	// Limiter, if set, is the limiter of a Rate that several queues share.
	Limiter *rate.Limiter
	// Alert returns the alert of a number, nil if it needs no delivery any more.
	Alert func(number uint64) (*exposure.Alert, error)
	// Held, if set, is called when the head of a lane has to wait until the end of
	// mute times. It may be called again for the same head.
	Held func(head Item, until time.Time)
}

// Verb says what happens to an alert.
type Verb int

// The verbs.
const (
	Hold Verb = iota // nothing is sent before a time
	Send
	Drop // the alert is not sent to this sink
)

// Reason says why an alert is dropped.
type Reason string

// The reasons to drop an alert.
const (
	Suppressed     Reason = "suppressed"       // by the routes
	Superseded     Reason = "superseded"       // a later alert of the exposure replaces it
	ClosedByPerson Reason = "closed_by_person" // at the channel
	Handled        Reason = "handled"          // needs no delivery any more
)

// The explanations of reasons that no Decision explains.
const (
	WhySuperseded     = "a later alert of the exposure replaces it"
	WhyClosedByPerson = "a person closed the exposure at the channel"
)

// A Verdict is the decision on the head of a lane.
type Verdict struct {
	Verb     Verb
	Until    time.Time       // Hold: decide again then
	Reason   Reason          // Drop
	Decision Decision        // of the routes
	Alert    *exposure.Alert // nil if it is closed by a person or handled
}

// Next decides on the head of a lane at now. It is a pure function of lane,
// alerts, routes and time.
func (s *Sink) Next(l *Lane, now time.Time) (Verdict, error) {
	head := l.Queue[0]
	if l.Closed && !head.Step.AlwaysDelivered(head.Severity) {
		return Verdict{Verb: Drop, Reason: ClosedByPerson}, nil
	}
	a, d, err := s.decide(l, head, now)
	switch {
	case err != nil:
		return Verdict{}, err
	case a == nil:
		return Verdict{Verb: Drop, Reason: Handled}, nil
	case !d.Notify:
		return Verdict{Verb: Drop, Reason: Suppressed, Decision: d, Alert: a}, nil
	}
	superseded := s.Human && l.superseded()
	if d.Until.After(now) && !(superseded && l.Known.Known) { // a known end does not wait behind its beginning
		urgent, err := s.urgent(l, now)
		if err != nil {
			return Verdict{}, err
		}
		if !urgent {
			return Verdict{Verb: Hold, Until: d.Until, Decision: d, Alert: a}, nil
		}
	}
	if superseded {
		return Verdict{Verb: Drop, Reason: Superseded, Decision: d, Alert: a}, nil
	}
	return Verdict{Verb: Send, Decision: d, Alert: a}, nil
}

// decide asks the routes about an alert, which is nil if it needs no delivery any
// more.
func (s *Sink) decide(l *Lane, p Pending, now time.Time) (*exposure.Alert, Decision, error) {
	a, err := s.Alert(p.Number)
	if err != nil || a == nil {
		return nil, Decision{}, err
	}
	if s.Router == nil {
		return a, Decision{Notify: true}, nil
	}
	return a, s.Router.Decide(s.Name, a, l.Known, now), nil
}

// urgent reports whether an alert behind the head is not muted, so that the head
// has to be sent first.
func (s *Sink) urgent(l *Lane, now time.Time) (bool, error) {
	for _, p := range l.Queue[1:] {
		if p.Step == exposure.Resolved && p.Severity != exposure.Critical {
			continue
		}
		if _, d, err := s.decide(l, p, now); err != nil || d.Notify && !d.Until.After(now) {
			return err == nil, err
		}
	}
	return false, nil
}

// superseded reports whether a later alert makes the head outdated for people: if
// the exposure has ended, only the end is sent, and critical alerts; of several
// escalations, only the last, and none once a device came back. An alert that may
// have arrived is sent again all the same, since its end would refer to it.
func (l *Lane) superseded() bool {
	head := l.Queue[0]
	follows := func(s exposure.Step) bool {
		return slices.ContainsFunc(l.Queue[1:], func(p Pending) bool { return p.Step == s })
	}
	switch head.Step {
	case exposure.Resolved:
		return false
	case exposure.Escalated:
		return follows(exposure.Resolved) || follows(exposure.Escalated) || follows(exposure.Suspect)
	}
	return head.Severity != exposure.Critical && !l.MaybeDelivered && follows(exposure.Resolved)
}
