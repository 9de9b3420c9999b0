package exposure

import (
	"time"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// numbers finds the highest deadline stored of each exposure.
func numbers(events []*trail.Event) map[string]int {
	var n map[string]int
	for _, e := range events {
		if e != nil && e.Name == trail.Deadline {
			if n == nil {
				n = map[string]int{}
			}
			n[e.Exposure] = max(n[e.Exposure], e.Deadline)
		}
	}
	return n
}

// listed adds x to what is open, if it is.
func (x *Exposure) listed(open []Open) []Open {
	if !x.Open() {
		return open
	}
	o := Open{ID: x.ID, Account: x.Account, User: x.User, Root: x.Root, Severity: x.stands(), OpenedAt: x.OpenedAt}
	if x.wave != nil {
		o.Campaign = x.wave.ID
	}
	return append(open, o)
}

// escalate tells the latest delay that passed. What was announced waits for
// nobody.
func (t *teller) escalate(x *Exposure, said *told) {
	if !x.Open() || x.quieted() || said.Expected != "" {
		return
	}
	base := trail.Event{Name: trail.Deadline, Partition: x.Partition, Account: x.Account, User: x.User, Exposure: x.ID}
	number, e := t.passed(base, x.openSince, said.Escalated)
	if e != nil && !t.silent {
		m := x.moment(Escalated, e)
		m.reasons |= x.reasons & inCampaign
		m.escalation = number
		last := t.policy.EscalateAfter[len(t.policy.EscalateAfter)-1]
		if w := x.wave; w == nil || x.openSince.After(w.First.Add(last)) { // nothing escalates it but itself
			said.Covered = false
			t.alert(x, said, &m, x.ID, e.ID)
		} else {
			t.alert(x, said, &m, x.ID, e.ID).Campaign = w.ID
		}
	}
	said.Escalated = number
}

// passed is the highest escalation delay since that time that has passed, and
// its event if it is higher than what was told. Each one that passed is a
// deadline, made of base.
func (t *teller) passed(base trail.Event, since time.Time, told int) (number int, last *trail.Event) {
	done := max(told, t.deadlines[base.Exposure])
	number = done
	for i, delay := range t.policy.EscalateAfter {
		at := since.Add(delay)
		if i < done {
			continue
		}
		if at.After(t.now) {
			t.look(at)
			break
		}
		number = i + 1
		e := base
		e.ID, e.Time, e.Deadline = deadlineID(base.Exposure, number), at, number
		last = &e
		t.out.Deadlines = append(t.out.Deadlines, last)
	}
	return number, last
}

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
