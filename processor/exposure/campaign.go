package exposure

import (
	"slices"
	"strconv"
	"time"

	"github.com/mfawatch/mfawatch/processor/rule"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// settle is how long after one more user was hit a campaign is told again at the
// latest; sooner if it has doubled.
const settle = 15 * time.Minute

// maxUsers bounds the users that a campaign's alert lists.
const maxUsers = 100

// A Wave is a campaign: the exposures of several users by one actor, told as one.
// It is read-only.
type Wave struct {
	ID        string
	Partition string
	Account   string
	Actor     trail.Actor // as in the last of them
	Exposures []*Exposure // in order of their beginning
	Users     int         // how many different ones
	Open      int         // of how many an exposure is open
	Severity  Severity    // the highest of them
	First     time.Time
	Last      time.Time

	policy *Policy
	told   *toldWave // what was said of it; set by nameWaves
}

// counts reports whether x is one of those that make a campaign: the user lost
// the last device known, nobody had announced it, and it was no off-boarding, no
// replacement within the grace, and does not wait to be seen as either. What was
// told waits no longer: else whoever deletes passwords would undo a campaign.
func (x *Exposure) counts(told bool, now time.Time) bool {
	switch {
	case x.openSince.IsZero() || x.announced() != 0 || x.Actor == (trail.Actor{}):
		return false
	case x.used():
		return true
	case x.Resolution == UserDeleted, x.ResolvedAt != nil && x.ResolvedAt.Sub(x.openSince) <= x.policy.Grace && !x.foreign():
		return false
	}
	waits := x.leaving && x.Open() && !told && !x.privileged && x.User != ""
	return !waits || now.IsZero() || !now.Before(x.OpenedAt.Add(leavingTime))
}

// findWaves finds the campaigns: exposures by one actor, each within the time of
// the one before, of which enough users lie within it at some point.
func (f *folder) findWaves(before []told, now time.Time) {
	p := &f.policy.Campaign
	if p.Users <= 0 || len(f.exposures) < p.Users {
		return
	}
	known := map[string]bool{} // deactivations that were told
	for i := range before {
		if t := &before[i]; t.Opened || t.Exploited || t.Round > 0 {
			for _, id := range t.Deactivations {
				known[id] = true
			}
		}
	}
	by := map[string][]*Exposure{}
	var order []string
	for _, x := range f.exposures {
		if !x.counts(known[x.first.ID], now) {
			continue
		}
		k := actorKey(&x.Actor)
		if by[k] == nil {
			order = append(order, k)
		}
		by[k] = append(by[k], x)
	}
	for _, k := range order {
		of := by[k]
		for begin := 0; begin < len(of); {
			end := begin + 1
			for end < len(of) && of[end].OpenedAt.Sub(of[end-1].OpenedAt) < p.Within {
				end++
			}
			if dense(of[begin:end], p) {
				f.waves = append(f.waves, newWave(of[begin:end:end], f.policy))
			}
			begin = end
		}
	}
	if len(f.waves) > 1 {
		sortWaves(f.waves)
	}
}

// dense reports whether enough users lie within the time at some point.
func dense(of []*Exposure, p *Campaigns) bool {
	if len(of) < p.Users {
		return false
	}
	within := map[*person]int{}
	first := 0
	for _, x := range of {
		within[x.person]++
		for x.OpenedAt.Sub(of[first].OpenedAt) >= p.Within {
			if within[of[first].person]--; within[of[first].person] == 0 {
				delete(within, of[first].person)
			}
			first++
		}
		if len(within) >= p.Users {
			return true
		}
	}
	return false
}

func newWave(of []*Exposure, p *Policy) *Wave {
	first, last := of[0], of[len(of)-1]
	w := &Wave{
		ID: waveID(first.first), Partition: first.Partition, Account: first.Account, Actor: last.Actor,
		Exposures: of, First: first.OpenedAt, Last: last.OpenedAt, policy: p,
	}
	persons := make(map[*person]bool, len(of)) // whether one is open
	for _, x := range of {
		x.wave = w
		persons[x.person] = persons[x.person] || x.Open()
	}
	w.Users = len(persons)
	for _, open := range persons {
		if open {
			w.Open++
		}
	}
	return w
}

// users lists who was hit.
func (w *Wave) users() *AlertUsers {
	u := &AlertUsers{Count: w.Users, Open: w.Open, Names: []string{}}
	persons := make(map[*person]bool, w.Users)
	for _, x := range w.Exposures {
		if name := x.User; name != "" && !persons[x.person] && len(u.Names) < maxUsers {
			u.Names = append(u.Names, name)
		}
		persons[x.person] = true
	}
	return u
}

func sortWaves(waves []*Wave) {
	slices.SortFunc(waves, func(a, b *Wave) int {
		return inOrder(a.First, b.First, a.Partition, b.Partition, a.Account, b.Account, a.ID, b.ID)
	})
}

// nameWaves gives each campaign the name under which it was told, known by the
// exposures that were told as its own, else a new one. It returns what was told of
// all campaigns, old and new.
func nameWaves(waves []*Wave, of map[*Exposure]*told, before []toldWave) []*toldWave {
	if len(waves)+len(before) == 0 {
		return nil
	}
	all := make([]*toldWave, 0, len(before)+len(waves))
	free := make(map[string]*toldWave, len(before))
	used := make(map[string]bool, len(before))
	for i := range before {
		t := before[i]
		all = append(all, &t)
		free[t.ID], used[t.ID] = &t, true
	}
	for _, w := range waves {
		for _, x := range w.Exposures {
			if said := of[x]; said != nil && free[said.Campaign] != nil {
				w.told = free[said.Campaign]
				delete(free, said.Campaign)
				break
			}
		}
		if w.told == nil {
			for used[w.ID] {
				w.ID = id("campaign", w.ID, w.Exposures[0].first.ID)
			}
			w.told = &toldWave{ID: w.ID}
			if w.Open == 0 && !slices.ContainsFunc(w.Exposures, func(x *Exposure) bool { return of[x] == nil || !of[x].Closed }) {
				// Each was told from beginning to end before a policy made them one.
				*w.told = toldWave{ID: w.ID, Users: w.Users, Closed: true}
			}
			used[w.ID] = true
			all = append(all, w.told)
		}
		w.ID = w.told.ID
	}
	return all
}

// waves tells what has to be told of campaigns. Those that were told and are no
// more are over: of their exposures people are told one by one (see cover).
func (t *teller) waves(waves []*Wave, all []*toldWave) {
	now := make(map[*toldWave]bool, len(waves))
	for _, w := range waves {
		now[w.told] = true
		t.wave(w, w.told)
	}
	for _, said := range all {
		if !now[said] && !said.Closed {
			said.Closed = true
			t.sayWave(waveOf(said, t), said, Resolved, &Moment{Time: said.Last, Event: waveEvent(said, t)}, said.key())
		}
	}
}

// wave tells a campaign when it is first known, each time it has doubled, and some
// time after it has grown; escalates it while an exposure of it is open; and
// ends it. The delays that had passed when it is first known are not told beside
// it, unless it is late, which calls nobody.
func (t *teller) wave(w *Wave, said *toldWave) {
	open, waits := w.Open > 0, slices.ContainsFunc(w.Exposures, func(x *Exposure) bool { return x.Open() && !x.quieted() })
	last := w.latest()
	grown := w.Users > said.Users
	if grown && said.Users > 0 && w.Users < 2*said.Users && !w.worse(said.Users) {
		if at := w.hit(said.Users + 1).Add(settle); at.After(t.now) {
			t.look(at)
			grown = false
		}
	}
	first := said.Users == 0 && t.late(last.Time) == 0
	said.Actor, said.First, said.Last, said.Event = w.Actor, w.First, last.Time, last.Event.ID
	if grown || said.Closed && open {
		if said.Closed {
			said.Round++
			said.Closed = false
		}
		said.Users = max(said.Users, w.Users)
		t.sayWave(w, said, Campaign, last, said.key())
	}
	switch {
	case waits:
		base := trail.Event{Name: trail.Deadline, Partition: w.Partition, Account: w.Account, Exposure: w.ID}
		number, e := t.passed(base, w.First, said.Escalated)
		if e != nil && !first {
			t.sayWave(w, said, Escalated, &Moment{Time: e.Time, Event: e, escalation: number}, e.ID)
		}
		said.Escalated = number
	case !open && !said.Closed:
		said.Closed = true
		t.sayWave(w, said, Resolved, w.end(), said.key())
	}
}

// waveKey tells the steps of one kind apart: by how many users were hit by then,
// and how often it was told as open again.
func waveKey(users, round int) string { return strconv.Itoa(users) + "/" + strconv.Itoa(round) }

func (s *toldWave) key() string { return waveKey(s.Users, s.Round) }

func (t *teller) sayWave(w *Wave, said *toldWave, s Step, m *Moment, key string) {
	id := key // of a deadline
	if s != Escalated {
		id = stepID(w.ID, s, key, 0)
	}
	said.At = t.now
	t.out.Alerts = append(t.out.Alerts, w.alert(s, m, id, t.late(m.Time)))
}

// hit is when the nth user was.
func (w *Wave) hit(n int) time.Time {
	persons := make(map[*person]bool, n)
	for _, x := range w.Exposures {
		if persons[x.person] = true; len(persons) == n {
			return x.OpenedAt
		}
	}
	return w.Last
}

// worse reports whether the users after the first n count for more than those: the
// first privileged one, and root, wait for nobody (R28).
func (w *Wave) worse(n int) bool {
	var before, since reasons
	persons := make(map[*person]bool, w.Users)
	for _, x := range w.Exposures {
		persons[x.person] = true
		if r := x.reasons & (root | privileged); len(persons) > n {
			since |= r
		} else {
			before |= r
		}
	}
	return since&root > before&root || before == 0 && since != 0
}

// latest is what hit the last user.
func (w *Wave) latest() *Moment {
	x := w.Exposures[len(w.Exposures)-1]
	return &Moment{Time: x.OpenedAt, Event: x.first}
}

// Over is when its last exposure was over; nil while one is open.
func (w *Wave) Over() *time.Time {
	if w.Open > 0 {
		return nil
	}
	at := w.end().Time
	return &at
}

// end is what ended the last exposure that was open.
func (w *Wave) end() *Moment {
	var last *Moment
	for _, x := range w.Exposures {
		if m := &x.Steps[len(x.Steps)-1]; m.Step == Resolved && (last == nil || !m.Time.Before(last.Time)) {
			last = m
		}
	}
	if last == nil {
		return w.latest()
	}
	m := &Moment{Time: last.Time, Event: last.Event}
	if m.Time.Before(w.Last) {
		m.Time = w.Last
	}
	return m
}

// waveOf is what is left of a campaign that was told and is no more.
func waveOf(said *toldWave, t *teller) *Wave {
	return &Wave{
		ID: said.ID, Partition: t.partition, Account: t.account, Actor: said.Actor, Users: said.Users,
		First: said.First, Last: said.Last, policy: t.policy,
	}
}

func waveEvent(said *toldWave, t *teller) *trail.Event {
	return &trail.Event{
		ID: said.Event, Name: trail.DeactivateMFADevice, Time: said.Last, Partition: t.partition, Account: t.account, Actor: said.Actor,
	}
}

// judge is how loudly a step of it is told: as the worst of its exposures.
func (w *Wave) judge(s Step, m *Moment, more reasons) (Severity, string) {
	v := Info
	if s != Resolved {
		v = Low
		for _, x := range w.Exposures {
			if at := x.stands(); at.level() > v.level() {
				v = at
			}
		}
	}
	used := slices.ContainsFunc(w.Exposures, (*Exposure).used)
	return w.policy.weigh(v, s, used, func() rule.Facts {
		f := factsOf(m.Event)
		f.Actor, f.ActorType, f.MFA = w.Actor.Name, w.Actor.Type, w.Actor.MFA
		f.User, f.Root, f.Self, f.DeviceKind = "", w.root(), false, "unknown"
		f.know(inCampaign | more | w.whom())
		return f.Facts
	})
}
