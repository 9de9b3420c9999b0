package alerting

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
)

// manyHits are calls by mallory: one on each of n users, a second each.
func manyHits(t testing.TB, n int, call string) (events []*trail.Event) {
	for i := range n {
		events = append(events, script(t, fmt.Sprintf("%d %s id=h%d by=mallory", i, fmt.Sprintf(call, i), i))...)
	}
	return events
}

// lastOf returns the last alert about a campaign.
func lastOf(alerts []*exposure.Alert, step exposure.Step) (last *exposure.Alert) {
	for _, a := range alerts {
		if a.Users != nil && a.Step == step {
			last = a
		}
	}
	return last
}

// One actor hits more users than sightings are kept: the campaign counts all of
// them, in any order, and ends with the last of them; the lane stays small.
func TestJ15_MoreUsersThanAreKept(t *testing.T) {
	users := 4*sightingsEachEnd + 10
	for seed := range uint64(3) {
		r := rand.New(rand.NewPCG(seed, 91))
		p := exposure.DefaultPolicy()
		p.EscalateAfter = nil
		var l Ledger
		var all []*exposure.Alert
		fold := func(now time.Time, events ...*trail.Event) {
			l.Append(events...)
			alerts, next := l.Fold(now, p)
			all = append(all, alerts...)
			for !next.IsZero() && next.Before(now.Add(regrowthWait+time.Second)) {
				alerts, next = l.Fold(next, p)
				all = append(all, alerts...)
			}
			for s := range l.subjects {
				if s.lane[0] == 'a' && len(l.subjects[s].State.members) > 2*sightingsEachEnd {
					t.Fatalf("%d sightings are kept", len(l.subjects[s].State.members))
				}
			}
		}
		now := at(users)
		for rest := shuffle(r, manyHits(t, users, "deactivate user%d serial=S")); len(rest) > 0; now = now.Add(time.Minute) {
			n := min(1+r.IntN(300), len(rest))
			for i := range rest[:n] {
				rest[i].Serial = "" // a device of its own
			}
			fold(now, rest[:n]...)
			rest = rest[n:]
		}
		now = now.Add(regrowthWait)
		fold(now)
		if a := lastOf(all, exposure.StepCampaign); a == nil || a.Users.Count != users || a.Users.Open != users || a.Severity != exposure.Critical {
			t.Fatalf("seed %d: the campaign is %+v", seed, a)
		}
		ends := manyHits(t, users, "enable user%d serial=N self")
		for i, e := range ends {
			e.ID, e.Time, e.Serial = fmt.Sprint("end", i), now.Add(time.Duration(i)*time.Second), fmt.Sprint("N", i)
			e.Actor.Name, e.Actor.ARN, e.Actor.Self = e.User, "arn:aws:iam::111122223333:user/"+e.User, true
		}
		rest := shuffle(r, ends)
		for len(rest) > 0 {
			if lastOf(all, exposure.Resolved) != nil {
				t.Fatalf("seed %d: the campaign is over with %d users open", seed, len(rest))
			}
			n := min(1+r.IntN(300), len(rest))
			fold(now, rest[:n]...)
			rest = rest[n:]
		}
		if a := lastOf(all, exposure.Resolved); a == nil || a.Users.Count != users || a.Users.Open != 0 {
			t.Fatalf("seed %d: the campaign ends with %+v", seed, a)
		}
	}
}

// Calls that are denied at many targets are one case that counts all of them.
func TestJ16_MoreTargetsThanAreKept(t *testing.T) {
	const targets = 1000
	var l Ledger
	var last *exposure.Alert
	for rest := manyHits(t, targets, "deactivate user%d serial=S fail=AccessDenied"); len(rest) > 0; rest = rest[50:] {
		l.Append(rest[:50]...)
		alerts, _ := l.Fold(rest[49].Time, exposure.DefaultPolicy())
		if a := lastOf(alerts, exposure.StepCampaign); a != nil {
			last = a
		}
	}
	if last == nil || last.Users.Count != 800 || last.Severity != exposure.High { // told at 50 and at each doubling
		t.Errorf("the case is %+v", last)
	}
}

// An actor who takes MFA from one user again and again makes no campaign, and hides
// none.
func TestJ15_ManyExposuresOfOneUser(t *testing.T) {
	var again []string
	for i := range 3 * sightingsEachEnd {
		again = append(again, fmt.Sprintf("%d deactivate bob serial=A id=r%d by=mallory; %d enable bob serial=A id=b%d by=bob self", 10+4*i, i, 12+4*i, i))
	}
	events := script(t, strings.Join(again, ";"))
	others := script(t, "0 deactivate eve serial=B id=x by=mallory; 900 deactivate dan serial=C id=y by=mallory")
	for _, hides := range []bool{false, true} {
		rest := slices.Clone(events)
		if hides {
			rest = append(append([]*trail.Event{others[0]}, rest...), others[1])
		}
		var l Ledger
		var all []*exposure.Alert
		for some := range slices.Chunk(rest, 16) {
			l.Append(some...)
			alerts, _ := l.Fold(some[len(some)-1].Time, exposure.DefaultPolicy())
			all = append(all, alerts...)
		}
		if a := lastOf(all, exposure.StepCampaign); (a != nil) != hides || hides && a.Users.Count != 3 {
			t.Errorf("hides %v: the campaign is %+v", hides, a)
		}
	}
}

