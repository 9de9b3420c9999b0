package alerting

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// playLanes returns what the alerts of the events say, which come in batches of n.
func playLanes(p exposure.Policy, n int, events []*trail.Event) (all []*exposure.Alert) {
	var l Ledger
	for len(events) > 0 {
		n = min(n, len(events))
		l.Append(events[:n]...)
		alerts, _ := l.Fold(events[n-1].Time, p)
		all, events = append(all, alerts...), events[n:]
	}
	return all
}

// A denied call that spells root in lower case makes no user of that name, whose
// alerts would stand for those of root.
func TestRootIsRootHoweverSpelled(t *testing.T) {
	events := script(t, "0 deactivate root fail=AccessDenied by=mallory id=a; 100 deactivate root serial=R id=r; 200 login- root id=l")
	for _, name := range []string{"aws root user", "Aws Root User"} {
		events[0].User = name
		want := "root attempted@0 high x1 AccessDenied; root opened@100 critical; root exploited@200 critical"
		if got := show(playLanes(exposure.DefaultPolicy(), 3, events)); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

// J18: who guesses codes is alerted once, whatever wrong codes came before, and
// however they arrive: neither a slow beginning nor a flood hides them, and a flood
// is one alert.
func TestJ18_GuessesAreAlertedOnce(t *testing.T) {
	t.Parallel()
	wrong := func(from, n, every int) (events []*trail.Event) {
		for i := range n {
			s := from + i*every
			events = append(events, script(t, fmt.Sprintf("%d enable bob serial=A fail=InvalidAuthenticationCode by=mallory id=w%d", s, s))...)
		}
		return events
	}
	slowly := wrong(0, 30, 1200)
	fast := append(slowly[:len(slowly):len(slowly)], wrong(30*1200, 200, 2)...)
	again := append(append(fast[:len(fast):len(fast)], wrong(31*1200, 30, 1200)...), wrong(61*1200, 200, 2)...)
	for _, n := range []int{1, 2, 5, 9, 40, 1000} {
		for name, c := range map[string]struct {
			events []*trail.Event
			want   int
		}{"slowly": {slowly, 0}, "fast": {fast, 1}, "again": {again, 1}, "fast alone": {wrong(0, 200, 2), 1}, "once an hour": {wrong(0, 100, 3600), 0}} {
			guessed := 0
			for _, a := range playLanes(exposure.DefaultPolicy(), n, c.events) {
				if a.Step == exposure.Attempted && contains(a.Reasons, exposure.ReasonGuessing) {
					guessed++
				}
			}
			if guessed != c.want {
				t.Errorf("%s, in batches of %d: %d alerts, want %d", name, n, guessed, c.want)
			}
		}
	}
}

// A guess that is alerted again after an hour is another one.
func TestJ18_GuessesAfterAPause(t *testing.T) {
	var text strings.Builder
	for i := range 40 {
		fmt.Fprintf(&text, "%d enable bob serial=A fail=InvalidAuthenticationCode by=mallory id=w%d\n", i+i/20*7200, i)
	}
	guessed := 0
	for _, a := range playLanes(exposure.DefaultPolicy(), 4, script(t, text.String())) {
		if a.Step == exposure.Attempted {
			guessed++
		}
	}
	if guessed != 2 {
		t.Errorf("%d alerts, want 2", guessed)
	}
}

// humansHear lists the alerts that humans get, as show does.
func humansHear(alerts []*exposure.Alert) string {
	return show(slices.DeleteFunc(slices.Clone(alerts), (*exposure.Alert).MachineOnly))
}

// Users who are no longer part of a campaign, as they were deleted, make no room in
// which others are taken in silence: root is alerted immediately.
func TestJ15_DeletedUsersHideNobody(t *testing.T) {
	p := exposure.DefaultPolicy()
	text := "0 deactivate bob serial=B by=mallory id=b; 1 deactivate eve serial=E by=mallory id=e; 2 deactivate dan serial=D by=mallory id=d;"
	gone := ""
	for i := range 40 {
		text += fmt.Sprintf("%d deactivate dummy%d serial=D%[2]d by=mallory id=r%[2]d;", 3+i, i)
		gone += fmt.Sprintf("%d deleteuser dummy%d by=mallory id=g%[2]d;", 100+i, i)
	}
	var l Ledger
	step := func(now int, text, want string) {
		t.Helper()
		l.Append(script(t, text)...)
		alerts, _ := l.Fold(at(now), p)
		if got := humansHear(alerts); got != want {
			t.Errorf("at %d: got %s, want %s", now, got, want)
		}
	}
	step(60, text, "? campaign@42 critical")
	step(200, gone, "? campaign@42 high") // wiped
	step(300, "300 deactivate root serial=R by=mallory id=root", "root campaign@300 critical")
	step(400, "400 deactivate ann serial=A by=mallory id=ann", "")
	step(400+900, "", "root campaign@400 critical; root escalated@902 critical #1")
}

// Users who leave a campaign as others enter it hide none of these.
func TestJ15_AsManyNewUsersAsGone(t *testing.T) {
	p := exposure.DefaultPolicy()
	p.EscalateAfter = nil
	var l Ledger
	step := func(now int, text, want string) {
		t.Helper()
		l.Append(script(t, text)...)
		alerts, _ := l.Fold(at(now), p)
		if got := humansHear(alerts); got != want {
			t.Errorf("at %d: got %s, want %s", now, got, want)
		}
	}
	step(60, "0 deactivate a serial=A by=mallory id=a; 1 deactivate b serial=B by=mallory id=b; 2 deactivate c serial=C by=mallory id=c; 3 deactivate d serial=D by=mallory id=d; 4 deactivate x serial=X by=mallory id=x",
		"? campaign@4 critical")
	step(200, "100 deleteuser d by=mallory id=gd; 100 deleteuser x by=mallory id=gx; 150 deactivate eve serial=E by=mallory id=e; 151 deactivate dan serial=D2 by=mallory id=f", "")
	step(1100, "", "? campaign@151 critical")
}

// J16: made-up targets do not hide that root is one.
func TestJ16_RootAmongMadeUpTargets(t *testing.T) {
	var text strings.Builder
	for i := range 200 {
		fmt.Fprintf(&text, "%d deactivate ghost%d fail=AccessDenied by=mallory id=g%[2]d\n", i, i)
	}
	text.WriteString("300 deactivate root fail=AccessDenied by=mallory id=root")
	all := playLanes(exposure.DefaultPolicy(), 100, script(t, text.String()))
	if last := lastOf(all, exposure.StepCampaign); last == nil || !last.Root || last.Event.ID != "root" {
		t.Errorf("humans hear %s", humansHear(all))
	}
}

// A campaign that takes more users than are kept is alerted all the same.
func TestJ15_ManyUsersMakeACampaign(t *testing.T) {
	p := exposure.DefaultPolicy()
	p.Campaign.Users = 4 * sightingsEachEnd
	events := manyHits(t, p.Campaign.Users+1, "deactivate user%d")
	if a := lastOf(playLanes(p, 10, events), exposure.StepCampaign); a == nil || a.Users.Count < p.Campaign.Users {
		t.Errorf("the campaign is %+v", a)
	}
}

// Records that do not say who acted, or by a name that is that of another actor in
// each account, make no campaign of their users.
func TestJ15_NobodyIsNoActor(t *testing.T) {
	for name, actor := range map[string]trail.Actor{
		"nobody":     {SourceIP: "192.0.2.1", UserAgent: "aws-cli"},
		"a service":  {Type: "AWSService"},
		"equal name": {Type: "IAMUser", Name: "admin"},
	} {
		for _, fail := range []string{"", " fail=AccessDenied"} {
			var events []*trail.Event
			for i := range 4 {
				e := script(t, fmt.Sprintf("%d deactivate bob serial=A id=r%[1]d account=%d%s", i, 111122223333+i, fail))[0]
				e.Actor = actor
				events = append(events, e)
			}
			if a := lastOf(playLanes(exposure.DefaultPolicy(), 2, events), exposure.StepCampaign); a != nil {
				t.Errorf("%s: %s", name, a.Title)
			}
			if h := FoldUnder(exposure.DefaultPolicy(), events); len(h.Campaigns) > 0 {
				t.Errorf("%s: %d campaigns", name, len(h.Campaigns))
			}
		}
	}
}

// A state without the events that it is about is no panic.
func TestStateWithoutEvents(t *testing.T) {
	out := Notify(script(t, "0 deactivate bob serial=A"), State{}, at(10), exposure.DefaultPolicy())
	if again := Notify(nil, out.State, at(20), exposure.DefaultPolicy()); len(again.Alerts) > 0 {
		t.Errorf("alerted %s", show(again.Alerts))
	}
}

// Hits now and then, hours before a campaign, do not delay its escalation.
func TestJ15_HitsBeforeDelayNoEscalation(t *testing.T) {
	var l Ledger
	var all []*exposure.Alert
	fold := func(now int, text string) {
		l.Append(script(t, text)...)
		alerts, _ := l.Fold(at(now), exposure.DefaultPolicy())
		all = append(all, alerts...)
	}
	for i := range 7 {
		s := i * 3000
		fold(s, fmt.Sprintf("%d deactivate u%d serial=S%[2]d by=desk id=r%[2]d; %d enable u%[2]d serial=T%[2]d by=u%[2]d self id=b%[2]d", s-300, i, s-10))
	}
	fold(18500, "18400 deactivate x serial=X by=desk id=x; 18401 deactivate y serial=Y by=desk id=y; 18402 deactivate z serial=Z by=desk id=z")
	fold(18402+15*60, "")
	if a := lastOf(all, exposure.Escalated); a == nil || *a.Escalation != 1 {
		t.Errorf("it is not escalated: %s", humansHear(all))
	}
}
