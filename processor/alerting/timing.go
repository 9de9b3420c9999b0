package alerting

import (
	"slices"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
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

// escalate alerts the latest delay that passed. A planned change is not
// escalated, nor is a suspect exposure, nor one whose user may be enrolling now:
// that is decided within minutes (J4).
func (t *notifier) escalate(x *exposure.Exposure, sent *delivered) {
	if !x.Open() || x.Suspect() || x.Familiar() || x.Silenced() || sent.Planned != "" {
		return
	}
	base := trail.Event{Name: trail.Deadline, Partition: x.Partition, Account: x.Account, User: x.User, Exposure: x.ID}
	number, e := t.passDeadlines(base, x.OpenSince(), sent.Escalated)
	if e != nil && !t.skipEscalation {
		m := x.StepBy(exposure.Escalated, e)
		m.Reasons |= x.ReasonSet() & exposure.HasCampaign
		m.Escalation = number
		last := t.policy.EscalateAfter[len(t.policy.EscalateAfter)-1]
		if w := x.Campaign; w == nil || x.OpenSince().After(w.Since.Add(last)) { // the campaign's escalations have passed
			sent.ByCampaign = false
			t.emit(x, sent, &m, x.ID, e.ID)
		} else {
			coverBy(t.emit(x, sent, &m, x.ID, e.ID), w)
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

// holdUntil returns until when x is not alerted; zero if it is alerted now.
// After its first alert it no longer waits.
func (t *notifier) holdUntil(x *exposure.Exposure, sent *delivered) time.Time {
	if sent.Opened || sent.Exploited || sent.Planned != "" || sent.Round > 0 {
		return time.Time{}
	}
	if until := x.GraceEnd(t.policy.Grace); until.After(t.now) {
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

// credible returns the events without those of the future that may end an exposure or
// keep one from beginning: a wrong clock ends none before its time. All others count
// immediately, as does the closing by a person.
func (t *notifier) credible(events []*trail.Event) []*trail.Event {
	limit := t.now.Add(exposure.MaxAhead)
	early := func(e *trail.Event) bool { return e != nil && e.Time.After(limit) && exposure.Protects(e) }
	if !slices.ContainsFunc(events, early) {
		return events
	}
	var now []*trail.Event
	for _, e := range events {
		if !early(e) {
			now = append(now, e)
			continue
		}
		t.wakeAt(e.Time.Add(-exposure.MaxAhead))
	}
	return now
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
	kept := events+len(st.delivered)+len(st.attempts)+len(st.campaigns)+len(st.members)+len(st.memory.Counters) > 0 ||
		slices.ContainsFunc(st.memory.Tombstones, func(m exposure.Tombstone) bool { return !m.Time.Before(needed) })
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
