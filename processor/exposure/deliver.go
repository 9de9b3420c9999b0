package exposure

import (
	"cmp"
	"slices"
	"time"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// An Open is an exposure that is open.
type Open struct {
	ID       string
	Account  string
	User     string // "" when it cannot be known
	Root     bool
	Severity Severity // as things stand
	OpenedAt time.Time
	Campaign string `json:",omitempty"` // that it is one of
}

// An Outcome is what follows from what an account has seen so far.
type Outcome struct {
	// State is to be given to the next call of Tell for the account.
	State State
	// Alerts are to be told now, in this order.
	Alerts []*Alert
	// Deadlines are escalation delays that passed, to be stored with the
	// account's events.
	Deadlines []*trail.Event
	// Drop holds the IDs of events past the retention, to be deleted; what they
	// proved is in State.
	Drop []string
	// Next is when to call Tell again though nothing new came; zero: never.
	Next time.Time
	// Open is what is open now, in order of opening.
	Open []Open
}

// Tell says what has to be told of one account. Events are all that are kept of
// it, in any order, doubled or not, Deadlines among them; st is the State of the
// last Outcome, if there was one. State, Deadlines and Drop are to be stored
// together with Alerts: a call that repeats one whose Outcome is stored tells
// nothing new. The alerts' IDs, and which steps are told in the end, depend on
// the events and the policy alone; now decides what still waits, when an
// escalation is due, what is late and what is past its retention. The events are
// not changed, but alerts share their memory.
func Tell(events []*trail.Event, st State, now time.Time, p Policy) Outcome {
	now = now.UTC().Round(0)
	f := fold(events, st, &p, now)
	t := &teller{now: now, policy: &p, deadlines: numbers(events)}
	if i := slices.IndexFunc(events, func(e *trail.Event) bool { return e != nil }); i >= 0 {
		t.partition, t.account = events[i].Partition, events[i].Account
	}

	before := make([]*told, len(st.told))
	for i := range st.told {
		c := st.told[i]
		c.Events = slices.Clip(c.Events)
		before[i] = &c
	}
	n := name(f.exposures, before)
	waves := nameWaves(f.waves, n.of, st.waves)
	for _, o := range n.orphans {
		t.orphan(o)
	}
	for _, x := range f.exposures {
		said := n.of[x]
		if said == nil {
			said = &told{ID: x.ID}
			n.of[x] = said
			before = append(before, said)
		}
		said.OpenedAt, said.Deactivations = x.OpenedAt, x.deactivations
		t.out.Open = x.listed(t.out.Open)
		t.cover(x, said)
		if until := t.wait(x, said); !until.IsZero() {
			t.look(until)
			continue
		}
		t.tell(x, said)
		t.escalate(x, said)
	}
	t.waves(f.waves, waves)
	attempts := t.attempts(f, st.attempts)
	sortAlerts(t.out.Alerts)
	t.out.State, t.out.Drop = keep(f, events, n, before, waves, attempts, now, p.Retention)
	return t.out
}

// A teller gathers an Outcome.
type teller struct {
	now       time.Time
	policy    *Policy
	deadlines map[string]int // by exposure: the highest number stored
	partition string         // of the account
	account   string
	out       Outcome

	// Of the exposure that is being told:
	again  string  // why it is opened once more, as a sentence before all others
	more   reasons // that lie in the telling
	silent bool    // escalations that are due by now are not told: it is
}

// tell says what was not yet said of an exposure.
func (t *teller) tell(x *Exposure, said *told) {
	if x.Open() && said.Closed { // a late record has shown that it did not end there
		said.Round++
		said.Closed, said.Opened, said.Exploited = false, false, false
	}
	if x.Reduced {
		switch {
		case said.alive():
			t.say(x, said, x.replaced())
			said.Closed = true
		case !said.Reduced && !said.Closed:
			t.say(x, said, &x.Steps[0])
			said.Reduced = true
			said.Events = append(said.Events, x.first.ID)
		}
		return
	}
	// What is over before anybody heard of it is one alert, and one more if it
	// was exploited (R32).
	quiet := x.ResolvedAt != nil && !said.alive()
	leaving := x.leaving && x.quieted() && !quiet && !said.Opened // told as it stands
	heard := make(map[string]bool, len(said.Events))
	for _, id := range said.Events {
		heard[id] = true
	}
	for i := range x.Steps {
		m := &x.Steps[i]
		switch m.Step {
		case Opened:
			if quiet || said.Opened && heard[m.Event.ID] {
				continue
			}
			if said.Opened { // it began earlier than was told
				m = m.as(Updated)
			}
			if leaving {
				m = m.asClosed()
			}
			said.Opened = true
		case Reduced:
			if quiet || said.Reduced || said.Opened || said.Exploited || said.Round > 0 {
				continue
			}
			said.Reduced = true
		case Updated:
			if quiet || heard[m.Event.ID] {
				continue
			}
			if leaving && m.Event.Name == trail.DeleteLoginProfile { // said already
				said.Events = append(said.Events, m.Event.ID)
				continue
			}
		case Exploited:
			if said.Exploited {
				continue
			}
			said.Exploited = true
			if said.Closed { // and is still over: end it once more, lest a channel waits
				t.say(x, said, m)
				said.Closed = false
				said.Round++
				continue
			}
		case Resolved:
			if said.Closed {
				continue
			}
			said.Closed = true
			if quiet && x.foreign() && !said.Exploited {
				m = m.asForeign()
			}
		}
		if (m.Step == Opened || m.Step == Reduced || m.Step == Updated) && !heard[m.Event.ID] {
			said.Events = append(said.Events, m.Event.ID)
		}
		t.say(x, said, m)
	}
}

// say adds an alert.
func (t *teller) say(x *Exposure, said *told, m *Moment) {
	cause, round := m.Event.ID, 0
	switch m.Step {
	case Opened, Exploited, Resolved:
		round = said.Round
	}
	a := t.alert(x, said, m, x.ID, stepID(x.ID, m.Step, cause, round))
	if m.Step == Opened && round > 0 {
		a.Summary = cmp.Or(t.again, "A record that came late shows that it did not end when that was told. ") + a.Summary
	}
}

// alert adds an alert as it has to be told: whether people hear of it, too.
func (t *teller) alert(x *Exposure, said *told, m *Moment, exposure, id string) *Alert {
	more := t.more | t.late(m.Time)
	if said.Expected != "" {
		more |= expected
	}
	a := x.alert(m, exposure, id, more)
	if said.Covered {
		a.Campaign = said.Campaign
	}
	said.At = t.now
	t.out.Alerts = append(t.out.Alerts, a)
	return a
}

// late is the reason of that name, if it is one.
func (t *teller) late(happened time.Time) reasons {
	if after := t.policy.LateAfter; after > 0 && t.now.Sub(happened) >= after {
		return late
	}
	return 0
}

// orphan ends what was told as open and is part of another exposure.
func (t *teller) orphan(o orphan) {
	if o.told.alive() {
		m := o.in.partOf(o.told.OpenedAt)
		a := t.alert(o.in, o.told, m, o.told.ID, stepID(o.told.ID, Resolved, m.Event.ID, o.told.Round))
		a.OpenedAt = &o.told.OpenedAt
	}
	o.told.Closed = true
	o.told.Deactivations = nil // they are the other's
	o.told.At = t.now
}
