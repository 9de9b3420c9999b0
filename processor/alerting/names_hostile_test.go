package alerting

import (
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
