package alerting

import (
	"slices"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// Of the sightings of an actor's lane that are of one kind, the earliest of the
// last campaign and the latest are kept one by one. The others are a tally, so that
// an actor who hits thousands costs no more than one who hits a hundred.
var sightingsEachEnd = 64 // a variable for tests

// eachEnd returns how many are kept of the latest: they have to show a campaign.
func eachEnd(c *exposure.Campaigns) int { return max(sightingsEachEnd, c.Users) }

// more makes a sighting a tally. Its other fields are those of the earliest, the
// worst or the last to end of the sightings that it stands for.
type more struct {
	To    time.Time `json:"to"`    // OpenedAt of the latest
	Users int       `json:"users"` // those that were not kept otherwise
	Open  int       `json:"open"`  // the number of open exposures
	Waits int       `json:"waits"` // the number of those that wait for a human

	Unreported      int       `json:"unreported,omitempty"` // the number of users whom no alert of a campaign has counted
	UnreportedSince time.Time `json:"unreported_since,omitzero"`

	Campaign string `json:"campaign,omitempty"` // of which its users are; "": none
}

// tally is the stored form of a tally.
type tally struct {
	Lane     string   `json:"lane"`
	Sighting sighting `json:"sighting"`
}

// countedIn returns the campaign whose users the tally s counts; "": none.
func (s *sighting) countedIn() string {
	if s.More == nil {
		return ""
	}
	return s.More.Campaign
}

// standing holds the facts of a sighting that a tally counts.
type standing struct {
	OpenedAt time.Time `json:"opened_at,omitzero"`
	Kind     hitKind   `json:"kind,omitempty"`
	Counts   bool      `json:"counts,omitempty"`
	Open     bool      `json:"open,omitempty"`
	Waits    bool      `json:"waits,omitempty"`
}

func (s *sighting) standing() standing {
	return standing{s.OpenedAt, s.Kind, s.Counts, s.Open, s.Open && !s.Suspect && !s.Silenced}
}

// waits reports whether the exposure of s waits for a human, or one that it stands
// for.
func (s *sighting) waits() bool {
	if s.More != nil {
		return s.More.Waits > 0
	}
	return s.standing().Waits
}

// to returns when the exposure of s began, or the latest that it stands for.
func (s *sighting) to() time.Time {
	if s.More != nil {
		return s.More.To
	}
	return s.OpenedAt
}

// count adds a sighting to a tally. fresh says that no other sighting is of its user, who
// may have lost MFA again otherwise, notified that an alert of its campaign counted the user.
func (s *sighting) count(o *sighting, fresh, notified bool) {
	if m := s.More; o.Counts && (fresh || o.Open) && !notified {
		if m.Unreported == 0 || o.OpenedAt.Before(m.UnreportedSince) {
			m.UnreportedSince = o.OpenedAt
		}
		m.Unreported++
	}
	s.update(o, standing{Counts: o.Counts && !fresh})
	if o.OpenedAt.Before(s.OpenedAt) {
		s.OpenedAt, s.First = o.OpenedAt, withoutRecord(o.First)
	}
	if o.OpenedAt.After(s.More.To) {
		s.More.To = o.OpenedAt
	}
}

// update notes a later revision of a sighting, which the tally counts as it was.
func (s *sighting) update(o *sighting, was standing) {
	is := o.standing()
	recount(&s.More.Users, is.Counts, was.Counts)
	recount(&s.More.Open, is.Open, was.Open)
	recount(&s.More.Waits, is.Waits, was.Waits)
	s.Open = s.More.Open > 0
	s.Counts = s.Counts || o.Counts
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

// recount changes the number of those of which something is true.
func recount(n *int, is, was bool) {
	switch {
	case is && !was:
		*n++
	case was && !is:
		*n = max(0, *n-1)
	}
}

func sortSightings(all []*sighting) {
	slices.SortFunc(all, func(a, b *sighting) int {
		return inOrder(a.OpenedAt, b.OpenedAt, a.First.ID, b.First.ID, a.Exposure, b.Exposure, a.lane, b.lane)
	})
}

// withTallies adds the stored tallies to sightings. A later revision of a sighting
// that a tally stands for changes the tally; one of another kind leaves it.
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
		if _, known := memberOf(s); known || s.firstRevision == 1 || s.Was == nil {
			return false
		}
		was := *s.Was
		i := slices.IndexFunc(tallies, func(t *sighting) bool {
			return t.lane == s.lane && t.Kind == was.Kind && !was.OpenedAt.Before(t.OpenedAt) && !was.OpenedAt.After(t.More.To)
		})
		if i < 0 {
			return false
		}
		if s.Kind != was.Kind {
			tallies[i].update(&sighting{Severity: exposure.Info}, was)
			return false
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
// and returns those that stay, with new tallies. Ended exposures go first that count
// towards no campaign, or whose users have others.
func reduce(all []*sighting, in map[*sighting]*ActorCampaign, c *exposure.Campaigns, notified func(*sighting) bool) []*sighting {
	if len(all) <= 2*eachEnd(c) {
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
		excess := len(kept) - 2*eachEnd(c)
		if excess <= 0 {
			continue
		}
		tallies := slices.DeleteFunc(of, func(s *sighting) bool { return s.More == nil })
		whose := map[string]int{}
		for _, s := range kept {
			whose[s.Whose]++
		}
		spare := sparable(kept, in, eachEnd(c))
		for _, repeated := range []bool{true, false} {
			for _, s := range spare {
				if excess == 0 || counted[s] || repeated && (s.Open || s.Counts && whose[s.Whose] == 1) {
					continue
				}
				t := tallyFor(s, tallies, in, c.Within)
				if !slices.Contains(tallies, t) {
					tallies, all = append(tallies, t), append(all, t)
					in[t] = in[s]
				}
				t.count(s, whose[s.Whose] == 1, notified(s))
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
func sparable(of []*sighting, in map[*sighting]*ActorCampaign, each int) (spare []*sighting) {
	last := in[of[len(of)-1]]
	nth := map[*ActorCampaign]int{}
	for i, s := range of[:len(of)-each] {
		w := in[s]
		nth[w]++
		switch {
		case w == nil:
		case w == last && nth[w] <= each:
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
