package alerting

import (
	"fmt"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/rule"
)

// A caller who federates a user chooses the name, and one from another account has it
// from there: neither is whom a matcher names, unless it says the type, too.
func TestNobodyTakesTheNameOfATrustedActor(t *testing.T) {
	named := match(t, map[string]any{"actor": []any{"HelpDesk", "desk/*"}})
	planned := &exposure.PlannedChange{Match: named, Until: at(3600), Approver: "ann", Ticket: "CHG-1"}
	for _, c := range []struct{ actor, want string }{
		{"name=HelpDesk", "bob resolved@60 info enabled"},
		{"name=desk/jo type=AssumedRole", "bob resolved@60 info enabled"},
		{"name=HelpDesk type=FederatedUser", "bob suspect@60 high"},
		{"name=HelpDesk type=AWSAccount", "bob suspect@60 high"},
	} {
		for name, p := range map[string]exposure.Policy{
			"enrollers":       {Enrollers: []*rule.Matcher{named}, Grace: 5 * time.Minute},
			"planned changes": {PlannedChanges: []*exposure.PlannedChange{planned}, Grace: 5 * time.Minute},
		} {
			events := script(t, "0 deactivate bob serial=A by=mallory "+c.actor+"; 60 enable bob serial=B by=mallory "+c.actor)
			if got := show(playLanes(p, 2, events)); got != c.want {
				t.Errorf("%s, %s: got %s, want %s", name, c.actor, got, c.want)
			}
		}
	}
	p := exposure.Policy{Enrollers: []*rule.Matcher{match(t, map[string]any{"actor": "FederatedUser/HelpDesk"})}, Grace: 5 * time.Minute}
	events := script(t, "0 deactivate bob serial=A by=mallory; 60 enable bob serial=B by=mallory name=HelpDesk type=FederatedUser")
	if got := show(playLanes(p, 2, events)); got != "bob resolved@60 info enabled" {
		t.Errorf("the federated user is not matched by type and name: %s", got)
	}
}

// R28: a user who is renamed stays privileged for as long as the user lives: an intruder
// would rename them, and wait until the record is dropped. A new user of the name is not.
func TestR28_ARenameTakesNoPrivilege(t *testing.T) {
	p := exposure.DefaultPolicy()
	p.Privileged = append(p.Privileged, match(t, map[string]any{"user": "*-admin", "account": "111122223333"}))
	for then, severity := range map[string]string{
		"": "critical",
		"6 rename bob new=eve by=mallory id=c; 7 rename eve new=bob by=mallory id=d": "critical",
		"6 deleteuser bob by=ann id=c; 7 createuser bob by=ann id=d":                 "high",
	} {
		for _, days := range []int{1, 36, 50, 80, 200} {
			d := newTestAccount(t)
			d.policy = p
			d.arrive(at(10), script(t, "0 login+ bob-admin by=bob-admin self serial=A id=a; 5 rename bob-admin new=bob by=mallory id=b;"+then)...)
			for day := 1; day < days; day++ {
				d.arrive(at(day * 86400))
			}
			now := days * 86400
			want := fmt.Sprintf("bob opened@%d %s", now, severity)
			if got := show(d.arrive(at(now), script(t, fmt.Sprintf("%d deactivate bob serial=A by=mallory id=gone", now))...)); got != want {
				t.Errorf("%q, after %d days: got %s, want %s", then, days, got, want)
			}
		}
	}
}
