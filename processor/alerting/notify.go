package alerting

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// Outcome is the result of Notify: what to store, what to send, and when to call
// again. The package documentation gives the order.
type Outcome struct {
	// State is the argument of the subject's next call of Notify.
	State State
	// Alerts are to be sent now, in this order.
	Alerts []*exposure.Alert
	// Deadlines are the escalation delays that passed, to be stored with the
	// subject's events.
	Deadlines []*trail.Event
	// Derived are events for other subjects, of this lane or of others. Those
	// that are not known there make their subjects due.
	Derived []*trail.Event
	// Drop holds the IDs of events past the retention, to be deleted. State
	// keeps their proofs.
	Drop []string
	// Next is when to call Notify again without a new event; zero: never.
	Next time.Time
	// Sweep is when to call Notify again to drop what is past the retention, if
	// nothing else needs a call before; zero: never.
	Sweep time.Time
	// Open lists the open exposures in order of opening.
	Open []exposure.Open
	// Live reports whether another policy may need other alerts although Open is
	// empty: so does an actor's lane.
	Live bool
}

// Notify decides which alerts one subject needs now. Events are all events kept
// for it, Deadlines and derived ones included, in any order and any number of
// copies; st is the State of its last Outcome. Notify may be called for several
// subjects together, with their events and their merged State.
//
// The caller stores State, Deadlines, Derived and Drop in one transaction with
// Alerts. A call that repeats a stored one returns no new alert. The IDs of the
// alerts, and the steps that are alerted in the end, depend only on events,
// policy and what was alerted before; now decides what still waits, which
// escalation is due, what is late and what is past the retention. Notify leaves
// the events unchanged; the alerts share their memory.
func Notify(events []*trail.Event, st State, now time.Time, p exposure.Policy) Outcome {
	now = now.UTC().Round(0)
	t := &notifier{now: now, policy: &p, deadlines: lastDeadlines(events)}
	f := exposure.FoldSubject(t.credible(events), st.memory, &p, now)
	joined, superseded := memberships(events)
	t.superseded = superseded

	before := make([]*delivered, len(st.delivered))
	for i := range st.delivered {
		c := st.delivered[i]
		c.Events = slices.Clip(c.Events)
		before[i] = &c
	}
	n := assignIDs(f.Exposures, before)
	for _, x := range f.Exposures {
		join(x, joined)
		x.Finish()
	}
	for _, o := range n.orphans {
		t.withdraw(o.delivered, o.in.First())
		t.resolveOrphan(o)
	}
	for _, g := range n.gone {
		if f.First() == nil {
			break // its events are gone, too
		}
		t.withdraw(g, f.First())
		t.resolveGone(f, g)
	}
	for _, x := range f.Exposures {
		sent := n.records[x]
		if sent == nil {
			sent = &delivered{ID: x.ID}
			n.records[x] = sent
			before = append(before, sent)
		}
		sent.OpenedAt, sent.Deactivations = x.OpenedAt, x.RecognizedBy()
		if x.Open() {
			t.out.Open = append(t.out.Open, x.AsOpen())
		}
		t.suppress(x, sent)
		if until := t.holdUntil(x, sent); !until.IsZero() {
			t.wakeAt(until)
			sent.Guesses += x.ExcessGuesses()
			t.sight(x, sent)
			continue
		}
		if due := x.NextDue(); !due.IsZero() {
			t.wakeAt(due)
		}
		t.notify(x, sent)
		t.notifyGuesses(x, sent)
		t.escalate(x, sent)
		t.sight(x, sent)
	}
	t.out.Derived = append(t.out.Derived, f.ShowPaths(st.memory.Paths)...)
	lanes := t.foldLanes(events, st)
	attempts := t.notifyAttempts(f, st.attempts, joined)
	sortAlerts(t.out.Alerts)
	t.out.Live = t.live
	t.out.State, t.out.Drop = t.retain(f, events, n, before, lanes, attempts)
	t.out.Sweep = t.sweep(len(events) + len(t.out.Deadlines) - len(t.out.Drop))
	return t.out
}

// notifier builds an Outcome.
type notifier struct {
	now        time.Time
	policy     *exposure.Policy
	deadlines  map[string]int // by exposure: the highest stored number
	out        Outcome
	live       bool            // a sighted exposure is open
	superseded map[string]bool // memberships that a later one replaces

	// The fields of the exposure in work.
	reopened       string           // why it is opened once more, as the first sentence of the summary
	extra          exposure.Reasons // reasons that depend on the time of the call
	skipEscalation bool             // the opened alert stands for the delays that have passed
}

