package alerting

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// J1, J13: a suspect alert names what is left behind and what to check, in order.
func TestJ13_ChecksInOrder(t *testing.T) {
	d := play(t, arrival{1000, "0 deactivate bob serial=A by=mallory; 60 login- bob from=203.0.113.66; 70 createkey bob detail=AKIA1 by=mallory; 80 group bob detail=admins by=mallory; 90 ungroup bob detail=admins by=ann; 100 enable bob serial=B by=bob self from=203.0.113.66",
		"bob exploited@60 critical; bob suspect@100 critical"})
	for _, a := range d.last {
		want := []string{
			"Ask bob, not by mail, whether hardware device B was enabled at 08:01:40 UTC from 203.0.113.66 is theirs.",
			"If not: remove the device, disable the password and the access keys.",
			"Take back access key AKIA1, given at 08:01:10 UTC.",
			"Revoke the sessions: they cannot be followed and may live until 2026-05-01 20:01:00 UTC.",
			"Close it once a person has checked: mfawatch exposures close " + *a.Exposure + ".",
		}
		if !slices.Equal(a.Checks, want) {
			t.Errorf("got %q", a.Checks)
		}
		if len(a.LeftBehind) != 1 || a.LeftBehind[0] != (exposure.AlertLeftBehind{Kind: "access_key", ID: "AKIA1", Time: at(70)}) {
			t.Errorf("left behind %v", a.LeftBehind)
		}
	}
}

// J2: what a person closed opens anew when it is exploited again, however much
// was dropped meanwhile.
func TestJ2_ClosedOpensAnew(t *testing.T) {
	d := play(t, arrival{10, "0 deactivate bob serial=A", "bob opened@0 high"})
	first := d.open[0]
	if got := show(d.arrive(at(60), exposure.Close(first, "ann", "he has none", at(50)))); got != "bob resolved@50 info closed" {
		t.Error(got)
	}
	day := 24 * 3600
	d.arrive(at(36 * day))
	if got := show(d.arrive(at(37*day), script(t, "3196700 login- bob id=again")...)); got != "bob exploited@3196700 critical" {
		t.Error(got)
	}
	if len(d.open) != 1 || d.open[0].ID == first.ID {
		t.Errorf("open are %+v", d.open)
	}
}

// The texts say what the record says: the MFA of a sign-in, the removal behind an
// escalation, the person who federated, the actor of the user's name.
func TestTextsSayWhatTheRecordSays(t *testing.T) {
	d := play(t, arrival{2000, "0 deactivate bob serial=A by=bob id=removal; 5 login- bob", "bob opened@0 high; bob exploited@5 critical; bob escalated@900 critical #1"})
	if a := d.last[d.open[0].ID]; a.Event.ID != "removal" || a.Event.Name != trail.DeactivateMFADevice {
		t.Errorf("the escalation shows %+v", a.Event)
	}
	alerts := alertsOf(t, "0 deactivate bob serial=A by=bob; 5 login- bob mfa=unknown")
	if a := alerts[0]; !strings.Contains(a.Title, "by IAM user bob") {
		t.Error(a.Title)
	}
	if a := alerts[1]; a.Actor.MFA == nil || *a.Actor.MFA {
		t.Errorf("the sign-in was without MFA: %v", a.Actor.MFA)
	}
	e := script(t, "0 deactivate bob serial=A by=feddy type=FederatedUser")[0]
	e.Actor.Via = "broker"
	if a := Fold([]*trail.Event{e}).Alerts()[0]; !strings.Contains(a.Summary, "by feddy, federated through broker") {
		t.Error(a.Summary)
	}
	alerts = alertsOf(t, "0 createkey bob by=eve detail=AKIA1; 600 deactivate bob serial=A by=eve; 650 deactivate ann serial=Z by=eve fail=AccessDenied; 700 deactivate ann serial=Z by=eve")
	if s := alerts[0].Summary; !strings.Contains(s, "Shortly before: CreateAccessKey at 08:00:00 UTC by IAM user eve") {
		t.Error(s)
	}
	if s := alerts[2].Summary; !strings.Contains(s, "The call had been denied 1 time before") {
		t.Error(s)
	}
	p := exposure.DefaultPolicy()
	var last *exposure.Alert
	for _, a := range FoldUnder(p, script(t, `0 deactivate bob serial=A; 1 deactivate eve serial=B; 2 deactivate dan serial=C; 60 enable bob serial=D by=bob self
		61 enable eve serial=E by=eve self; 62 enable dan serial=F by=dan self`)).Alerts() {
		last = a
		if a.Users != nil && a.Step == exposure.Resolved {
			break
		}
	}
	if !strings.Contains(last.Summary, "bob (device enabled by themselves), eve (device enabled by themselves)") {
		t.Error(last.Summary)
	}
}

