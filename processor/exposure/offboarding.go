package exposure

import (
	"time"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// A user is off-boarded in many calls: password, MFA and keys are deleted in some
// order, and in the end the user is. Whoever deletes the password within
// leavingWithin of removing MFA is given leavingTime from the
// removal on to finish, for so long CloudTrail may take to say so: then it is told
// once, as over. An intruder gains little by it: the console is closed, and any
// use is told at once.
const (
	leavingWithin = time.Hour
	leavingTime   = 15 * time.Minute
)

// passwordDeleted closes the console part (R23).
func (x *Exposure) passwordDeleted(e *trail.Event) {
	x.consoleClosed = true
	a := &e.Actor
	if !a.Self && *a != (trail.Actor{}) && actorKey(a) == actorKey(&x.Actor) && e.Time.Sub(x.OpenedAt).Abs() < leavingWithin {
		x.leaving = true
	}
}

// patience is until when nobody has to be told that x is open; zero: at once.
func (x *Exposure) patience(grace time.Duration) time.Time {
	var until time.Time
	if !x.Open() || x.used() || x.privileged || x.wave != nil || x.User == "" {
		return until // R28
	}
	if grace > 0 {
		until = x.openSince.Add(grace)
	}
	if t := x.OpenedAt.Add(leavingTime); x.leaving && t.After(until) {
		until = t
	}
	return until
}

// wait is until when nothing is to be said of x, zero if something is: once it
// was told as open, everything is.
func (t *teller) wait(x *Exposure, said *told) time.Time {
	if said.Opened || said.Exploited || said.Expected != "" || said.Round > 0 {
		return time.Time{}
	}
	if until := x.patience(t.policy.Grace); until.After(t.now) {
		return until
	}
	return time.Time{}
}

// look asks to be called at that time, or before.
func (t *teller) look(at time.Time) {
	if t.out.Next.IsZero() || at.Before(t.out.Next) {
		t.out.Next = at
	}
}
