package alerting

import (
	"fmt"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
)

// Attempts of an intruder to prevent or lower alerts. The stories named attack-…
// show the rest.

// A rule for an account lowers neither root nor an exploited or changed
// exposure, unless it names them.
func TestSeverityRulesHideNoIntruder(t *testing.T) {
	all := exposure.SeverityRule{Match: match(t, map[string]any{"account": "111122223333"}), Severity: exposure.Low, Reason: "a sandbox"}
	p := exposure.DefaultPolicy()
	p.Severity = []exposure.SeverityRule{all}
	playMarked(t, p, arrival{10, "0 deactivate root serial=A", "root opened@0 critical"})
	playMarked(t, p, arrival{10, "0 deactivate root serial=A fail=AccessDenied", "root attempted@0 high x1 AccessDenied"})
	d := playMarked(t, p, arrival{10, "0 deactivate bob serial=A", "bob opened@0 low"}, arrival{30, "20 login- bob", "bob exploited@20 critical"},
		arrival{50, "40 createkey bob", "bob updated@40 critical"}, arrival{60, "50 deactivate eve serial=B; 51 deactivate dan serial=C", "eve opened@50 low (machines); dan opened@51 low (machines); bob+eve+dan campaign@51 critical"},
		arrival{951, "", "bob escalated@900 critical #1 (machines); eve escalated@950 low #1 (machines); dan escalated@951 low #1 (machines); bob+eve+dan escalated@951 critical #1"})
	if d.open[0].Severity != exposure.Critical {
		t.Errorf("it stands at %s", d.open[0].Severity)
	}
	named := all
	named.Match, named.Ends = match(t, map[string]any{"root": []any{true, false}, "step": []any{"opened", "exploited"}}), true
	p.Severity = []exposure.SeverityRule{named}
	playMarked(t, p, arrival{10, "0 deactivate root serial=A", "root opened@0 low"}, arrival{30, "20 login- root", "root exploited@20 low"})
}

// A rule for privileged users matches their campaign.
func TestSeverityRulesSeePrivilegedUsersOfCampaigns(t *testing.T) {
	p := exposure.DefaultPolicy()
	p.Privileged = append(p.Privileged, match(t, map[string]any{"user": "eve"}))
	p.Severity = []exposure.SeverityRule{{Match: match(t, map[string]any{"privileged": false}), Severity: exposure.Low, Reason: "no privileges, no harm"}}
	playMarked(t, p, arrival{10, "0 deactivate bob serial=A; 1 deactivate eve serial=B; 2 deactivate dan serial=C",
		"bob opened@0 low (machines); eve opened@1 critical (machines); dan opened@2 low (machines); bob+eve+dan campaign@2 critical"})
}

// An entry that matches any user does not match root; one that names root does.
func TestPlannedChangeMatchesRootByNameAlone(t *testing.T) {
	for _, m := range []map[string]any{{"account": "111122223333"}, {"user": "*"}, {"user": map[string]any{"not": "bob"}}} {
		playMarked(t, announce(t, m, -60, 3600), arrival{10, "0 deactivate root serial=A", "root opened@0 critical"})
		playMarked(t, announce(t, m, -60, 3600), arrival{10, "0 deactivate root serial=A fail=AccessDenied", "root attempted@0 high x1 AccessDenied"})
		playMarked(t, announce(t, m, -60, 3600), arrival{10, "0 deactivate eve serial=A", "eve opened@0 high (machines)"})
	}
	playMarked(t, announce(t, map[string]any{"user": "aws root user"}, -60, 3600), arrival{10, "0 deactivate root serial=A", "root opened@0 critical (machines)"})
}

// An entry that gets more time, or another ticket, still matches what it
// matched.
func TestPlannedChangeMayBeEdited(t *testing.T) {
	p := announce(t, map[string]any{"user": "bob"}, -60, 3600)
	d := playMarked(t, p, arrival{10, "0 deactivate bob serial=A", "bob opened@0 high (machines)"})
	d.policy = announce(t, map[string]any{"user": "bob"}, -60, 7200)
	if got := marked(d.arrive(at(310))); got != "" {
		t.Error(got)
	}
	if got := marked(d.arrive(at(3600 + 900))); got != "" {
		t.Error(got)
	}
	if got := marked(d.arrive(at(7200 + 900))); got != "bob opened@0 high" {
		t.Error(got)
	}
}

// A campaign that goes on after its last escalation hides no user: later ones
// are escalated and resolved alone.
func TestCampaignOutlivesItsEscalations(t *testing.T) {
	p := exposure.DefaultPolicy()
	p.EscalateAfter = []time.Duration{10 * time.Minute}
	playMarked(t, p,
		arrival{10, "0 deactivate bob serial=A; 1 deactivate eve serial=B; 2 deactivate dan serial=C",
			"bob opened@0 critical (machines); eve opened@1 critical (machines); dan opened@2 critical (machines); bob+eve+dan campaign@2 critical"},
		arrival{600, "", "bob escalated@600 critical #1 (machines)"},
		arrival{700, "", "eve escalated@601 critical #1 (machines); dan escalated@602 critical #1 (machines); bob+eve+dan escalated@602 critical #1"},
		arrival{1210, "1200 deactivate zoe serial=D", "zoe opened@1200 critical (machines)"},
		arrival{2200, "", "bob+eve+dan+zoe campaign@1200 critical; zoe escalated@1800 critical #1"},
		arrival{2300, "2290 enable zoe serial=D id=z", "zoe resolved@2290 info enabled"})
}

