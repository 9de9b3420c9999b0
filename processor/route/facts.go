package route

import (
	"slices"
	"strings"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/rule"
)

// Facts is what matchers see of an alert.
func (r *Router) Facts(a *exposure.Alert) rule.Facts {
	has := func(reason string) bool { return slices.Contains(a.Reasons, reason) }
	account := r.accounts[a.Account]
	f := rule.Facts{
		Account: a.Account, AccountName: account.Name, AccountClass: account.Class, Partition: a.Partition,
		Root: a.Root, Privileged: a.Root || has(exposure.ReasonPrivileged),
		Actor: a.Actor.Name, ActorType: a.Actor.Type, Self: a.Actor.Self, MFA: a.Actor.MFA,
		SourceIP: a.Actor.SourceIP, UserAgent: a.Actor.UserAgent,
		DeviceKind: a.Device.Kind, Protection: a.Protection, Step: string(a.Step), Severity: string(a.Severity),
		Late: has(exposure.ReasonLate), Expected: has(exposure.ReasonExpected), Campaign: has(exposure.ReasonCampaign),
		Origin: a.Event.Origin,
	}
	if a.User != nil {
		f.User = *a.User
	}
	if a.Actor.Self {
		f.Path = pathOf(a.Actor.ARN)
	}
	return f
}

// pathOf is the path in a user's ARN: arn:aws:iam::111122223333:user/admins/bob.
func pathOf(arn string) string {
	_, path, ok := strings.Cut(arn, ":user/")
	if !ok {
		return ""
	}
	return "/" + path[:strings.LastIndexByte(path, '/')+1]
}
