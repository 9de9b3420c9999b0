package alerting

import (
	"slices"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// Of the sightings of an actor's lane that are of one kind, the earliest of the
// last campaign and the latest are kept one by one. The others are a tally, so that
// an actor who hits thousands costs no more than one who hits a hundred.
const (
	sightingsEachEnd = 64
	maxSightings     = 2 * sightingsEachEnd
)

// more makes a sighting a tally. Its other fields are those of the earliest, the
// worst or the last to end of the sightings that it stands for.
type more struct {
	To    time.Time `json:"to"`    // OpenedAt of the latest
	Users int       `json:"users"` // those that were not kept otherwise
	Open  int       `json:"open"`  // the number of open exposures

	Campaign string `json:"campaign,omitempty"` // of which its users are; "": none
}

// tally is the stored form of a tally.
type tally struct {
	Lane     string   `json:"lane"`
	Sighting sighting `json:"sighting"`
}

// to returns when the exposure of s began, or the latest that it stands for.
func (s *sighting) to() time.Time {
	if s.More != nil {
		return s.More.To
	}
	return s.OpenedAt
}

// count adds a sighting to a tally. fresh says that no other sighting is of its
// user.
func (s *sighting) count(o *sighting, fresh bool) {
	s.update(o, 0)
	if o.Counts && fresh {
		s.More.Users++
	}
	s.Counts = s.Counts || o.Counts
	if o.OpenedAt.Before(s.OpenedAt) {
		s.OpenedAt, s.First = o.OpenedAt, withoutRecord(o.First)
	}
	if o.OpenedAt.After(s.More.To) {
		s.More.To = o.OpenedAt
	}
}

// update notes a later revision of a sighting that the tally counts as so many open
// exposures.
func (s *sighting) update(o *sighting, was int) {
	if o.Open {
		was--
	}
	s.More.Open = max(0, s.More.Open-was)
	s.Open = s.More.Open > 0
	if o.Severity.Level() > s.Severity.Level() {
		s.Severity = o.Severity
	}
	s.Reasons = (s.reasons() | o.reasons()).Words()
	for _, a := range o.Attack {
		if !slices.Contains(s.Attack, a) {
			s.Attack = append(slices.Clip(s.Attack), a)
		}
	}
	if o.Last != nil && (s.Last == nil || o.LastAt.After(s.LastAt)) {
		s.Last, s.LastAt, s.Resolution = withoutRecord(o.Last), o.LastAt, o.Resolution
	}
}

// withTallies adds the stored tallies to sightings. A later revision of a sighting
// that a tally stands for changes the tally.
func withTallies(all []*sighting, carriers map[*sighting]string, st State, memberOf func(*sighting) (member, bool)) []*sighting {
	if len(st.tallies) == 0 {
		return all
	}
	var tallies []*sighting
	for _, t := range st.tallies {
		s, m := t.Sighting, *t.Sighting.More
		s.lane, s.More = t.Lane, &m
		tallies = append(tallies, &s)
	}
	all = slices.DeleteFunc(all, func(s *sighting) bool {
		if _, known := memberOf(s); known || s.firstRevision == 1 {
			return false
		}
		i := slices.IndexFunc(tallies, func(t *sighting) bool {
			return t.lane == s.lane && !s.OpenedAt.Before(t.OpenedAt) && !s.OpenedAt.After(t.More.To)
		})
		if i < 0 {
			return false
		}
		was := 0
		if s.WasOpen {
			was = 1
		}
		tallies[i].update(s, was)
		delete(carriers, s)
		return true
	})
	all = append(all, tallies...)
	sortSightings(all)
	return all
}

// reduce counts the sightings of which there are too many of one kind in one lane,
// and returns those that stay, with new tallies. Exposures of a user who has others
// go first.
func reduce(all []*sighting, in map[*sighting]*ActorCampaign, within time.Duration) []*sighting {
	if len(all) <= maxSightings {
		return all
	}
	type key struct {
		lane string
		kind hitKind
	}
	groups := map[key][]*sighting{}
	for _, s := range all {
		k := key{s.lane, s.Kind}
		groups[k] = append(groups[k], s)
	}
	counted := map[*sighting]bool{}
	for _, of := range groups {
		kept := slices.DeleteFunc(slices.Clone(of), func(s *sighting) bool { return s.More != nil })
		excess := len(kept) - maxSightings
		if excess <= 0 {
			continue
		}
		tallies := slices.DeleteFunc(of, func(s *sighting) bool { return s.More == nil })
		whose := map[string]int{}
		for _, s := range kept {
			whose[s.Whose]++
		}
		spare := sparable(kept, in)
		for _, repeated := range []bool{true, false} {
			for _, s := range spare {
				if excess == 0 || counted[s] || repeated && (s.Open || whose[s.Whose] == 1) {
					continue
				}
				t := tallyFor(s, tallies, in, within)
				if !slices.Contains(tallies, t) {
					tallies, all = append(tallies, t), append(all, t)
					in[t] = in[s]
				}
				t.count(s, whose[s.Whose] == 1)
				whose[s.Whose]--
				counted[s] = true
				excess--
			}
		}
	}
	return slices.DeleteFunc(all, func(s *sighting) bool { return counted[s] })
}

// sparable returns the sightings that may be counted, in order: not the latest, nor
// the earliest of the last campaign, nor the first and last of one that is not over.
func sparable(of []*sighting, in map[*sighting]*ActorCampaign) (spare []*sighting) {
	last := in[of[len(of)-1]]
	nth := map[*ActorCampaign]int{}
	for i, s := range of[:len(of)-sightingsEachEnd] {
		w := in[s]
		nth[w]++
		switch {
		case w == nil:
		case w == last && nth[w] <= sightingsEachEnd:
			continue
		case w != last && !w.delivered.Closed && (nth[w] == 1 || in[of[i+1]] != w):
			continue
		}
		spare = append(spare, s)
	}
	return spare
}

// tallyFor returns the tally of the sighting's campaign or, if it is of none, one
// nearby; else a new one.
func tallyFor(s *sighting, tallies []*sighting, in map[*sighting]*ActorCampaign, within time.Duration) *sighting {
	for _, t := range tallies {
		near := s.OpenedAt.Sub(t.More.To) < within && t.OpenedAt.Sub(s.OpenedAt) < within
		if in[s] == in[t] && (in[s] != nil || near) {
			return t
		}
	}
	return &sighting{Kind: s.Kind, Severity: exposure.Info, OpenedAt: s.OpenedAt, First: withoutRecord(s.First), lane: s.lane, More: &more{To: s.OpenedAt}}
}
