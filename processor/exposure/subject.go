package exposure

import (
	"maps"
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
		keys = append(keys, "device:"+e.Serial)
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

func userKey(name string) string { return "user:" + foldName(name) }

// Merge returns the State of the subject that two subjects have become. The
// next Notify folds their events together: what was alerted of either keeps its
// ID, and an exposure that has become part of another one is resolved.
func (s State) Merge(t State) State {
	m := State{
		delivered:  slices.Concat(s.delivered, t.delivered),
		attempts:   slices.Concat(s.attempts, t.attempts),
		tombstones: slices.Concat(s.tombstones, t.tombstones),
		campaigns:  slices.Concat(s.campaigns, t.campaigns),
		members:    slices.Concat(s.members, t.members),
		tallies:    slices.Concat(s.tallies, t.tallies),
		counters:   slices.Concat(s.counters, t.counters),
		paths:      s.paths,
	}
	slices.SortFunc(m.delivered, func(a, b delivered) int {
		return inOrder(a.OpenedAt, b.OpenedAt, a.ID, b.ID)
	})
	slices.SortStableFunc(m.attempts, func(a, b deliveredAttempt) int { return inOrder(a.At, b.At, a.ID, b.ID) })
	slices.SortStableFunc(m.tombstones, func(a, b tombstone) int { return a.Time.Compare(b.Time) })
	slices.SortStableFunc(m.campaigns, func(a, b deliveredCampaign) int { return inOrder(a.First, b.First, a.ID, b.ID) })
	slices.SortStableFunc(m.counters, func(a, b counter) int { return inOrder(a.From, b.From, a.Key, b.Key) })
	slices.SortFunc(m.members, func(a, b member) int { return strings.Compare(a.Exposure, b.Exposure) })
	if len(t.paths) > 0 {
		m.paths = maps.Clone(t.paths)
		for name, path := range s.paths {
			m.paths[name] = max(path, m.paths[name])
		}
	}
	return m
}

// showPaths derives an event for each other user whose path a call of theirs
// showed: only the caller's record holds it (R11), while whether a user is
// privileged is decided with the user's own events.
func (t *notifier) showPaths(f *folder, before map[string]string) {
	own := map[string]bool{}
	for i := range f.items {
		if e := f.items[i].ev; e.Name != trail.PathSeen {
			own[foldName(e.User)], own[foldName(e.NewUser)] = true, true
		}
	}
	shown := map[string]bool{}
	for i := range f.items {
		it := &f.items[i]
		a := &it.ev.Actor
		if it.tombstone || a.Type != "IAMUser" || a.Name == "" || it.ev.Name == trail.PathSeen {
			continue
		}
		name, path := foldName(a.Name), pathOf(a.ARN)
		if path == "" || path == "/" || own[name] || before[name] == path || shown[name+path] {
			continue
		}
		shown[name+path] = true
		day := it.ev.Time.UTC().Truncate(24 * time.Hour)
		t.out.Derived = append(t.out.Derived, &trail.Event{
			ID: id("path", it.ev.Partition, it.ev.Account, name, path, day.Format(time.DateOnly)), Name: trail.PathSeen, Time: day,
			Partition: it.ev.Partition, Account: it.ev.Account, User: a.Name,
			Actor: trail.Actor{Type: "IAMUser", Name: a.Name, ARN: a.ARN, Self: true},
		})
	}
}
