package exposure

import (
	"slices"
	"time"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// lastDeadlines returns the highest stored deadline of each exposure.
func lastDeadlines(events []*trail.Event) map[string]int {
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

// appendOpen appends x to the open exposures if it is open.
func (x *Exposure) appendOpen(open []Open) []Open {
	if !x.Open() {
		return open
	}
	o := Open{ID: x.ID, Partition: x.Partition, Account: x.Account, User: x.User, Root: x.Root, Severity: x.currentSeverity(), OpenedAt: x.OpenedAt, Suspect: x.suspect, Key: Keys(x.first)[0]}
	if x.campaign != nil {
		o.Campaign = x.campaign.ID
	}
	return append(open, o)
}

// escalate alerts the latest delay that passed. A planned change is not
// escalated, nor is a suspect exposure, nor one whose user may be enrolling now:
// that is decided within minutes (J4).
func (t *notifier) escalate(x *Exposure, sent *delivered) {
	if !x.Open() || x.suspect || x.familiar != nil || x.silenced() || sent.Planned != "" {
		return
	}
	base := trail.Event{Name: trail.Deadline, Partition: x.Partition, Account: x.Account, User: x.User, Exposure: x.ID}
	number, e := t.passDeadlines(base, x.openSince, sent.Escalated)
	if e != nil && !t.skipEscalation {
		m := x.step(Escalated, e)
		m.reasons |= x.reasons & inCampaign
		m.escalation = number
		last := t.policy.EscalateAfter[len(t.policy.EscalateAfter)-1]
		if w := x.campaign; w == nil || x.openSince.After(w.First.Add(last)) { // the campaign's escalations have passed
			sent.ByCampaign = false
			t.emit(x, sent, &m, x.ID, e.ID)
		} else {
			t.emit(x, sent, &m, x.ID, e.ID).Campaign = w.ID
		}
	}
	sent.Escalated = number
}

// passDeadlines returns the number of the highest escalation delay that has
// passed since a time, with its event if it is higher than the one notified. It
// adds each delay that passed to the deadlines, as a copy of base.
func (t *notifier) passDeadlines(base trail.Event, since time.Time, notified int) (number int, last *trail.Event) {
	done := max(notified, t.deadlines[base.Exposure])
	number = done
	for i, delay := range t.policy.EscalateAfter {
		at := since.Add(delay)
		if i < done {
			continue
		}
		if at.After(t.now) {
			t.wakeAt(at)
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
	return x.Root && !x.exploitedOrChanged() && a.AssumedRoot && b.AssumedRoot && actorKey(a) == actorKey(b) &&
		a.AccessKeyID == b.AccessKeyID && deletion.Time.Sub(x.OpenedAt).Abs() <= offboardingTime
}

// graceEnd returns until when an open x may stay unreported; zero: it may not.
func (x *Exposure) graceEnd(grace time.Duration) time.Time {
	var until time.Time
	if !x.Open() || x.suspect || x.familiar != nil || x.exploitedOrChanged() || x.privileged || x.campaign != nil || x.User == "" {
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

// holdUntil returns until when x is not alerted; zero if it is alerted now.
// After its first alert it no longer waits.
func (t *notifier) holdUntil(x *Exposure, sent *delivered) time.Time {
	if sent.Opened || sent.Exploited || sent.Planned != "" || sent.Round > 0 {
		return time.Time{}
	}
	if until := x.graceEnd(t.policy.Grace); until.After(t.now) {
		return until
	}
	return time.Time{}
}

// wakeAt requests the next call of Notify for that time or earlier.
func (t *notifier) wakeAt(at time.Time) {
	if t.out.Next.IsZero() || at.Before(t.out.Next) {
		t.out.Next = at
	}
}

// sweep returns when the events and deliveries that are kept now, and the
// tombstones that a late record may still need, are past the retention; zero if
// there are none.
func (t *notifier) sweep(events int) time.Time {
	st := &t.out.State
	if t.policy.Retention <= 0 {
		return time.Time{}
	}
	needed := t.cutoff().Add(-t.policy.Retention)
	kept := events+len(st.delivered)+len(st.attempts)+len(st.campaigns)+len(st.members)+len(st.counters) > 0 ||
		slices.ContainsFunc(st.tombstones, func(m tombstone) bool { return !m.Time.Before(needed) })
	if !kept {
		return time.Time{}
	}
	return t.now.Truncate(24 * time.Hour).Add(t.policy.Retention + 24*time.Hour)
}

// cutoff returns the time before which events are dropped.
func (t *notifier) cutoff() time.Time {
	if t.policy.Retention <= 0 {
		return time.Time{}
	}
	return t.now.Add(-t.policy.Retention)
}