// Of revisions that are read together the last counts, and what was before the first.
func TestSightingsReadTogether(t *testing.T) {
	revision := func(n int, open, was bool) *trail.Event {
		s := sighting{Exposure: "x", Revision: n, Open: open, Was: &standing{Open: was}, OpenedAt: at(0), First: script(t, "0 deactivate bob")[0], lane: "actor:a"}
		return s.event(fmt.Sprint(n))
	}
	events := []*trail.Event{revision(2, false, true), revision(3, true, false), revision(4, false, true), revision(5, true, false)}
	for _, order := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 0, 3, 2}, {2, 3, 0, 1}} {
		var some []*trail.Event
		for _, i := range order {
			some = append(some, events[i])
		}
		all, carriers := sightings(some)
		if len(all) != 1 || len(carriers) != 1 || !all[0].Open || !all[0].Was.Open || all[0].Revision != 5 || all[0].firstRevision != 2 {
			t.Errorf("%v: %+v", order, all[0])
		}
	}
}

// Users whom one actor hits too seldom for a campaign make none by their number,
// and three within an hour make one all the same.
func TestJ15_SeldomIsNoCampaign(t *testing.T) {
	t.Parallel()
	users, every := 4*sightingsEachEnd, 40*60
	if trailtest.Short() {
		users = 5 * sightingsEachEnd / 2 // more than are kept
	}
	for _, hides := range []bool{false, true} {
		var l Ledger
		var all []*exposure.Alert
		for i := range users {
			from := i * every
			text := fmt.Sprintf("%d deactivate user%d serial=S id=r%[2]d by=helpdesk; %d enable user%[2]d serial=N id=b%[2]d by=user%[2]d self", from, i, from+300)
			if hides && i == users-1 {
				text += fmt.Sprintf("; %d deactivate eve serial=E id=x by=helpdesk; %d deactivate dan serial=D id=y by=helpdesk", from+1, from+2)
			}
			events := script(t, text)
			for _, e := range events {
				e.Serial += e.User // a device of its own
			}
			l.Append(events...)
			alerts, _ := l.Fold(events[len(events)-1].Time, exposure.DefaultPolicy())
			all = append(all, alerts...)
		}
		if a := lastOf(all, exposure.StepCampaign); (a != nil) != hides {
			t.Errorf("hides %v: the campaign is %+v", hides, a)
		}
	}
}

// A policy that would join campaigns leaves those apart of which a tally is left: the
// exposures that it counts could not be told of another name.
func TestTalliesStayApart(t *testing.T) {
	p := exposure.DefaultPolicy()
	first := script(t, "0 deactivate bob by=mallory")[0]
	var all []*sighting
	for i := range 2 {
		s := &sighting{Severity: exposure.High, Counts: true, OpenedAt: at(i * 7200), First: first, lane: "actor:a", More: &more{To: at(i*7200 + 60), Users: 10, Campaign: fmt.Sprint(i)}}
		all = append(all, s)
	}
	if found := findCampaigns(all, &p); len(found) != 2 {
		t.Fatalf("%d campaigns", len(found))
	}
	p.Campaign.Within = 24 * time.Hour
	found := findCampaigns(all, &p)
	if len(found) != 2 {
		t.Fatalf("%+v", found)
	}
}

// A campaign that is over, and of which only a tally is left, is not alerted again.
func TestJ15_OverAndCountedIsNotAlertedAgain(t *testing.T) {
	p := exposure.DefaultPolicy()
	p.EscalateAfter = nil
	var l Ledger
	first := map[string]time.Time{} // when each campaign began, by its ID
	for wave, users := range []int{100, 400, 400} {
		from := wave * 86400
		for i := range users {
			text := fmt.Sprintf("%d deactivate user%d-%d serial=S id=r%[2]d-%[3]d by=mallory; %d enable user%[2]d-%[3]d serial=N id=b%[2]d-%[3]d by=user%[2]d-%[3]d self", from+i, wave, i, from+7200+i)
			for _, e := range script(t, text) {
				e.Serial += e.User // a device of its own
				l.Append(e)
			}
			if i%20 == 19 {
				alerts, _ := l.Fold(at(from+7200+i), p)
				for _, a := range alerts {
					if a.Users != nil && a.Exposure != nil {
						first[*a.Exposure] = *a.OpenedAt
					}
				}
			}
		}
	}
	if len(first) != 3 {
		t.Errorf("three campaigns are alerted as %d: %v", len(first), first)
	}
}