// notify alerts the steps of x that were not alerted yet.
func (t *notifier) notify(x *exposure.Exposure, sent *delivered) {
	reopened := x.Open() && sent.Closed
	if reopened { // a late record shows that it did not end there
		sent.Round++
		sent.Closed, sent.Opened, sent.Exploited = false, false, false
	}
	late := latePrelude(x, sent)
	if x.Reduced {
		t.notifyReduced(x, sent, late)
		return
	}
	// An exposure that ended unreported is one alert, and one more if it was
	// exploited (R32); so is one that is suspect by then (J1).
	unreported := (x.ResolvedAt != nil || x.Suspect()) && !sent.isOpen()
	offboarding := x.Offboarded() && x.Silenced() && !unreported && !sent.Opened // one alert reports both
	known := make(map[string]bool, len(sent.Events))
	for _, id := range sent.Events {
		known[id] = true
	}
	steps := slices.Concat(late, x.Steps)
	for i := range steps {
		m := &steps[i]
		switch m.Step {
		case exposure.Opened:
			skip, again := sent.reportOpened(m, unreported, x.Suspect(), known[m.Event.ID])
			if skip {
				continue
			}
			if again { // it began earlier than reported
				m = as(m, exposure.Updated)
			}
			if offboarding {
				m = asClosed(m)
			}
		case exposure.Reduced:
			if unreported || sent.Reduced || sent.Opened || sent.Exploited || sent.Round > 0 {
				continue
			}
			sent.Reduced = true
		case exposure.Updated:
			if known[m.Event.ID] {
				continue
			}
			if unreported {
				if x.Suspect() {
					sent.Events = append(sent.Events, m.Event.ID)
				}
				continue
			}
			if offboarding && m.Event.Name == trail.DeleteLoginProfile { // part of the opened alert
				sent.Events = append(sent.Events, m.Event.ID)
				continue
			}
		case exposure.Suspect:
			if x.ResolvedAt != nil || known[m.Event.ID] && !reopened && t.reopened == "" { // the end reports it all
				continue
			}
			sent.Opened = true
		case exposure.Exploited:
			skip, again := sent.reportExploited(m, x.ResolvedAt != nil, known[m.Event.ID])
			if skip {
				continue
			}
			if again {
				m = as(m, exposure.Updated)
				break
			}
			if sent.Closed { // still over: resolve it once more, so that no channel waits
				t.add(x, sent, m)
				sent.Closed = false
				sent.Round++
				continue
			}
		case exposure.Resolved:
			if sent.Closed {
				continue
			}
			sent.Closed = true
		}
		if m.Step.Repeats() && !known[m.Event.ID] {
			sent.Events = append(sent.Events, m.Event.ID)
		}
		t.add(x, sent, m)
	}
}

// notifyReduced alerts an exposure that leaves another device, and once more with
// the changes before it that became known later.
func (t *notifier) notifyReduced(x *exposure.Exposure, sent *delivered, late []exposure.Moment) {
	for i := range late {
		sent.Events = append(sent.Events, late[i].Event.ID)
	}
	if n := len(late); n > 0 && sent.Reduced && !sent.isOpen() {
		t.emit(x, sent, &x.Steps[0], x.ID, stepID(x.ID, exposure.Reduced, late[n-1].Event.ID, 0))
	}
	switch {
	case sent.isOpen():
		t.add(x, sent, x.ReplacedStep())
		sent.Closed = true
	case !sent.Reduced && !sent.Closed:
		t.add(x, sent, &x.Steps[0])
		sent.Reduced = true
		sent.Events = append(sent.Events, x.First().ID)
	}
}

// reportOpened records a beginning, unless it is to be skipped. again is one of an
// exposure that is reported as opened.
func (t *delivered) reportOpened(m *exposure.Moment, unreported, suspect, known bool) (skip, again bool) {
	if unreported && suspect {
		if t.Opened = true; !known {
			t.Events = append(t.Events, m.Event.ID)
		}
		return true, false
	}
	if unreported || t.Opened && known {
		return true, false
	}
	again, t.Opened = t.Opened, true
	return false, again
}

// reportExploited records a sign-in without MFA, unless it is to be skipped: it was
// reported, or it was familiar and ended as such sign-ins should (J4). again is
// one that was reported as familiar, and turns out not to be.
func (t *delivered) reportExploited(m *exposure.Moment, over, known bool) (skip, again bool) {
	soft := m.Reasons&exposure.HasExploited == 0
	switch {
	case !t.Exploited && soft && over:
		return true, false
	case t.Exploited && (soft || !t.Familiar || known):
		return true, false
	}
	again = t.Exploited
	t.Familiar, t.Exploited = soft, true
	return false, again
}

