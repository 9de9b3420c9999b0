package alerting_test

import (
	"fmt"
	"time"

	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/rule"
	"github.com/mfawatch/mfawatch/processor/trail"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// event is a call in account 111122223333 some minutes after noon.
func event(minutes int, name, user, actor string) *trail.Event {
	return &trail.Event{
		ID: fmt.Sprint(name, minutes), Name: name, Time: noon.Add(time.Duration(minutes) * time.Minute),
		Partition: "aws", Account: "111122223333", User: user, Serial: "arn:aws:iam::111122223333:mfa/" + user,
		Actor: trail.Actor{Type: "IAMUser", Name: actor, ARN: "arn:aws:iam::111122223333:user/" + actor, Self: actor == user},
	}
}

// The order of the events makes no difference to what happened.
func ExampleFold() {
	h := alerting.Fold([]*trail.Event{
		event(40, trail.EnableMFADevice, "bob", "bob"),
		event(0, trail.DeactivateMFADevice, "bob", "alice"),
	})
	for _, x := range h.Exposures {
		fmt.Println(x.User, x.Severity, x.Resolution, x.ResolvedAt.Sub(x.OpenedAt))
	}
	for _, a := range h.Alerts() {
		fmt.Println(a.Step, a.Severity, a.Title)
	}
	// Output:
	// bob high enabled 40m0s
	// opened high MFA removed from bob in 111122223333 by alice
	// resolved info bob has MFA again in 111122223333
}

// The caller stores the Outcome before it sends the alerts, and calls again at
// Next or with a new event.
func ExampleNotify() {
	policy := exposure.DefaultPolicy()
	events := []*trail.Event{event(0, trail.DeactivateMFADevice, "bob", "alice")}
	var state alerting.State
	for _, minutes := range []int{1, 20} {
		out := alerting.Notify(events, state, noon.Add(time.Duration(minutes)*time.Minute), policy)
		state = out.State                         // stored in one transaction with the alerts, …
		events = append(events, out.Deadlines...) // … and so are the deadlines
		for _, a := range out.Alerts {
			fmt.Println(minutes, "min:", a.Step, a.Severity, a.Title)
		}
		fmt.Println("again", out.Next.Format("15:04"))
	}
	// Output:
	// 1 min: opened high MFA removed from bob in 111122223333 by alice
	// again 12:15
	// 20 min: escalated high Still no MFA device enabled for bob in 111122223333 after 15 minutes
	// again 16:00
}

func ExampleFoldUnder() {
	sandbox, err := rule.Compile(map[string]any{"account_class": "sandbox"})
	if err != nil {
		panic(err)
	}
	policy := exposure.Policy{
		Accounts: map[string]exposure.Account{"111122223333": {Name: "playground", Class: "sandbox"}},
		Severity: []exposure.SeverityRule{{Match: sandbox, Severity: exposure.Low, Reason: "sandbox accounts hold no data"}},
	}
	h := alerting.FoldUnder(policy, []*trail.Event{event(0, trail.DeactivateMFADevice, "bob", "alice")})
	a := h.Alerts()[0]
	fmt.Println(a.Severity, a.Rule)
	fmt.Println(a.Title)
	// Output:
	// low sandbox accounts hold no data
	// MFA removed from bob in playground (111122223333) by alice
}