// A campaign that is first known after a delay has passed is one message,
// unless it is late: then the escalation pages.
func TestCampaignIsNotEscalatedAsItIsTold(t *testing.T) {
	p := exposure.DefaultPolicy()
	playMarked(t, p, arrival{1000, "0 deactivate bob serial=A; 50 deactivate eve serial=B; 100 deactivate dan serial=C",
		"bob opened@0 critical (machines); eve opened@50 critical (machines); dan opened@100 critical (machines); bob+eve+dan campaign@100 critical; " +
			"bob escalated@900 critical #1 (machines); eve escalated@950 critical #1 (machines); dan escalated@1000 critical #1 (machines)"},
		arrival{4*3600 + 100, "", "bob escalated@14400 critical #2 (machines); eve escalated@14450 critical #2 (machines); dan escalated@14500 critical #2 (machines); bob+eve+dan escalated@14500 critical #2"})
	p.LateAfter = 2 * time.Hour
	playMarked(t, p, arrival{4*3600 + 2, "0 deactivate bob serial=A; 1 deactivate eve serial=B; 2 deactivate dan serial=C",
		"bob opened@0 critical (machines); eve opened@1 critical (machines); dan opened@2 critical (machines); bob+eve+dan campaign@2 critical; " +
			"bob escalated@14400 critical #2 (machines); eve escalated@14401 critical #2 (machines); dan escalated@14402 critical #2 (machines); bob+eve+dan escalated@14402 critical #2"})
}

// J15: a campaign's delays count from the hit that makes it one. A hit up to an hour
// before it swallows no escalation: those of the later users go to machine sinks, and
// the campaign's in their place to people.
func TestJ15_AnEarlyHitDelaysNoEscalation(t *testing.T) {
	p := exposure.DefaultPolicy()
	for _, early := range []int{60, 16 * 60, 30 * 60, 59 * 60} {
		d := newTestAccount(t)
		d.policy = p
		var all []*exposure.Alert
		hit := func(s int, user string) {
			all = append(all, d.arrive(at(s), script(t, fmt.Sprintf("%d deactivate %s serial=%[2]s by=mallory id=%[2]s", s, user))...)...)
		}
		hit(0, "bob")
		hit(early, "eve")
		hit(early+10, "dan")
		all = append(all, d.arrive(at(early+10+15*60))...)
		w := lastOf(all, exposure.Escalated)
		if w == nil || w.Users == nil || *w.Escalation != 1 || seconds(w.Time) != early+10+15*60 {
			t.Errorf("%d seconds before: humans hear %s", early, humansHear(all))
		}
	}
}

// Exposures that were alerted one by one to their end are not alerted again
// when a policy, or a newer program, sees a campaign in them.
func TestCampaignOfOldIsNoNews(t *testing.T) {
	p := exposure.DefaultPolicy()
	p.Campaign.Users = 0
	d := playMarked(t, p, arrival{10, "0 deactivate bob serial=A; 1 deactivate eve serial=B; 2 deactivate dan serial=C", "bob opened@0 high; eve opened@1 high; dan opened@2 high"},
		arrival{60, "50 enable bob serial=X id=x; 51 enable eve serial=Y id=y; 52 enable dan serial=Z id=z", "bob resolved@50 info enabled; eve resolved@51 info enabled; dan resolved@52 info enabled"})
	d.policy = exposure.DefaultPolicy()
	if got := marked(d.arrive(at(3000))); got != "" {
		t.Error(got)
	}
	// A further user makes it one.
	if got, want := marked(d.arrive(at(3010), script(t, "3005 deactivate zoe serial=D id=v")...)), "zoe opened@3005 critical (machines); bob+eve+dan+zoe campaign@3005 critical"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// A clock that is set back undoes no alert.
func TestClockSetBack(t *testing.T) {
	d := playMarked(t, exposure.DefaultPolicy(), arrival{10, "0 deactivate bob serial=A; 1 deactivate eve serial=B; 2 deactivate dan serial=C; 3 deletelogin bob; 3 deletelogin eve; 3 deletelogin dan", ""},
		arrival{1000, "", "bob opened@0 medium (machines); eve opened@1 medium (machines); dan opened@2 medium (machines); bob+eve+dan campaign@2 medium"})
	for _, s := range []int{900, 500, -3600, 1000} {
		if got := marked(d.arrive(at(s))); got != "" {
			t.Errorf("at %d: %s", s, got)
		}
	}
}

// One call for an account of thousands with a campaign among them stays cheap:
// the cost grows with the events alone.
func TestManyUsersOneState(t *testing.T) {
	t.Parallel()
	trailtest.Long(t, 5)
	d := newTestAccount(t)
	text := ""
	for i := range 300 {
		text += fmt.Sprintf("%d deactivate u%d serial=S%d id=d%d\n%d enable u%d serial=T%d id=e%d\n", i, i, i, i, i+5000, i, i, i)
	}
	d.arrive(at(6000), script(t, text)...)
	for day := range 80 {
		d.arrive(at(day * 24 * 3600))
	}
	if st := d.st; len(st.delivered)+len(st.campaigns)+len(st.attempts)+len(st.memory.Paths) > 0 || len(st.memory.Tombstones) > 600 || len(d.events) > 0 {
		t.Errorf("kept are %d deliveries, %d campaigns, %d tombstones, %d events", len(st.delivered), len(st.campaigns), len(st.memory.Tombstones), len(d.events))
	}
}
