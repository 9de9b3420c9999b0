package alerting

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// sighting tells an actor's lane of one exposure or attempt. It is the body of a
// Sighting event; a later revision replaces an earlier one.
type sighting struct {
	Exposure string            `json:"exposure"`
	Kind     hitKind           `json:"kind,omitempty"`
	Revision int               `json:"revision"`
	Subject  string            `json:"subject"`           // a key of the subject that holds the exposure
	Whose    string            `json:"whose"`             // the same for all exposures of one identity
	Counts   bool              `json:"counts,omitempty"`  // towards a campaign
	Open     bool              `json:"open,omitempty"`    // the exposure is
	Silenced bool              `json:"silent,omitempty"`  // it is open and waits for no human
	Suspect  bool              `json:"suspect,omitempty"` // a device came back, but possibly an intruder's
	Severity exposure.Severity `json:"severity"`          // as part of a campaign
	Reasons  []string          `json:"reasons,omitempty"` // root, privileged, exploited, changed
	Attack   []string          `json:"attack,omitempty"`
	User     string            `json:"user,omitempty"`
	OpenedAt time.Time         `json:"opened_at"`
	First    *trail.Event      `json:"first"`          // the removal
	Last     *trail.Event      `json:"last,omitempty"` // the event that ended the exposure; nil while it is open
	LastAt   time.Time         `json:"last_at,omitzero"`

	Resolution string    `json:"resolution,omitempty"`
	Was        *standing `json:"was,omitempty"`  // of the revision before
	More       *more     `json:"more,omitempty"` // it is a tally

	lane          string
	firstRevision int // of those that are read together; Was is of that one
}

// sighted records the last sighting of an exposure.
type sighted struct {
	Lane     string `json:"lane"`
	Revision int    `json:"revision"`
	Hash     string `json:"hash"` // "": withdrawn

	Standing standing `json:"standing"`
}

// membership is the campaign that covers an exposure. It is the body of a
// Membership event.
type membership struct {
	ID       string    `json:"campaign,omitempty"` // "": none any more
	Account  string    `json:"account,omitempty"`  // that its alerts are about
	Since    time.Time `json:"since,omitzero"`     // from when on it is one, and is escalated
	From     string    `json:"from"`               // the actor's lane
	Revision int       `json:"revision"`
}

// member records in an actor's lane what was said of a sighted exposure.
type member struct {
	Exposure string    `json:"exposure"`
	Lane     string    `json:"lane"`
	Campaign string    `json:"campaign,omitempty"`
	Since    time.Time `json:"since,omitzero"`
	Revision int       `json:"revision,omitempty"`
	Over     bool      `json:"over,omitempty"`     // the exposure had ended
	Notified bool      `json:"notified,omitempty"` // an alert of the campaign counted it
}

func (m *member) notifiedBy(w *ActorCampaign) bool { return m.Notified && m.Campaign == w.ID }

// sightedReasons are the reasons that a campaign takes from its exposures.
const sightedReasons = exposure.HasRoot | exposure.HasPrivileged | exposure.HasExploited | exposure.HasChanged

// sightingOf returns what the actor's lane has to know of x.
func sightingOf(x *exposure.Exposure, notified bool, now time.Time) *sighting {
	step := exposure.Escalated
	if x.Suspect() {
		step = exposure.Suspect
	}
	m := x.StepBy(step, x.First())
	m.Reasons |= exposure.HasCampaign
	severity, _ := x.SeverityOf(&m, 0)
	s := &sighting{
		Exposure: x.ID, Subject: exposure.Keys(x.First())[0], Whose: x.Whose(), Counts: x.CountsForCampaign(notified, now),
		Kind: kindOf(x),
		Open: x.Open(), Silenced: x.Open() && x.Silenced(), Suspect: x.Suspect(), Severity: severity,
		Reasons: (x.ReasonSet() & sightedReasons).Words(), Attack: x.Attack(),
		User: x.User, OpenedAt: x.OpenedAt, First: x.First(), lane: x.ActorLane(),
	}
	if last := &x.Steps[len(x.Steps)-1]; last.Step == exposure.Resolved {
		s.Last, s.LastAt, s.Resolution = last.Event, last.Time, last.Resolution
	}
	return s
}

func (s *sighting) reasons() (r exposure.Reasons) {
	for i, w := range exposure.ReasonWords {
		if slices.Contains(s.Reasons, w) {
			r |= 1 << i
		}
	}
	return r
}

func (s *sighting) exploitedOrChanged() bool {
	return s.reasons()&(exposure.HasExploited|exposure.HasChanged) != 0
}

// end returns when the exposure ended, or when it began if it has no end.
func (s *sighting) end() time.Time {
	if s.Last != nil && s.LastAt.After(s.to()) {
		return s.LastAt
	}
	return s.to()
}