// add appends the alert of a step.
func (t *notifier) add(x *exposure.Exposure, sent *delivered, m *exposure.Moment) {
	cause, round := m.Event.ID, 0
	switch m.Step {
	case exposure.Opened, exposure.Exploited, exposure.Suspect, exposure.Resolved:
		round = sent.Round
	}
	a := t.emit(x, sent, m, x.ID, stepID(x.ID, m.Step, cause, round))
	if round > 0 && (m.Step == exposure.Opened || m.Step == exposure.Suspect && t.reopened != "") {
		a.Summary = cmp.Or(t.reopened, "A record that came late shows that it did not end when that was reported. ") + a.Summary
	}
}

// emit appends the alert of a step as it stands: with its reasons, and whether
// people are notified.
func (t *notifier) emit(x *exposure.Exposure, sent *delivered, m *exposure.Moment, of, id string) *exposure.Alert {
	more := t.extra | t.lateReason(m.Time)
	if sent.Planned != "" {
		more |= exposure.HasExpected
	}
	a := exposed{x}.alert(m, of, id, more)
	switch {
	case sent.ByCampaign && x.Campaign != nil:
		coverBy(a, x.Campaign)
	case sent.ByCampaign:
		a.Campaign = sent.Campaign
	}
	sent.At = t.now
	t.out.Alerts = append(t.out.Alerts, a)
	return a
}

// lateReason returns the reason late if it applies.
func (t *notifier) lateReason(happened time.Time) exposure.Reasons {
	if after := t.policy.LateAfter; after > 0 && t.now.Sub(happened) >= after {
		return exposure.HasLate
	}
	return 0
}

// resolveOrphan resolves an exposure that has become part of another one.
func (t *notifier) resolveOrphan(o orphan) {
	if o.delivered.isOpen() {
		m := o.in.MergedStep(o.delivered.OpenedAt)
		a := t.emit(o.in, o.delivered, m, o.delivered.ID, stepID(o.delivered.ID, exposure.Resolved, m.Event.ID, o.delivered.Round))
		a.OpenedAt = &o.delivered.OpenedAt
	}
	o.delivered.Closed = true
	o.delivered.Deactivations = nil // they belong to the other
	o.delivered.At = t.now
}

// as returns m as another step.
func as(m *exposure.Moment, s exposure.Step) *exposure.Moment {
	c := *m
	c.Step = s
	return &c
}

// asClosed returns m with the password deleted, as a later event will report.
func asClosed(m *exposure.Moment) *exposure.Moment {
	c := *m
	c.ConsoleClosed = true
	return &c
}

// latePrelude returns the changes before x that became known after its beginning
// was alerted, which lists those known by then. It records all of them.
func latePrelude(x *exposure.Exposure, sent *delivered) (late []exposure.Moment) {
	if len(x.Prelude()) == 0 {
		return nil
	}
	began := sent.Opened || sent.Reduced || sent.Exploited || sent.Closed || sent.Round > 0
	known := make(map[string]bool, len(sent.Events))
	for _, id := range sent.Events {
		known[id] = true
	}
	for _, e := range x.Prelude() {
		switch {
		case known[e.ID]:
		case began:
			late = append(late, x.StepBy(exposure.Updated, e))
		default:
			sent.Events = append(sent.Events, e.ID)
		}
	}
	return late
}

// notifyGuesses alerts failed sign-ins beyond those kept, of which only the
// number is.
func (t *notifier) notifyGuesses(x *exposure.Exposure, sent *delivered) {
	sent.Guesses += x.ExcessGuesses()
	m := x.GuessedStep(sent.Guesses, sent.GuessesNotified)
	if m == nil {
		return
	}
	sent.GuessesNotified = m.Guesses
	t.emit(x, sent, m, x.ID, stepID(x.ID, exposure.Updated, fmt.Sprint("guesses/", m.Guesses), sent.Round))
}

// resolveGone resolves an exposure that a late record shows not to have begun:
// the device that it needs was another user's (J7).
func (t *notifier) resolveGone(f *exposure.Subject, sent *delivered) {
	x, m := f.Gone(sent.ID, sent.OpenedAt, sent.Deactivations)
	if x == nil {
		return
	}
	t.emit(x, sent, m, sent.ID, stepID(sent.ID, exposure.Resolved, m.Event.ID, sent.Round))
	sent.Closed = true
}
