package alerting

import (
	"fmt"
	"testing"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// hits folds one removal a minute by one person, each in an account, and returns what
// each needs.
func hits(t *testing.T, p exposure.Policy, do string, accounts ...string) (all [][]*exposure.Alert) {
	var l Ledger
	for i, account := range accounts {
		e := script(t, fmt.Sprintf(do+" id=r%[2]d account=%[3]s", i*60, i, account))[0]
		e.Actor.SourceIdentity = "jane"
		l.Append(e)
		alerts, _ := l.Fold(at(i*60+5), p)
		all = append(all, alerts)
	}
	alerts, _ := l.Fold(at(1800), p)
	return append(all, alerts)
}

// R28: each root whose device an AssumeRoot session takes is alerted immediately, however
// many there were before it.
func TestJ15_NoRootWaitsForOthers(t *testing.T) {
	got := hits(t, exposure.DefaultPolicy(), "%[1]d deactivate root assumedroot type=AssumedRoot", "1", "2", "3", "4", "5", "6")
	for i, alerts := range got[:6] {
		if heard, step := humansHear(alerts), []string{"opened", "campaign"}[min(i/2, 1)]; heard != fmt.Sprintf("root %s@%d critical", step, i*60) {
			t.Errorf("of root %d, humans hear %q", i+1, heard)
		}
	}
}

// A severity rule for one account lowers no campaign that reaches others: who takes the
// last device in a sandbox hides nothing by that, nor who begins there.
func TestJ15_ARuleForASandboxLowersNothingElsewhere(t *testing.T) {
	p := exposure.DefaultPolicy()
	p.Accounts = map[string]exposure.Account{"9": {Class: "sandbox"}}
	p.Severity = []exposure.SeverityRule{{Match: match(t, map[string]any{"account_class": "sandbox"}), Severity: exposure.Low, Reason: "sandboxes hold nothing"}}
	for _, c := range []struct {
		accounts []string
		want     exposure.Severity
	}{{[]string{"1", "1", "9"}, exposure.Critical}, {[]string{"9", "9", "1"}, exposure.Critical}, {[]string{"9", "9", "9"}, exposure.Low}} {
		for _, alerts := range hits(t, p, "%[1]d deactivate bob%[2]d serial=S%[2]d", c.accounts...) {
			for _, a := range alerts {
				if a.Users != nil && (a.Severity != c.want || (a.Rule == "") != (c.want == exposure.Critical)) {
					t.Errorf("%s: %s is %s by %q", c.accounts, a.Step, a.Severity, a.Rule)
				}
			}
		}
	}
	// Nor does the campaign of a sandbox delay those who hear of production alone.
	got := hits(t, p, "%[1]d deactivate bob%[2]d serial=S%[2]d", "9", "9", "9", "9", "1")
	if heard := humansHear(got[4]); heard != "? campaign@240 critical" {
		t.Errorf("of the user in production, humans hear %q", heard)
	}
}

// An alert says which account the campaign's alerts are about, if it is another: other
// routes may decide there. The account stays as users leave the campaign.
func TestJ15_TheAccountOfACampaign(t *testing.T) {
	var l Ledger
	for i, text := range []string{
		"0 deactivate dummy serial=A by=x id=a account=9; 1 deactivate bob serial=B by=x id=b account=1; 2 deactivate eve serial=C by=x id=c account=1; 3 deactivate dan serial=D by=x id=d account=1",
		"100 deleteuser dummy by=x id=e account=9",
		"2500 deactivate zoe serial=Z by=x id=z account=1; 2501 deactivate kim serial=K by=x id=k account=1; 2502 deactivate liz serial=L by=x id=l account=1",
		"", // the escalations
	} {
		events := script(t, text)
		for _, e := range events {
			e.Actor.OnBehalfOf = "jane"
		}
		l.Append(events...)
		alerts, _ := l.Fold(at(i*1300+10), exposure.DefaultPolicy())
		for _, a := range alerts {
			switch {
			case a.Users != nil && a.Account != "9":
				t.Errorf("%s of the campaign is about account %s", a.Step, a.Account)
			case a.Users == nil && a.Campaign != "" && (a.CampaignIn == "9") != (a.Account == "1"):
				t.Errorf("%s of %s in account %s: its campaign is in %q", a.Step, *a.User, a.Account, a.CampaignIn)
			}
		}
	}
}

// A user whom an alert of a campaign counts, and who is restored and hit again while the
// campaign goes on, is alerted again as a further user would be, also where only tallies count the others.
func TestJ15_AUserHitAgainIsAlertedAgain(t *testing.T) {
	set := keepFew(t)
	for _, keep := range []int{64, 2} {
		set(keep)
		p := exposure.DefaultPolicy()
		p.EscalateAfter = nil
		var l Ledger
		step := func(now int, text, want string) {
			t.Helper()
			l.Append(script(t, text)...)
			alerts, _ := l.Fold(at(now), p)
			if got := humansHear(alerts); got != want {
				t.Errorf("%d kept, at %d: got %s, want %s", keep, now, got, want)
			}
		}
		step(5, "0 deactivate bob serial=A by=m id=a; 1 deactivate eve serial=B by=m id=b; 2 deactivate dan serial=C by=m id=c; 3 deactivate kim serial=K by=m id=k; 4 deactivate root serial=R by=m id=r",
			"root campaign@4 critical")
		step(105, "100 enable bob serial=D by=bob self id=d; 101 enable root serial=R2 by=root self id=q", "")
		step(205, "200 deactivate bob serial=D by=m id=e", "")
		step(1105, "", "root campaign@200 critical")
		step(1205, "1200 enable bob serial=D by=bob self id=f; 1201 deactivate bob serial=D by=m id=g; 1202 enable bob serial=D by=bob self id=h", "")
		step(1305, "1300 deactivate root serial=R2 by=m id=s", "root campaign@1300 critical")
		step(3000, "", "")
	}
}
