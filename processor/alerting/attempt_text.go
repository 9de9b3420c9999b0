package alerting

import (
	"strconv"
	"strings"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/processor/trail"
)

func (a attempted) title() string {
	user, own, in := userName(a.User, a.Root), a.Actor.Self, inTheAccount(a.Policy(), a.Partition, a.Account)
	what := "remove MFA from " + user
	switch {
	case a.Class() == exposure.RootSignIn:
		return "The root user signed in with MFA" + in
	case a.Class() == exposure.Enrolment:
		return upper(actorBeside(&a.Actor, user)) + " enabled an MFA device for " + user + in
	case a.FirstEvent().Name == trail.EnableMFADevice && own:
		what = "enable an MFA device for themselves"
	case a.FirstEvent().Name == trail.EnableMFADevice:
		what = "enable an MFA device for " + user
	case a.FirstEvent().Name == trail.DeleteVirtualMFADevice:
		what = "delete an MFA device of " + user
	case own:
		what = "remove their own MFA"
	}
	return upper(actorBeside(&a.Actor, user)) + " failed to " + what + in
}

func (a attempted) summary(v exposure.Severity, rule string, more exposure.Reasons) string {
	var s sentences
	switch a.Class() {
	case exposure.RootSignIn:
		s.add("Signed in", from(&a.Actor))
	case exposure.Enrolment:
		s.add(theDevice(a.Serial), " was enabled", actorDetails(&a.Actor))
	default:
		s.add(a.tries(), actorDetails(&a.Actor))
	}
	if len(a.Codes) > 0 {
		s.add("AWS answered ", safetext.Clean(strings.Join(a.Codes, ", "), maxDetail))
	}
	if rule != "" {
		s.add(byRule(v, rule))
	} else {
		s.add(string(v), " because ", list(append(factors(a.ReasonSet()), a.because())))
	}
	s.add(a.advice())
	return s.end(a.Policy(), a.Planned(), more)
}

// tries says how many calls there were, and within which time.
func (a attempted) tries() string {
	tries := "1 try"
	switch {
	case a.Class() == exposure.Guessed:
		tries = strconv.Itoa(a.Count) + " wrong codes within an hour"
	case a.Count > 1:
		tries = strconv.Itoa(a.Count) + " tries in " + span(a.Last.Sub(a.First))
	}
	if a.Serial != "" {
		tries += " on " + theDevice(a.Serial)
	}
	return tries
}

// because is the last factor of the severity.
func (a attempted) because() string {
	switch a.Class() {
	case exposure.RootSignIn:
		return "every sign-in of root is reported"
	case exposure.Enrolment:
		return "whoever holds the device can sign in as " + userAgain(a.User, a.Root)
	case exposure.Mistyped, exposure.Otherwise:
		return "nothing was changed, and AWS refused nothing"
	}
	return "nothing was changed"
}

func (a attempted) advice() string {
	user := userName(a.User, a.Root)
	switch {
	case a.Step == exposure.Failed:
		return ""
	case a.Class() == exposure.RootSignIn:
		return "ask who holds root if it was meant"
	case a.Class() == exposure.Enrolment && a.Root:
		return "ask who holds root if it is their device; if not, remove it and recover the account"
	case a.Class() == exposure.Enrolment:
		return "ask " + user + " if it is their device; if not, remove it, and disable the password and access keys of " + user
	case a.Actor.Self:
		return "ask " + user + " if it was meant"
	}
	return "ask " + actor(&a.Actor) + " if it was meant; if not, review what else they did"
}
