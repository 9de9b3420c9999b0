package alerting

import (
	"slices"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/rule"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// regrowthWait is how long an alert about a grown campaign may wait for further
// users. It goes out sooner if the number of users has doubled.
const regrowthWait = 15 * time.Minute

// maxUsers bounds the users that a campaign's alert lists.
const maxUsers = 100

// ActorCampaign is the exposures of several users by one actor, alerted
// together. It is read-only.
type ActorCampaign struct {
	ID        string
	Partition string
	Account   string
	Actor     trail.Actor       // as in the last exposure
	Users     int               // the number of distinct users
	Open      int               // the number of users with an open exposure
	Severity  exposure.Severity // the highest of its exposures
	First     time.Time
	Last      time.Time

	policy          *exposure.Policy
	lane            string
	kind            hitKind
	hits            []*sighting        // its exposures, in order of opening
	firsts          []*sighting        // the first of each user
	since           time.Time          // the hit that made it one: from then on it is escalated
	delivered       *deliveredCampaign // set by assignCampaignIDs
	fresh           map[string]bool    // the users whom no alert has counted, without those of tallies; likewise
	unreported      int                // the number of both
	unreportedSince time.Time          // when the first of them was hit
	notified        bool               // an alert counts all users
}

// hitKind distinguishes the hits of an actor. Only hits of one kind make a
// campaign.
type hitKind string

const (
	removal hitKind = ""       // took their MFA
	denied  hitKind = "denied" // was denied to (J16)
	wiped   hitKind = "wiped"  // took their MFA and deleted them (J16)
)

// maxWiped is from how many users wiped within an hour it is a campaign.
const maxWiped = 5

// findCampaigns finds the campaigns in sightings, which are in order of opening:
// chains of exposures by one actor, each within Campaigns.Within of the one
// before, in which enough users were hit within that time.
func findCampaigns(all []*sighting, p *exposure.Policy) (campaigns []*ActorCampaign) {
	c := &p.Campaign
	type key struct {
		lane string
		kind hitKind
	}
	by := map[key][]*sighting{}
	var order []key
	for _, s := range all {
		if !s.Counts {
			continue
		}
		k := key{s.lane, s.Kind}
		if by[k] == nil {
			order = append(order, k)
		}
		by[k] = append(by[k], s)
	}
	for _, k := range order {
		of, users := by[k], c.Users
		if k.kind == wiped && users > 0 {
			users = max(users, maxWiped)
		}
		for begin := 0; begin < len(of); {
			end, latest, is := begin+1, of[begin].to(), of[begin].countedIn()
			for end < len(of) && of[end].OpenedAt.Sub(latest) < c.Within {
				if other := of[end].countedIn(); is != "" && other != "" && is != other {
					break // the exposures of either know its name alone
				} else if is == "" {
					is = other
				}
				if at := of[end].to(); at.After(latest) {
					latest = at
				}
				end++
			}
			if since, reached := reachesThreshold(of[begin:end], users, c.Within); reached {
				w := newCampaign(of[begin:end:end], p)
				w.since = since
				campaigns = append(campaigns, w)
			}
			begin = end
		}
	}
	sortCampaigns(campaigns)
	return campaigns
}

// reachesThreshold reports whether enough distinct users lie within the time at
// some point, and since which hit, which is zero if a tally holds it. The users of a tally
// did, if it is of a campaign: that stays one under any policy, since humans are not
// notified of each of its users by itself.
func reachesThreshold(of []*sighting, users int, limit time.Duration) (since time.Time, reached bool) {
	if slices.ContainsFunc(of, func(s *sighting) bool { return s.countedIn() != "" && s.More.Users > 0 }) {
		return since, true
	}
	if users <= 0 || limit <= 0 {
		return since, false
	}
	of = slices.DeleteFunc(slices.Clone(of), func(s *sighting) bool { return s.More != nil })
	within := map[string]int{}
	first := 0
	for _, s := range of {
		within[s.Whose]++
		for s.OpenedAt.Sub(of[first].OpenedAt) >= limit {
			if within[of[first].Whose]--; within[of[first].Whose] == 0 {
				delete(within, of[first].Whose)
			}
			first++
		}
		if len(within) >= users {
			return s.OpenedAt, true
		}
	}
	return since, false
}

func newCampaign(of []*sighting, p *exposure.Policy) *ActorCampaign {
	first, last := of[0], of[len(of)-1]
	w := &ActorCampaign{
		ID: campaignID(first.First), Partition: first.First.Partition, Account: first.First.Account, Actor: last.First.Actor,
		hits: of, First: first.OpenedAt, Last: last.OpenedAt, policy: p, lane: first.lane, kind: first.Kind,
	}
	users := make(map[string]bool, len(of)) // whether an exposure is open
	for _, s := range of {
		if s.More != nil {
			w.Users, w.Open = w.Users+s.More.Users, w.Open+s.More.Open
			continue
		}
		if _, known := users[s.Whose]; !known {
			w.firsts = append(w.firsts, s)
		}
		users[s.Whose] = users[s.Whose] || s.Open
	}
	w.Users += len(w.firsts)
	for _, open := range users {
		if open {
			w.Open++
		}
	}
	return w
}

// alertUsers lists the users hit.
func (w *ActorCampaign) alertUsers() *exposure.AlertUsers {
	list := &exposure.AlertUsers{Count: w.Users, Open: w.Open, Names: []string{}}
	if accounts := w.accounts(); len(accounts) > 1 {
		list.Accounts = accounts[:min(len(accounts), maxUsers)]
	}
	for _, s := range w.firsts {
		if s.User != "" && len(list.Names) < maxUsers {
			list.Names = append(list.Names, s.User)
		}
	}
	return list
}

// accounts lists the accounts of the users, in the order of the hits.
func (w *ActorCampaign) accounts() (all []string) {
	if len(w.hits) == 0 {
		return []string{w.Account}
	}
	for _, s := range w.hits {
		if !slices.Contains(all, s.First.Account) {
			all = append(all, s.First.Account)
		}
	}
	return all
}

func sortCampaigns(campaigns []*ActorCampaign) {
	slices.SortFunc(campaigns, func(a, b *ActorCampaign) int {
		return inOrder(a.First, b.First, a.Partition, b.Partition, a.Account, b.Account, a.ID, b.ID)
	})
}

// findUnreported finds the users whom no alert has counted, or whose exposure began
// since: who lost MFA again, after it was restored, is alerted again.
func (w *ActorCampaign) findUnreported(notified func(*sighting) bool) {
	known := map[string]bool{}
	for _, s := range w.hits {
		known[s.Whose] = s.More == nil && notified(s) || known[s.Whose] && !s.Open
	}
	w.fresh = map[string]bool{}
	for _, s := range w.hits {
		n, at := 0, s.OpenedAt
		switch {
		case s.More != nil:
			n, at = s.More.Unreported, s.More.UnreportedSince
		case !known[s.Whose] && !w.fresh[s.Whose] && !notified(s):
			n, w.fresh[s.Whose] = 1, true
		}
		if n > 0 && (w.unreported == 0 || at.Before(w.unreportedSince)) {
			w.unreportedSince = at
		}
		w.unreported += n
	}
}

// moreSevere reports whether the new users weigh more than the others: each root, the
// first privileged user (R28), and the first whose exposure is as severe are alerted
// immediately. Of calls that were denied, root is the first time.
func (w *ActorCampaign) moreSevere() bool {
	var before, since exposure.Reasons
	was, is := -1, -1
	for _, s := range w.hits {
		if r := s.reasons() & (exposure.HasRoot | exposure.HasPrivileged); w.fresh[s.Whose] {
			since, is = since|r, max(is, s.Severity.Level())
		} else {
			before, was = before|r, max(was, s.Severity.Level())
		}
	}
	return since&exposure.HasRoot > before&exposure.HasRoot || before == 0 && since != 0 ||
		w.kind == removal && (since&exposure.HasRoot != 0 || is > was)
}

// latestStep returns the removal that hit the last user.
func (w *ActorCampaign) latestStep() *exposure.Moment {
	s := w.hits[len(w.hits)-1]
	return &exposure.Moment{Time: s.OpenedAt, Event: s.First}
}

// Denied reports whether the actor was denied all of it (J16).
func (w *ActorCampaign) Denied() bool { return w.kind == denied }

// Over returns when the last exposure ended; nil while one is open.
func (w *ActorCampaign) Over() *time.Time {
	if w.Open > 0 {
		return nil
	}
	at := w.endStep().Time
	return &at
}

// endStep returns the step that ended the last open exposure.
func (w *ActorCampaign) endStep() *exposure.Moment {
	var last *sighting
	for _, s := range w.hits {
		if s.Last != nil && (last == nil || !s.LastAt.Before(last.LastAt)) {
			last = s
		}
	}
	if last == nil {
		return w.latestStep()
	}
	m := &exposure.Moment{Time: last.LastAt, Event: last.Last}
	if m.Time.Before(w.Last) {
		m.Time = w.Last
	}
	return m
}

// severity returns the severity of a step, which is that of the worst exposure,
// and the reason of the rule that set it. A rule for one account lowers nothing in
// another.
func (w *ActorCampaign) severity(s exposure.Step, m *exposure.Moment, more exposure.Reasons) (exposure.Severity, string) {
	v := exposure.Info
	switch {
	case s == exposure.Resolved:
	case w.kind != removal:
		v = exposure.High
	default:
		v = exposure.Low
		for _, s := range w.hits {
			if s.Severity.Level() > v.Level() {
				v = s.Severity
			}
		}
	}
	used := slices.ContainsFunc(w.hits, (*sighting).exploitedOrChanged)
	var worst exposure.Severity
	because := ""
	for _, account := range w.accounts() {
		is, rule := w.policy.ApplyRules(v, s, used, func() rule.Facts {
			f := exposure.FactsOf(m.Event)
			f.Actor, f.ActorType, f.MFA = exposure.ActorName(w.Actor.Type, w.Actor.Name), w.Actor.Type, w.Actor.MFA
			f.User, f.Root, f.Self, f.DeviceKind = "", w.userReasons()&exposure.HasRoot != 0, false, "unknown"
			f.Account = account
			f.AddReasons(exposure.HasCampaign | more | w.userReasons())
			return f.Facts
		})
		if is.Level() > worst.Level() {
			worst, because = is, rule
		}
	}
	return worst, because
}

// kindOf returns what was done to the user.
func kindOf(x *exposure.Exposure) hitKind {
	if x.Wiped() {
		return wiped
	}
	return removal
}
