package exposure

import (
	"slices"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// Lane returns the lane that e is folded in: its account, or an actor's
// identity. Events of different lanes never share a subject.
func Lane(e *trail.Event) string {
	if e.Lane != "" {
		return e.Lane
	}
	return e.Partition + "/" + e.Account
}

// ActorLane reports whether a lane is that of an actor.
func ActorLane(lane string) bool { return strings.HasPrefix(lane, actorLane) }

// Keys returns the keys of the subject that e belongs to, at least one. Events
// of one lane that share a key are of one subject; so are those that a third
// event joins. A failed call joins nothing: its caller may have made up the
// target.
func Keys(e *trail.Event) []string {
	if e.Key != "" {
		return []string{e.Key}
	}
	var keys []string
	if e.User != "" {
		keys = append(keys, userKey(e.User))
	}
	if e.Failed() && len(keys) > 0 {
		return keys
	}
	if e.NewUser != "" {
		if k := userKey(e.NewUser); !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	if e.Serial != "" {
		keys = append(keys, "device:"+FoldName(e.Serial))
	}
	switch {
	case len(keys) > 0:
	case e.Failed():
		keys = append(keys, "unknown:"+actorKey(&e.Actor)) // a denied call may name no target: one actor's are of one
	default:
		keys = append(keys, "event:"+e.ID)
	}
	return keys
}

func userKey(name string) string { return "user:" + FoldName(name) }

// Subject holds the exposures and attempts of a set of events: those of one account, or
// of one subject of it. Exposures are to be finished by Finish.
type Subject struct {
	Exposures []*Exposure // in order of opening
	Attempts  []*Attempt  // in order of their first event
	f         *folder
}

// FoldSubject folds events after what is remembered of earlier ones. Exposures that
// wait until after now are undecided; with a zero now, none waits.
func FoldSubject(events []*trail.Event, m Memory, p *Policy, now time.Time) *Subject {
	f := fold(events, m, p, now)
	return &Subject{f.exposures, f.attempts, f}
}

// First returns the first event, which may stand for a dropped one; nil if there is
// none.
func (s *Subject) First() *trail.Event {
	if len(s.f.items) == 0 {
		return nil
	}
	return s.f.items[0].ev
}

// FindAttempts sets the attempt of each event whose ID is a key of by.
func (s *Subject) FindAttempts(by map[string]*Attempt) {
	for i := range s.f.items {
		if it := &s.f.items[i]; it.a != nil {
			if _, asked := by[it.ev.ID]; asked {
				by[it.ev.ID] = it.a
			}
		}
	}
}

// Gone returns an exposure that was alerted under the ID and is known now not to have
// begun with any of the deactivations, with the step that resolves it; nil if none of
// them is there.
func (s *Subject) Gone(id string, opened time.Time, deactivations []string) (*Exposure, *Moment) {
	i := slices.IndexFunc(s.f.items, func(it item) bool { return slices.Contains(deactivations, it.ev.ID) })
	if i < 0 {
		return nil, nil
	}
	e := s.f.items[i].ev
	p := s.f.target(e)
	if p == nil {
		p = &identity{}
	}
	x := newExposure(p, e, s.f.policy)
	x.ID, x.OpenedAt, x.isGone = id, opened, true
	return x, x.neverOpened(opened, e)
}

// ShowPaths derives an event for each other user whose path a call of theirs
// showed: only the caller's record holds it (R11), while whether a user is
// privileged is decided with the user's own events.
func (s *Subject) ShowPaths(before map[string]string) (derived []*trail.Event) {
	f := s.f
	own := map[string]bool{}
	for i := range f.items {
		if e := f.items[i].ev; e.Name != trail.PathSeen {
			own[FoldName(e.User)], own[FoldName(e.NewUser)] = true, true
		}
	}
	shown := map[string]bool{}
	for i := range f.items {
		it := &f.items[i]
		a := &it.ev.Actor
		if it.tombstone || a.Type != "IAMUser" || a.Name == "" || it.ev.Name == trail.PathSeen {
			continue
		}
		name, path := FoldName(a.Name), pathOf(a.ARN)
		if path == "" || path == "/" || own[name] || before[name] == path || shown[name+path] {
			continue
		}
		shown[name+path] = true
		day := it.ev.Time.UTC().Truncate(24 * time.Hour)
		derived = append(derived, &trail.Event{
			ID: ID("path", it.ev.Partition, it.ev.Account, name, path, day.Format(time.DateOnly)), Name: trail.PathSeen, Time: day,
			Partition: it.ev.Partition, Account: it.ev.Account, User: a.Name,
			Actor: trail.Actor{Type: "IAMUser", Name: a.Name, ARN: a.ARN, Self: true},
		})
	}
	return derived
}
