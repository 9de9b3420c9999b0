package alerting

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// playMarked plays arrivals under a policy. Alerts for machine sinks alone are marked
// with (machines).
func playMarked(t *testing.T, p exposure.Policy, arrivals ...arrival) *testAccount {
	t.Helper()
	return playUnder(t, p, marked, arrivals)
}

func marked(alerts []*exposure.Alert) string {
	var parts []string
	for _, a := range alerts {
		text := show([]*exposure.Alert{a})
		if a.Users != nil {
			text = strings.Replace(text, "?", strings.Join(a.Users.Names, "+"), 1)
		}
		if a.MachineOnly() {
			text += " (machines)"
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}

func withGrace(d time.Duration) exposure.Policy {
	p := exposure.DefaultPolicy()
	p.Grace = d
	return p
}

func TestGraceWaitsForAReplacement(t *testing.T) {
	p := withGrace(5 * time.Minute)
	d := playMarked(t, p, arrival{10, "0 deactivate bob serial=A", ""})
	if !d.next.Equal(at(300)) || len(d.open) != 1 {
		t.Errorf("the next look is %v, open are %v", d.next, d.open)
	}
	playMarked(t, p, arrival{10, "0 deactivate bob serial=A", ""}, arrival{299, "", ""}, arrival{300, "", "bob opened@0 high"},
		arrival{900, "", "bob escalated@900 high #1"}) // counted from eventTime
	playMarked(t, p, arrival{10, "0 deactivate bob serial=A", ""}, arrival{200, "120 enable bob serial=B", "bob resolved@120 info enabled"}, arrival{4000, "", ""})
	playMarked(t, p, arrival{10, "0 deactivate bob serial=A; 1 deactivate bob serial=B", ""}, arrival{300, "", "bob opened@0 high; bob updated@1 high"})
	playMarked(t, p, arrival{301, "0 deactivate bob serial=A", "bob opened@0 high"}) // it arrived late: the grace is over
	// A reduced exposure does not wait.
	playMarked(t, p, arrival{10, "0 enable bob serial=B; 5 deactivate bob serial=A", "bob reduced@5 low"})
}

func TestR28_WhoNeverWaits(t *testing.T) {
	p := withGrace(5 * time.Minute)
	p.Privileged = append(p.Privileged, match(t, map[string]any{"user": "admin-*"}))
	playMarked(t, p, arrival{10, "0 deactivate root serial=A", "root opened@0 critical"})
	playMarked(t, p, arrival{10, "0 deactivate Admin-1 serial=A", "Admin-1 opened@0 critical"})
	playMarked(t, p, arrival{10, "0 deactivate - serial=A", "? opened@0 high"}) // no record could show its replacement
	playMarked(t, p, arrival{10, "0 deactivate bob serial=A", ""}, arrival{30, "20 login- bob", "bob opened@0 high; bob exploited@20 critical"})
	playMarked(t, p, arrival{10, "0 deactivate bob serial=A", ""}, arrival{30, "20 createkey bob", "bob opened@0 high; bob updated@20 critical"})
	playMarked(t, p, arrival{10, "0 deactivate bob serial=A", ""}, arrival{30, "20 deactivate eve serial=A", ""},
		arrival{40, "30 deactivate dan serial=A", "bob opened@0 critical (machines); eve opened@20 critical (machines); dan opened@30 critical (machines); bob+eve+dan campaign@30 critical"})
}

func TestLateAfter(t *testing.T) {
	d := playMarked(t, exposure.DefaultPolicy(), arrival{6 * 3600, "0 deactivate bob serial=A; 1 deactivate eve serial=B by=x; 60 enable eve serial=B", "bob opened@0 high; eve resolved@60 info enabled; bob escalated@14400 high #2"})
	for id, a := range d.last {
		if late := contains(a.Reasons, exposure.ReasonLate); late != (a.Step == exposure.Opened) {
			t.Errorf("%s: %s has reasons %v", id, a.Step, a.Reasons)
		}
	}
	p := exposure.DefaultPolicy()
	p.LateAfter = 0
	d = playMarked(t, p, arrival{90 * 24 * 3600, "0 deactivate bob serial=A; 60 enable bob serial=B", "bob resolved@60 info enabled"})
	for _, a := range d.last {
		if contains(a.Reasons, exposure.ReasonLate) {
			t.Errorf("reasons %v though nothing is late", a.Reasons)
		}
	}
}

func TestPrivileged(t *testing.T) {
	p := exposure.DefaultPolicy()
	p.Accounts = map[string]exposure.Account{"444455556666": {Name: "shop-prod", Class: "production"}}
	for _, m := range []map[string]any{{"user": []any{"*-admin", "break-glass"}}, {"path": "/admins/*"}, {"account_class": "production"}, {"account_name": "billing*"}} {
		p.Privileged = append(p.Privileged, match(t, m))
	}
	for _, c := range []struct{ name, events, want string }{
		{"by a glob", "0 deactivate db-admin serial=A", "db-admin opened@0 critical"},
		{"in a list, whatever the case", "0 deactivate Break-Glass serial=A", "Break-Glass opened@0 critical"},
		{"reduced", "0 enable db-admin serial=B; 1 deactivate db-admin serial=A", "db-admin reduced@1 medium"},
		{"an attempt", "0 deactivate db-admin serial=A fail=AccessDenied", "db-admin attempted@0 high x1 AccessDenied"},
		{"by the class of the account", "0 deactivate bob serial=A account=444455556666", "bob opened@0 critical"},
		{"no other user", "0 deactivate bob serial=A", "bob opened@0 high"},
		{"by the path that a record before showed", "0 login+ bob by=admins/bob name=bob; 9 deactivate bob serial=A", "bob opened@9 critical"},
		{"or one after", "9 deactivate bob serial=A; 20 checkmfa eve by=admins/bob name=bob", "bob opened@9 critical"},
		{"under another path", "0 login+ bob by=staff/bob name=bob; 9 deactivate bob serial=A", "bob opened@9 high"},
		{"a renamed one takes it along", "0 login+ bob by=admins/bob name=bob; 1 rename bob new=rob; 9 deactivate rob serial=A", "rob opened@9 critical"},
		{"renamed into it while exposed", "0 deactivate bob serial=A; 5 rename bob new=bob-admin; 9 deactivate bob-admin serial=B",
			"bob opened@0 high; bob-admin updated@9 critical"},
	} {
		t.Run(c.name, func(t *testing.T) {
			alerts := FoldUnder(p, script(t, c.events)).Alerts()
			if got := show(alerts); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if last := alerts[len(alerts)-1]; contains(last.Reasons, exposure.ReasonPrivileged) != (last.Severity != exposure.High || last.Step == exposure.Attempted) {
				t.Errorf("reasons %v", last.Reasons)
			}
		})
	}
}

// A path outlives the events that showed it, and does not pass to the next user of
// the name.
func TestPathsOutliveTheirEvents(t *testing.T) {
	day := 24 * 3600
	p := exposure.DefaultPolicy()
	p.Privileged = append(p.Privileged, match(t, map[string]any{"path": "/admins/*"}))
	d := playMarked(t, p, arrival{0, "0 login+ bob by=admins/bob name=bob; 0 login+ eve by=admins/eve name=eve; 1 login+ dan by=admins/dan name=dan; 2 rename dan new=don", ""},
		arrival{90 * day, "", ""},
		arrival{91 * day, fmt.Sprintf("%d deleteuser eve; %d login+ zoe by=zoe name=zoe", 90*day+1, 90*day+1), ""},
		arrival{200 * day, "", ""},
		arrival{201 * day, fmt.Sprintf("%d deactivate bob serial=A; %d deactivate eve serial=B by=x; %d deactivate don serial=C by=y", 201*day-60, 201*day-59, 201*day-58),
			fmt.Sprintf("bob opened@%d critical; eve opened@%d high; don opened@%d critical", 201*day-60, 201*day-59, 201*day-58)})
	if got := d.st.memory.Paths; len(got) != 2 || got["bob"] != "/admins/" || got["don"] != "/admins/" {
		t.Errorf("remembered are %v", got)
	}
}

func TestSeverityRules(t *testing.T) {
	p := exposure.DefaultPolicy()
	p.Accounts = map[string]exposure.Account{"444455556666": {Class: "sandbox"}}
	p.Severity = []exposure.SeverityRule{
		{Match: match(t, map[string]any{"account_class": "sandbox", "root": false}), Severity: exposure.Low, Reason: "sandbox accounts hold nothing"},
		{Match: match(t, map[string]any{"source_ip": map[string]any{"not": "203.0.113.0/24"}, "step": []any{"opened", "resolved"}}), Ends: true, Severity: exposure.Critical, Reason: "not from the office"},
		{Match: match(t, map[string]any{"severity": "medium"}), Severity: exposure.Info, Reason: "nobody reads attempts"},
		{Match: match(t, map[string]any{"late": true}), Severity: exposure.Info, Reason: "old"},
	}
	d := playMarked(t, p, arrival{10, "0 deactivate bob serial=A account=444455556666", "bob opened@0 low"})
	for _, a := range d.last {
		if a.Rule != "sandbox accounts hold nothing" || !strings.Contains(a.Summary, "Low because a rule says so: sandbox accounts hold nothing.") {
			t.Errorf("rule %q, summary %s", a.Rule, a.Summary)
		}
	}
	if d.open[0].Severity != exposure.Low {
		t.Errorf("it stands at %s", d.open[0].Severity)
	}
	playMarked(t, p, arrival{10, "0 deactivate root serial=A account=444455556666", "root opened@0 critical"})
	playMarked(t, p, arrival{10, "0 deactivate bob serial=A", "bob opened@0 critical"}, arrival{900, "", "bob escalated@900 high #1"},
		arrival{1000, "990 enable bob serial=B", "bob resolved@990 critical enabled"})
	playMarked(t, p, arrival{10, "0 deactivate bob serial=A fail=AccessDenied", "bob attempted@0 info x1 AccessDenied"})
	// A rule that names no step does not apply to the end; one that names late
	// sees it.
	playMarked(t, exposure.Policy{Severity: p.Severity[3:], LateAfter: time.Hour}, arrival{10, "0 deactivate bob serial=A", "bob opened@0 high"},
		arrival{7200, "20 deactivate bob serial=B", "bob updated@20 info"}, arrival{7300, "7290 enable bob serial=B", "bob resolved@7290 info enabled"})
}

func announce(t *testing.T, config map[string]any, from, until int) exposure.Policy {
	p := exposure.DefaultPolicy()
	p.PlannedChanges = []*exposure.PlannedChange{{Match: match(t, config), From: at(from), Until: at(until), Ticket: "CHG-1042", Approver: "ann"}}
	return p
}

func TestExpected(t *testing.T) {
	p := announce(t, map[string]any{"user": "bob", "actor": "alice"}, -60, 3600)
	d := playMarked(t, p,
		arrival{10, "0 deactivate bob serial=A", "bob opened@0 high (machines)"},
		arrival{1000, "", ""}, // no escalation
		arrival{2000, "1900 enable bob serial=B", "bob resolved@1900 info enabled (machines)"})
	for _, a := range d.last {
		if a.Expected == nil || a.Expected.Ticket != "CHG-1042" || a.Expected.Approver != "ann" || a.Expected.Entry != p.PlannedChanges[0].ID() ||
			!strings.Contains(a.Summary, "Announced in CHG-1042, approved by ann.") {
			t.Errorf("expected %+v, summary %s", a.Expected, a.Summary)
		}
	}
	playMarked(t, p, arrival{10, "0 deactivate bob serial=A fail=AccessDenied", "bob attempted@0 medium x1 AccessDenied (machines)"})
	playMarked(t, p, arrival{10, "0 enable bob serial=B; 1 deactivate bob serial=A", "bob reduced@1 low (machines)"})
	for _, c := range []string{"-61 deactivate bob serial=A", "3601 deactivate bob serial=A", "0 deactivate bob serial=A by=eve", "0 deactivate zoe serial=A"} {
		d := newTestAccount(t)
		d.policy = p
		if got := d.arrive(at(3700), script(t, c)...); len(got) == 0 || got[0].MachineOnly() {
			t.Errorf("%s: %s", c, marked(got))
		}
	}
	// Never an exploited or changed exposure, and only if all of it matches.
	playMarked(t, p, arrival{10, "0 deactivate bob serial=A", "bob opened@0 high (machines)"}, arrival{30, "20 login- bob", "bob exploited@20 critical"},
		arrival{50, "40 enable bob serial=B", "bob suspect@40 critical"})
	playMarked(t, p, arrival{10, "0 deactivate bob serial=A", "bob opened@0 high (machines)"}, arrival{30, "20 createkey bob", "bob updated@20 critical"})
	playMarked(t, p, arrival{10, "0 deactivate bob serial=A", "bob opened@0 high (machines)"}, arrival{30, "20 deactivate bob serial=B by=eve", "bob opened@0 high; bob updated@20 high"})
}

func TestExpectedOverdue(t *testing.T) {
	p := announce(t, map[string]any{"user": "bob"}, -60, 3600)
	d := playMarked(t, p, arrival{10, "0 deactivate bob serial=A", "bob opened@0 high (machines)"}, arrival{3600 + 899, "", ""},
		arrival{3600 + 900, "", "bob opened@0 high"}, // without the escalation that is due
		arrival{4 * 3600, "", "bob escalated@14400 high #2"},
		arrival{5 * 3600, "16000 enable bob serial=B", "bob resolved@16000 info enabled"})
	if n := len(d.ids); n != 4 {
		t.Errorf("%d alerts", n)
	}
	d = playMarked(t, p, arrival{10, "0 deactivate bob serial=A", "bob opened@0 high (machines)"})
	a := d.arrive(at(4500))[0]
	if !contains(a.Reasons, exposure.ReasonOverdue) || contains(a.Reasons, exposure.ReasonExpected) || a.Expected == nil || !strings.HasPrefix(a.Summary, "It was announced, and is still open") {
		t.Errorf("reasons %v, %s", a.Reasons, a.Summary)
	}
	// Its records arrive after its time.
	playMarked(t, p, arrival{4500, "0 deactivate bob serial=A", "bob opened@0 high; bob escalated@900 high #1"})
	playMarked(t, p, arrival{4500, "0 deactivate bob serial=A; 60 enable bob serial=B", "bob resolved@60 info enabled (machines)"})

	// The entry is withdrawn, or another one comes too late.
	d = playMarked(t, p, arrival{10, "0 deactivate bob serial=A", "bob opened@0 high (machines)"})
	if !d.next.Equal(at(310)) {
		t.Errorf("the next look is %v", d.next)
	}
	d.policy.PlannedChanges = nil
	if got := marked(d.arrive(at(310))); got != "bob opened@0 high" {
		t.Error(got)
	}
	d = playMarked(t, exposure.DefaultPolicy(), arrival{10, "0 deactivate bob serial=A", "bob opened@0 high"})
	d.policy = p
	if got := marked(d.arrive(at(60), script(t, "50 enable bob serial=B id=x")...)); got != "bob resolved@50 info enabled" {
		t.Errorf("the sink notified of the beginning got %q", got)
	}
}

func TestOffboarding(t *testing.T) {
	p := exposure.DefaultPolicy()
	gone := "bob resolved@5 info user_deleted"
	for _, c := range []struct{ name, first, then string }{
		{"the password first", "0 deletelogin bob; 1 deletekey bob; 2 deactivate bob serial=A; 3 deletevirtual - serial=A", "5 deleteuser bob"},
		{"MFA first", "0 deletekey bob; 1 deactivate bob serial=A; 1 deletevirtual - serial=A; 2 deletelogin bob", "5 deleteuser bob"},
		{"all at once", "0 deletelogin bob; 2 deactivate bob serial=A; 5 deleteuser bob", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newTestAccount(t)
			got := append(d.arrive(at(6), script(t, c.first)...), d.arrive(at(300), script(t, strings.ReplaceAll(c.then, "bob", "bob id=z"))...)...)
			got = append(got, d.arrive(at(90000))...)
			if show(got) != gone || !contains(got[0].Reasons, exposure.ReasonOffboarding) {
				t.Errorf("got %s", show(got))
			}
		})
	}
	// No deletion follows: one alert shows the state.
	d := playMarked(t, p, arrival{10, "0 deactivate bob serial=A; 5 deletelogin bob", ""}, arrival{899, "", ""}, arrival{900, "", "bob opened@0 low"}, arrival{90000, "", ""},
		arrival{90010, "90001 deleteuser bob", "bob resolved@90001 info user_deleted"})
	if len(d.ids) != 2 {
		t.Errorf("%d alerts", len(d.ids))
	}
	playMarked(t, p, arrival{10, "0 deletelogin bob; 5 deactivate bob serial=A", ""}, arrival{20, "15 createlogin bob", "bob opened@5 low; bob updated@15 critical"})
	// Not by another actor, not for privileged users, not long after.
	playMarked(t, p, arrival{10, "0 deletelogin bob by=eve; 5 deactivate bob serial=A", "bob opened@5 low"})
	playMarked(t, p, arrival{10, "0 deactivate bob serial=A; 5 deletelogin bob by=bob self", "bob opened@0 high; bob updated@5 low"})
	playMarked(t, p, arrival{10, "0 deactivate root serial=A", "root opened@0 critical"}, arrival{20, "5 deletelogin root", "root updated@5 medium"})
	playMarked(t, p, arrival{10, "0 deactivate root serial=A; 5 deletelogin root", "root opened@0 medium"})
	playMarked(t, p, arrival{4000, "0 deletelogin bob; 3700 deactivate bob serial=A", "bob opened@3700 low"}) // immediately, but low: there is no password
	playMarked(t, p, arrival{10, "0 deletelogin bob; 5 createlogin bob; 9 deactivate bob serial=A", "bob opened@9 critical"})
	playMarked(t, p, arrival{4000, "0 deletelogin bob; 1 login+ bob; 3700 deactivate bob serial=A", "bob opened@3700 high"})
}

// A deleted password outlives its event, until there is one again or the name has
// another user.
func TestDeletedPasswordsOutliveTheirEvents(t *testing.T) {
	day := 24 * 3600
	d := playMarked(t, exposure.DefaultPolicy(), arrival{10, "0 deletelogin bob; 0 deletelogin eve; 0 deletelogin dan; 0 deletelogin zoe; 1 createlogin eve; 2 rename dan new=don; 3 deleteuser zoe", ""})
	for i := 1; i < 12; i++ {
		d.arrive(at(i * 10 * day))
	}
	if n := len(d.events); n > 0 {
		t.Errorf("%d events are kept", n)
	}
	s := 120 * day
	got := marked(d.arrive(at(s+60), script(t, fmt.Sprintf("%d deactivate bob by=1; %d deactivate eve by=2; %d deactivate don by=3; %d deactivate zoe by=4", s, s+1, s+2, s+3))...))
	if want := fmt.Sprintf("bob opened@%d low; eve opened@%d high; don opened@%d low; zoe opened@%d high", s, s+1, s+2, s+3); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Deleting the user of an exploited exposure leaves it critical to the end.
func TestDeletedAfterUse(t *testing.T) {
	playMarked(t, exposure.DefaultPolicy(), arrival{10, "0 deletelogin bob; 1 deactivate bob serial=A", ""},
		arrival{30, "20 createkey bob; 25 deleteuser bob", "bob resolved@25 critical user_deleted"})
	d := playMarked(t, exposure.DefaultPolicy(), arrival{10, "0 deactivate bob serial=A", "bob opened@0 high"}, arrival{30, "20 login- bob", "bob exploited@20 critical"},
		arrival{50, "40 deleteuser bob", "bob resolved@40 critical user_deleted"})
	for _, a := range d.last {
		if contains(a.Reasons, exposure.ReasonOffboarding) || !strings.Contains(a.Summary, "Meanwhile somebody signed in without MFA") {
			t.Errorf("reasons %v, %s", a.Reasons, a.Summary)
		}
	}
}

// After an Enable by another actor, the closing alert names the actor and the
// device.
func TestR20_WhoEnabledItIsKept(t *testing.T) {
	d := playMarked(t, exposure.DefaultPolicy(), arrival{10, "0 deactivate bob serial=A", "bob opened@0 high"}, arrival{30, "20 enable bob serial=EVIL by=mallory", "bob suspect@20 high"})
	for _, a := range d.last {
		if a.Actor.Name != "mallory" || a.Actor.Self || *a.Device.Serial != "EVIL" || !contains(a.Reasons, exposure.ReasonOtherActor) || !strings.Contains(a.Checks[0], "whether hardware device EVIL was enabled") {
			t.Errorf("%+v", a)
		}
	}
}

func TestCampaign(t *testing.T) {
	p := exposure.DefaultPolicy()
	d := playMarked(t, p,
		arrival{10, "0 deactivate bob serial=A", "bob opened@0 high"},
		arrival{20, "15 deactivate eve serial=B", "eve opened@15 high"},
		arrival{70, "60 deactivate dan serial=C", "dan opened@60 critical (machines); bob+eve+dan campaign@60 critical"},
		arrival{80, "70 deactivate al serial=D", "al opened@70 critical (machines)"},
		arrival{500, "400 deactivate zoe serial=E", "zoe opened@400 critical (machines)"},
		arrival{900, "", "bob escalated@900 critical #1 (machines)"},
		arrival{1000, "", "bob+eve+dan+al+zoe campaign@400 critical; eve escalated@915 critical #1 (machines); dan escalated@960 critical #1 (machines); bob+eve+dan+al+zoe escalated@960 critical #1; al escalated@970 critical #1 (machines)"},
		arrival{1299, "", ""},
		arrival{1300, "", "zoe escalated@1300 critical #1 (machines)"},
		arrival{1400, "1350 deactivate cy serial=F", "cy opened@1350 critical (machines)"},
		arrival{1500, "1410 enable bob serial=X; 1420 enable eve serial=X; 1430 login+ dan; 1440 deleteuser al; 1450 login- zoe",
			"bob resolved@1410 info enabled; eve resolved@1420 info enabled; dan resolved@1430 info mfa_seen (machines); al resolved@1440 info user_deleted (machines); zoe exploited@1450 critical"},
		arrival{1600, "1550 enable zoe serial=Z; 1560 enable cy serial=X", "zoe suspect@1550 critical; cy resolved@1560 info enabled (machines)"},
		arrival{1700, "1650 deactivate bob serial=X", "bob opened@1650 critical (machines)"},
	)
	campaign := ""
	for id, a := range d.last {
		if a.Users != nil {
			campaign = id
		}
	}
	for id, a := range d.last {
		if id != campaign && (!contains(a.Reasons, exposure.ReasonCampaign) && *a.User != "al" || a.MachineOnly() && a.Campaign != campaign) {
			t.Errorf("%s of %s: campaign %q, reasons %v", a.Step, *a.User, a.Campaign, a.Reasons)
		}
	}
}

func TestCampaignAtOnceIsOneMessage(t *testing.T) {
	var lines []string
	for i := range 40 {
		lines = append(lines, fmt.Sprintf("%d deactivate user%02d serial=S%d id=x%02d", i, i, i, i))
	}
	d := newTestAccount(t)
	alerts := d.arrive(at(100), script(t, strings.Join(lines, "\n"))...)
	people := slices.DeleteFunc(slices.Clone(alerts), (*exposure.Alert).MachineOnly)
	if len(alerts) != 41 || len(people) != 1 || people[0].Users.Count != 40 || len(people[0].Users.Names) != 40 {
		t.Fatalf("%d alerts, people are sent %s", len(alerts), marked(people))
	}
	a := people[0]
	if a.Title != "alice removed MFA from 40 users in 111122223333" ||
		!strings.HasPrefix(a.Summary, "MFA was taken from user00, user01, user02, user03, user04 and 35 more within 39 seconds by IAM user alice, session with MFA. Critical because several users were hit. Find out at once if alice was meant to") {
		t.Errorf("%s: %s", a.Title, a.Summary)
	}
	checkReadable(t, a)
	checkAlert(t, a)
}

func TestWhatIsNoCampaign(t *testing.T) {
	for _, c := range []struct{ name, events, want string }{
		{"by three actors", "0 deactivate bob by=x; 1 deactivate eve by=y; 2 deactivate dan by=z", "bob opened@0 high; eve opened@1 high; dan opened@2 high"},
		{"one user thrice", "0 deactivate bob; 1 enable bob serial=A; 2 deactivate bob serial=A; 3 enable bob serial=A; 4 deactivate bob serial=A; 5 deactivate eve",
			"bob resolved@1 info enabled; bob resolved@3 info enabled; bob opened@4 high; eve opened@5 high"},
		{"over hours", "0 deactivate bob; 3500 deactivate eve; 7000 deactivate dan", "bob opened@0 high; bob escalated@900 high #1; eve opened@3500 high; eve escalated@4400 high #1; dan opened@7000 high"},
		{"who kept a device", "0 enable bob serial=B; 1 enable eve serial=E; 2 deactivate bob serial=A; 3 deactivate eve serial=C; 4 deactivate dan serial=F",
			"bob reduced@2 low; eve reduced@3 low; dan opened@4 high"},
		{"off-boardings", `0 deletelogin bob; 1 deactivate bob serial=A; 2 deleteuser bob; 3 deletelogin eve; 4 deactivate eve serial=B; 5 deleteuser eve
			6 deactivate dan serial=C; 7 deletelogin dan; 8 deleteuser dan; 9 deletelogin al; 10 deactivate al serial=D`,
			"bob resolved@2 info user_deleted; eve resolved@5 info user_deleted; dan resolved@8 info user_deleted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			now := 7100
			if !strings.Contains(c.want, "escalated") {
				now = 20
			}
			playMarked(t, exposure.DefaultPolicy(), arrival{now, c.events, c.want})
		})
	}
	p := announce(t, map[string]any{"actor": "alice"}, -60, 3600)
	playMarked(t, p, arrival{10, "0 deactivate bob; 1 deactivate eve; 2 deactivate dan", "bob opened@0 high (machines); eve opened@1 high (machines); dan opened@2 high (machines)"})
	p = withGrace(5 * time.Minute)
	playMarked(t, p, arrival{500, "0 deactivate bob; 60 enable bob serial=B; 70 deactivate eve; 100 enable eve serial=E; 200 deactivate dan; 300 enable dan serial=D",
		"bob resolved@60 info enabled; eve resolved@100 info enabled; dan resolved@300 info enabled"})
}

// Late records can undo a campaign: it is resolved, and open exposures are alerted
// one by one.
func TestCampaignThatWasNone(t *testing.T) {
	d := playMarked(t, exposure.DefaultPolicy(),
		arrival{10, "1 deactivate bob serial=A; 2 deactivate eve serial=B; 3 deactivate dan serial=C",
			"bob opened@1 critical (machines); eve opened@2 critical (machines); dan opened@3 critical (machines); bob+eve+dan campaign@3 critical"},
		arrival{20, "0 enable bob serial=BB", "bob resolved@1 info replaced (machines); eve opened@2 high; dan opened@3 high;  resolved@3 info ended"},
	)
	if len(d.open) != 2 {
		t.Errorf("open are %v", d.open)
	}
}

// Two campaigns that a late record joins go on under the ID of the first.
func TestCampaignsThatAreOne(t *testing.T) {
	hit := func(s int, users ...string) string {
		var lines []string
		for i, u := range users {
			lines = append(lines, fmt.Sprintf("%d deactivate %s serial=S%s", s+i, u, u))
		}
		return strings.Join(lines, ";")
	}
	p := exposure.DefaultPolicy()
	p.EscalateAfter = nil
	d := playMarked(t, p,
		arrival{10, hit(0, "a1", "a2", "a3"), "a1 opened@0 critical (machines); a2 opened@1 critical (machines); a3 opened@2 critical (machines); a1+a2+a3 campaign@2 critical"},
		arrival{5010, hit(5000, "b1", "b2", "b3"), "b1 opened@5000 critical (machines); b2 opened@5001 critical (machines); b3 opened@5002 critical (machines); b1+b2+b3 campaign@5002 critical"},
		arrival{5020, hit(2500, "c1"), "c1 opened@2500 critical (machines); a1+a2+a3+c1+b1+b2+b3 campaign@5002 critical;  resolved@5002 info ended"},
	)
	if got := d.st.campaigns; len(got) != 2 || got[0].Closed || !got[1].Closed {
		t.Errorf("%+v", got)
	}
}

func TestCampaignWords(t *testing.T) {
	p := exposure.DefaultPolicy()
	d := newTestAccount(t)
	d.policy = p
	events := script(t, "0 deactivate bob serial=A mfa=no; 30 deactivate root serial=B mfa=no; 60 deactivate dan serial=C mfa=no; 70 login- dan; 90 enable bob serial=X")
	for _, e := range events {
		e.Actor.SourceIP, e.Actor.UserAgent = "198.51.100.7", "aws-cli/2.31.4 md/awscrt"
		e.Raw = []byte(`{"eventID":"` + e.ID + `"}`)
	}
	var got []*exposure.Alert
	for _, a := range append(d.arrive(at(100), events...), d.arrive(at(960))...) {
		if a.Users != nil {
			got = append(got, a)
		}
	}
	want := [][2]string{
		{"alice removed MFA from 3 users in 111122223333", "MFA was taken from bob, the root user and dan within 1 minute by IAM user alice, session without MFA, from 198.51.100.7 with aws-cli/2.31.4. " +
			"2 of them have none now. Critical because this is the root user, several users were hit and somebody signed in without MFA. " +
			"Find out at once if alice was meant to; if not, cut alice off, then disable the passwords and keys of these users."},
		{"Still no MFA for 2 of 3 users in 111122223333 after 15 minutes, removed by alice", ""},
	}
	if len(got) != 2 {
		t.Fatalf("got %s", marked(got))
	}
	for i, w := range want {
		if a := got[i]; a.Title != w[0] || w[1] != "" && a.Summary != w[1] {
			t.Errorf("got  %s: %s\nwant %s: %s", a.Title, a.Summary, w[0], w[1])
		}
	}
	if a := got[0]; string(a.Record) != `{"eventID":"e02"}` || !a.Root || !contains(a.Reasons, exposure.ReasonExploited) || !contains(a.Attack, "T1078.004") {
		t.Errorf("%+v", a)
	}
}

// Campaigns that are configured later include exposures that were alerted before.
func TestCampaignsConfiguredLater(t *testing.T) {
	d := playMarked(t, exposure.Policy{EscalateAfter: exposure.DefaultPolicy().EscalateAfter}, arrival{10, "0 deactivate bob serial=A; 1 deactivate eve serial=B; 2 deactivate dan serial=C", "bob opened@0 high; eve opened@1 high; dan opened@2 high"})
	d.policy = exposure.DefaultPolicy()
	if got := marked(d.arrive(at(20))); got != "bob+eve+dan campaign@2 critical" {
		t.Errorf("got %s", got)
	}
	if got := marked(d.arrive(at(60), script(t, "50 enable bob serial=X id=y")...)); got != "bob resolved@50 info enabled" {
		t.Errorf("got %s", got)
	}
}
