package exposure

import (
	"time"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// An off-boarding is many calls: they delete the password, the MFA device and
// the keys in some order, and the user last. An actor who deletes the password
// within offboardingWindow of removing MFA gets offboardingTime from the
// removal to finish, which is how long CloudTrail may take to report it; then
// one alert says that it is over. An intruder gains little: the console is
// closed, and any use is alerted immediately.
const (
	offboardingWindow = time.Hour
	offboardingTime   = 15 * time.Minute
)

// passwordDeleted closes the console (R23).
func (x *Exposure) passwordDeleted(e *trail.Event) {
	x.consoleClosed = true
	a := &e.Actor
	if !a.Self && *a != (trail.Actor{}) && actorKey(a) == actorKey(&x.Actor) && e.Time.Sub(x.OpenedAt).Abs() < offboardingWindow {
		x.offboarded = true
	}
}

// rootOffboarded reports whether one AssumeRoot session took root's device and
// password, as a central clean-up of credentials does (J19).
func (x *Exposure) rootOffboarded(deletion *trail.Event) bool {
	a, b := &x.Actor, &deletion.Actor
	return x.Root && !x.ExploitedOrChanged() && a.AssumedRoot && b.AssumedRoot && actorKey(a) == actorKey(b) &&
		a.AccessKeyID == b.AccessKeyID && deletion.Time.Sub(x.OpenedAt).Abs() <= offboardingTime
}

// GraceEnd returns until when an open x may stay unreported; zero: it may not.
func (x *Exposure) GraceEnd(grace time.Duration) time.Time {
	var until time.Time
	if !x.Open() || x.suspect || x.familiar != nil || x.ExploitedOrChanged() || x.privileged || x.Campaign != nil || x.User == "" {
		return until // R28
	}
	if grace > 0 {
		until = x.openSince.Add(grace)
	}
	if t := x.OpenedAt.Add(offboardingTime); x.offboarded && t.After(until) {
		until = t
	}
	return until
}