// event returns the event that carries s to the actor's lane.
func (s *sighting) event(hash string) *trail.Event {
	body, err := json.Marshal(s)
	if err != nil { // an event that JSON cannot express is stored without its record, too
		c := *s
		c.First, c.Last = withoutRecord(s.First), withoutRecord(s.Last)
		body, _ = json.Marshal(&c)
	}
	return &trail.Event{
		ID: exposure.ID("sighting", s.lane, s.Exposure, strconv.Itoa(s.Revision), hash), Name: trail.Sighting, Time: s.OpenedAt,
		Partition: s.First.Partition, Account: s.First.Account, User: s.User, Exposure: s.Exposure,
		Lane: s.lane, Key: "actor", Body: body,
	}
}

func withoutRecord(e *trail.Event) *trail.Event {
	if e == nil {
		return nil
	}
	c := *e
	c.Raw = nil
	return &c
}

// hash identifies the content of s, without its revision.
func (s *sighting) hash() string {
	c := *s
	c.Revision, c.User, c.First, c.Last = 0, exposure.FoldName(s.User), &trail.Event{ID: s.First.ID}, nil
	if s.Last != nil {
		c.Last = &trail.Event{ID: s.Last.ID}
	}
	b, _ := json.Marshal(&c)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// sight derives a sighting of x if the actor's lane does not know x as it is.
func (t *notifier) sight(x *exposure.Exposure, sent *delivered) {
	was := sent.Sighted
	if was == nil && !x.CountsForCampaign(sent.notified(), t.now) {
		return
	}
	s := sightingOf(x, sent.notified(), t.now)
	hash := s.hash()
	switch {
	case was != nil && was.Lane == s.lane && was.Hash == hash:
		return
	case was != nil && was.Lane != s.lane: // a late record shows another actor
		t.withdraw(sent, x.First())
		was = sent.Sighted
	}
	s.Revision = 1
	if was != nil {
		s.Revision = was.Revision + 1
	}
	if was != nil && was.Hash != "" {
		s.Was = &was.Standing
	}
	sent.Sighted = &sighted{Lane: s.lane, Revision: s.Revision, Hash: hash, Standing: s.standing()}
	t.out.Derived = append(t.out.Derived, s.event(hash))
}

// withdraw tells the actor's lane that an exposure that it knows of is none.
func (t *notifier) withdraw(sent *delivered, first *trail.Event) {
	was := sent.Sighted
	if was == nil || was.Hash == "" {
		return
	}
	s := &sighting{
		Exposure: sent.ID, Revision: was.Revision + 1, Was: &was.Standing, Kind: was.Standing.Kind,
		OpenedAt: was.Standing.OpenedAt, First: withoutRecord(first), lane: was.Lane,
	}
	sent.Sighted = &sighted{Lane: was.Lane, Revision: s.Revision}
	t.out.Derived = append(t.out.Derived, s.event(""))
}

// notified reports whether the exposure was alerted as open.
func (t *delivered) notified() bool { return t.Opened || t.Exploited || t.Round > 0 }

// memberships returns the last word of each actor's lane on each exposure, and
// the events that are superseded.
func memberships(events []*trail.Event) (last map[string]membership, superseded map[string]bool) {
	carrier := map[string]string{}
	for _, e := range events {
		if e == nil || e.Name != trail.Membership {
			continue
		}
		var m membership
		if json.Unmarshal(e.Body, &m) != nil {
			continue
		}
		if last == nil {
			last, superseded = map[string]membership{}, map[string]bool{}
		}
		k := m.From + "\x00" + e.Exposure
		switch had, known := last[k]; {
		case !known || m.Revision > had.Revision:
			if known {
				superseded[carrier[k]] = true
			}
			last[k], carrier[k] = m, e.ID
		case m.Revision < had.Revision:
			superseded[e.ID] = true
		}
	}
	return last, superseded
}

// join records the campaign that covers x.
func join(x *exposure.Exposure, last map[string]membership) {
	if m, ok := last[x.ActorLane()+"\x00"+x.ID]; ok && m.ID != "" {
		x.Campaign = m.campaign()
	}
}

// sightings returns the last revision of each sighting, in order of opening, and
// the events that carry them.
func sightings(events []*trail.Event) (all []*sighting, carriers map[*sighting]string) {
	type key struct{ lane, exposure string }
	at := map[key]int{}
	for _, e := range events {
		if e == nil || e.Name != trail.Sighting {
			continue
		}
		s := &sighting{lane: e.Lane}
		if json.Unmarshal(e.Body, s) != nil || s.First == nil {
			continue
		}
		if carriers == nil {
			carriers = map[*sighting]string{}
		}
		s.firstRevision = s.Revision
		k := key{s.lane, s.Exposure}
		switch i, known := at[k]; {
		case !known:
			at[k] = len(all)
			all = append(all, s)
		case s.Revision > all[i].Revision:
			s.firstRevision, s.Was = all[i].firstRevision, all[i].Was
			delete(carriers, all[i])
			all[i] = s
		default:
			if s.Revision < all[i].firstRevision {
				all[i].firstRevision, all[i].Was = s.Revision, s.Was
			}
			continue
		}
		carriers[s] = e.ID
	}
	sortSightings(all)
	return all, carriers
}

// laneState holds the campaigns and sightings of actors' lanes.
type laneState struct {
	campaigns []*deliveredCampaign
	members   []member
	tallies   []tally
	kept      map[string]bool // the IDs of sightings
}

// foldLanes decides the campaigns of the actors whose lanes the events belong
// to, alerts them, and derives a membership for each exposure of which the
// campaign has changed.
func (t *notifier) foldLanes(events []*trail.Event, st State) (l laneState) {
	all, carriers := sightings(events)
	if len(all)+len(st.campaigns)+len(st.tallies) == 0 {
		return l
	}
	type key struct{ lane, exposure string }
	known := make(map[key]member, len(st.members))
	for _, m := range st.members {
		known[key{m.Lane, m.Exposure}] = m
	}
	memberOf := func(s *sighting) (member, bool) {
		m, ok := known[key{s.lane, s.Exposure}]
		return m, ok
	}
	all = withTallies(all, carriers, st, memberOf)
	found := findCampaigns(all, t.policy)
	l.campaigns = assignCampaignIDs(found, memberOf, st.campaigns)
	t.notifyCampaigns(found, l.campaigns)

	in := map[*sighting]*ActorCampaign{}
	for _, w := range found {
		for _, s := range w.hits {
			in[s] = w
		}
	}
	l.kept = make(map[string]bool, len(all))
	covered := make(map[*sighting]member, len(all))
	for _, s := range all {
		t.live = t.live || s.Open
		if s.More != nil {
			if w := in[s]; w != nil && w.notified {
				s.More.Unreported = 0
			}
			continue
		}
		m := member{Exposure: s.Exposure, Lane: s.lane}
		if was, ok := memberOf(s); ok {
			m = was
		}
		m.Over = !s.Open
		w := in[s]
		m.Notified = w != nil && (w.notified || m.notifiedBy(w))
		t.cover(s, w, &m)
		covered[s] = m
	}
	for _, s := range reduce(all, in, &t.policy.Campaign, func(s *sighting) bool { return covered[s].Notified }) {
		switch w := in[s]; {
		case !s.Open && (w == nil || w.Open == 0) && s.end().Before(t.cutoff()):
		case s.More != nil:
			s.More.Campaign = ""
			if w != nil {
				s.More.Campaign = w.ID
			}
			l.tallies = append(l.tallies, tally{s.lane, *s})
		default:
			l.kept[carriers[s]] = true
			l.members = append(l.members, covered[s])
		}
	}
	slices.SortFunc(l.tallies, func(a, b tally) int {
		return inOrder(a.Sighting.OpenedAt, b.Sighting.OpenedAt, a.Lane, b.Lane, string(a.Sighting.Kind), string(b.Sighting.Kind))
	})
	slices.SortFunc(l.members, func(a, b member) int { return strings.Compare(a.Exposure+a.Lane, b.Exposure+b.Lane) })
	return l
}

// cover derives a membership of a sighted exposure if its campaign has changed.
func (t *notifier) cover(s *sighting, w *ActorCampaign, m *member) {
	now := membership{From: s.lane}
	if w != nil {
		now.ID, now.Account, now.Since = w.ID, w.Account, w.since
	}
	if now.ID == m.Campaign && now.Since.Equal(m.Since) {
		return
	}
	m.Campaign, m.Since = now.ID, now.Since
	m.Revision++
	now.Revision = m.Revision
	body, err := json.Marshal(&now)
	if err != nil || s.Subject == "" {
		return
	}
	t.out.Derived = append(t.out.Derived, &trail.Event{
		ID: exposure.ID("membership", s.lane, s.Exposure, now.ID, now.Since.UTC().Format(time.RFC3339Nano), strconv.Itoa(now.Revision)), Name: trail.Membership,
		Time: s.OpenedAt, Partition: s.First.Partition, Account: s.First.Account, User: s.User, Exposure: s.Exposure, Key: s.Subject, Body: body,
	})
}

func (m *membership) campaign() *exposure.Campaign {
	return &exposure.Campaign{ID: m.ID, Account: m.Account, Since: m.Since}
}
