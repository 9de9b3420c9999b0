package route

import (
	"slices"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/rule"
)

// Facts is what matchers see of an alert.
func (r *Router) Facts(a *exposure.Alert) rule.Facts {
	has := func(reason string) bool { return slices.Contains(a.Reasons, reason) }
	account := r.accounts[a.Account]
	f := rule.Facts{
		Account: a.Account, AccountName: account.Name, AccountClass: account.Class, Partition: a.Partition,
		Path: a.Path, Root: a.Root, Privileged: a.Root || has(exposure.ReasonPrivileged),
		Actor: a.Actor.Name, ActorType: a.Actor.Type, Self: a.Actor.Self, MFA: a.Actor.MFA,
		SourceIP: a.Actor.SourceIP, UserAgent: a.Actor.UserAgent,
		DeviceKind: a.Device.Kind, Protection: a.Protection, Step: string(a.Step), Severity: string(a.Severity),
		Late: has(exposure.ReasonLate), Expected: has(exposure.ReasonExpected), Campaign: has(exposure.ReasonCampaign),
		Origin: a.Event.Origin,
	}
	if a.User != nil {
		f.User = *a.User
	}
	return f
}
