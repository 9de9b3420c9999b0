package alerting

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// Ledger holds lanes in memory, and folds them as a journal does. It is for
// runs that need no durability. The zero Ledger is empty.
type Ledger struct {
	subjects map[ledgerKey]*ledgerSubject
	known    map[ledgerKey]*ledgerSubject // by lane and event
	waiting  map[*ledgerSubject]bool      // the subjects that are dirty or become due
}

// ledgerKey is a key of a subject, or an event, in its lane.
type ledgerKey struct{ lane, key string }

type ledgerSubject struct {
	Part
	lane  string
	keys  []string
	dirty bool
	due   time.Time
}

// Append adds events. It skips an event that is known, except that the origin
// that sorts first is shown.
func (l *Ledger) Append(events ...*trail.Event) {
	for _, e := range events {
		if k := eventOf(e); l.known[k] != nil {
			l.known[k].improve(e)
			continue
		}
		s := l.subject(e)
		s.Events = append(s.Events, e)
		s.dirty, l.waiting[s] = true, true
		l.known[eventOf(e)] = s
	}
}

func eventOf(e *trail.Event) ledgerKey { return ledgerKey{exposure.Lane(e), e.ID + "/" + e.Name} }

// improve replaces an event by a copy of an origin that sorts before.
func (s *ledgerSubject) improve(e *trail.Event) {
	i := slices.IndexFunc(s.Events, func(o *trail.Event) bool { return eventOf(o) == eventOf(e) })
	if i >= 0 && e.Origin < s.Events[i].Origin {
		s.Events[i] = e
	}
}

// subject returns the subject of e, joined from all that e names.
func (l *Ledger) subject(e *trail.Event) *ledgerSubject {
	if l.subjects == nil {
		l.subjects, l.known = map[ledgerKey]*ledgerSubject{}, map[ledgerKey]*ledgerSubject{}
		l.waiting = map[*ledgerSubject]bool{}
	}
	var s *ledgerSubject
	for _, key := range exposure.Keys(e) {
		switch o := l.subjects[ledgerKey{exposure.Lane(e), key}]; {
		case o == nil, o == s:
		case s == nil:
			s = o
		default:
			s = l.join(s, o)
		}
	}
	if s == nil {
		s = &ledgerSubject{lane: exposure.Lane(e)}
	}
	for _, key := range exposure.Keys(e) {
		if k := (ledgerKey{s.lane, key}); l.subjects[k] != s {
			l.subjects[k] = s
			s.keys = append(s.keys, key)
		}
	}
	return s
}

// join moves the smaller subject into the larger one.
func (l *Ledger) join(s, o *ledgerSubject) *ledgerSubject {
	if len(s.Events) < len(o.Events) {
		s, o = o, s
	}
	for _, key := range o.keys {
		l.subjects[ledgerKey{s.lane, key}] = s
	}
	for _, e := range o.Events {
		l.known[eventOf(e)] = s
	}
	s.keys = append(s.keys, o.keys...)
	s.Events = append(s.Events, o.Events...)
	s.State = s.State.Merge(o.State)
	s.dirty, l.waiting[s] = true, true
	delete(l.waiting, o)
	return s
}

// Fold folds the subjects that are due or have new events, and those that these
// reach. It returns the new alerts, and when the next subject is due; zero:
// never.
func (l *Ledger) Fold(now time.Time, p exposure.Policy) (alerts []*exposure.Alert, next time.Time) {
	var parts []*Part
	of := map[*Part]*ledgerSubject{}
	for _, s := range inLaneOrder(l.waiting) {
		if s.dirty || !s.due.IsZero() && !s.due.After(now) {
			s.Arrived = nil
			parts, of[&s.Part] = append(parts, &s.Part), s
		}
	}
	s := Settlement{
		Fold: func(events []*trail.Event, st State) (Outcome, error) { return Notify(events, st, now, p), nil },
		Find: func(e *trail.Event) (*Part, error) {
			if l.known[eventOf(e)] != nil {
				return nil, nil
			}
			s := l.subject(e)
			if of[&s.Part] == nil {
				s.Arrived = nil
			}
			of[&s.Part] = s
			return &s.Part, nil
		},
	}
	parts, _ = s.Run(parts) // neither function fails
	for _, part := range parts {
		alerts = append(alerts, l.store(of[part], now)...)
	}
	sortAlerts(alerts)
	for s := range l.waiting {
		if !s.due.IsZero() && (next.IsZero() || s.due.Before(next)) {
			next = s.due
		}
	}
	return alerts, next
}

// store stores the outcome of a subject, and returns its alerts.
func (l *Ledger) store(s *ledgerSubject, now time.Time) []*exposure.Alert {
	out := s.Outcome
	s.Outcome = Outcome{}
	for _, e := range slices.Concat(s.Arrived, out.Deadlines) {
		s.Events = append(s.Events, e)
		l.known[eventOf(e)] = s
	}
	if len(out.Drop) > 0 {
		drop := make(map[string]bool, len(out.Drop))
		for _, id := range out.Drop {
			drop[id] = true
		}
		s.Events = slices.DeleteFunc(s.Events, func(e *trail.Event) bool { return drop[e.ID] })
	}
	s.State, s.Arrived, s.dirty, s.due = out.State, nil, false, out.Next
	if !s.due.IsZero() && !s.due.After(now) {
		s.due = now.Add(time.Second)
	}
	if l.waiting[s] = true; s.due.IsZero() {
		delete(l.waiting, s)
	}
	return out.Alerts
}

// inLaneOrder sorts subjects by lane, so that their order does not depend on that
// of arrival.
func inLaneOrder(subjects map[*ledgerSubject]bool) []*ledgerSubject {
	return slices.SortedFunc(maps.Keys(subjects), func(a, b *ledgerSubject) int {
		return cmp.Or(strings.Compare(a.lane, b.lane), strings.Compare(slices.Min(a.keys), slices.Min(b.keys)))
	})
}