// A suspect exposure that only a campaign told people of is told by itself when a
// late record shows that there was no campaign.
func TestJ17_SuspectOutlivesItsCampaign(t *testing.T) {
	d := play(t,
		arrival{100, "0 deactivate bob serial=A by=mallory; 1 deactivate eve serial=B by=mallory; 2 deactivate dan serial=C by=mallory",
			"bob opened@0 critical; eve opened@1 critical; dan opened@2 critical; ? campaign@2 critical"},
		arrival{200, "150 enable eve serial=D by=mallory", "eve suspect@150 critical"},
		arrival{300, "-100 enable bob serial=Z", "bob resolved@0 info replaced; dan opened@2 high; ? resolved@2 info ended; eve suspect@150 high"},
	)
	for _, o := range d.open {
		if d.human[o.ID] == nil {
			t.Errorf("people do not know that the exposure of %s is open", o.User)
		}
	}
}

// J6: changes before a removal that are read after it are told, also where a
// planned change had kept the removal from people.
func TestJ6_PreludeReadLater(t *testing.T) {
	announced := exposure.DefaultPolicy()
	announced.PlannedChanges = []*exposure.PlannedChange{{Match: match(t, map[string]any{"user": "bob"}), From: at(-600), Until: at(5000)}}
	for _, p := range []exposure.Policy{exposure.DefaultPolicy(), announced} {
		d := playUnder(t, p, show, []arrival{
			{10, "0 deactivate bob serial=A", "bob opened@0 high"},
			{20, "-60 createkey bob by=eve; -50 attach bob by=eve", "bob updated@-60 critical; bob updated@-50 critical"},
			{30, "-60 createkey bob by=eve id=1-e00", ""},
		})
		a := d.human[d.open[0].ID]
		if a == nil || a.Severity != exposure.Critical || !strings.HasSuffix(a.Title, "shortly before MFA was removed") {
			t.Errorf("people know of %+v", a)
		}
	}
	// Another device protects bob: the alert is repeated as if all had been known.
	play(t,
		arrival{10, "-9000 enable bob serial=B; 0 deactivate bob serial=A", "bob reduced@0 low"},
		arrival{20, "-60 createkey bob by=eve", "bob reduced@0 high"},
	)
}

// A suspect exposure of a user who keeps signing in stays small, and ends once
// nothing is left behind.
func TestJ2_SuspectForAYear(t *testing.T) {
	d := play(t, arrival{400, "0 login+ bob from=198.51.100.7 id=known; 100 deactivate bob serial=A by=eve; 200 createkey bob by=eve detail=K id=key; 300 enable bob serial=B by=bob self",
		"bob suspect@300 critical"})
	for day := range 365 {
		e := script(t, "0 login+ bob from=198.51.100.7")[0]
		e.ID, e.Time = fmt.Sprint("day", day), at(500).AddDate(0, 0, day)
		if got := show(d.arrive(e.Time.Add(time.Minute), e)); got != "" {
			t.Fatal(got)
		}
		if most := 36 + 8; len(d.events) > most {
			t.Fatalf("%d events are kept on day %d, want %d at most", len(d.events), day, most)
		}
	}
	e := script(t, "0 deletekey bob by=ann detail=K id=taken")[0]
	e.Time = at(600).AddDate(0, 0, 364)
	if got := d.arrive(e.Time.Add(time.Minute), e); len(got) != 1 || got[0].Resolution == nil || *got[0].Resolution != exposure.Proved {
		t.Error(show(got))
	}
}
