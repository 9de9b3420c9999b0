package exposure

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// A History is what a set of events shows, told or not.
type History struct {
	Exposures []*Exposure // in order of opening
	Attempts  []*Attempt  // in order of their first event
	Campaigns []*Wave     // in order of their first exposure
}

// Fold shows what happened in any number of accounts. One set of events has one
// History, whatever their order and however often each is there (R29, R30). The
// events are not changed, but the History shares their memory. It knows no
// campaigns and no rules: a Policy does.
func Fold(events []*trail.Event) History { return Policy{}.Fold(events) }

// Fold shows what happened in any number of accounts, as the Policy judges it
// without regard to time: nothing waits, and nothing is late.
func (p Policy) Fold(events []*trail.Event) History {
	type account struct{ partition, id string }
	of := map[account][]*trail.Event{}
	for _, e := range events {
		if e != nil {
			k := account{e.Partition, e.Account}
			of[k] = append(of[k], e)
		}
	}
	var h History
	for _, events := range of {
		f := fold(events, State{}, &p, time.Time{})
		h.Campaigns = append(h.Campaigns, f.waves...)
		h.Exposures = append(h.Exposures, f.exposures...)
		h.Attempts = append(h.Attempts, f.attempts...)
	}
	slices.SortFunc(h.Exposures, func(a, b *Exposure) int {
		return inOrder(a.OpenedAt, b.OpenedAt, a.Partition, b.Partition, a.Account, b.Account, a.ID, b.ID)
	})
	sortWaves(h.Campaigns)
	slices.SortFunc(h.Attempts, func(a, b *Attempt) int {
		return inOrder(a.First, b.First, a.Partition, b.Partition, a.Account, b.Account, a.ID, b.ID)
	})
	return h
}

// inOrder compares two times, then pairs of strings.
func inOrder(a, b time.Time, pairs ...string) int {
	c := a.Compare(b)
	for i := 0; c == 0 && i < len(pairs); i += 2 {
		c = strings.Compare(pairs[i], pairs[i+1])
	}
	return c
}

// Alerts is every step of everything, in order of time, without escalations,
// for those depend on when somebody looks.
func (h History) Alerts() []*Alert {
	var alerts []*Alert
	for _, x := range h.Exposures {
		for i := range x.Steps {
			m := &x.Steps[i]
			a := x.alert(m, x.ID, stepID(x.ID, m.Step, m.Event.ID, 0), x.announced())
			if x.wave != nil && !x.used() {
				a.Campaign = x.wave.ID
			}
			alerts = append(alerts, a)
		}
	}
	for _, w := range h.Campaigns {
		alerts = append(alerts, w.alert(Campaign, w.latest(), stepID(w.ID, Campaign, waveKey(w.Users, 0), 0), 0))
		if w.Open == 0 {
			alerts = append(alerts, w.alert(Resolved, w.end(), stepID(w.ID, Resolved, waveKey(w.Users, 0), 0), 0))
		}
	}
	for _, a := range h.Attempts {
		alerts = append(alerts, a.alert(0))
	}
	sortAlerts(alerts)
	return alerts
}

// sortAlerts puts alerts into the order in which they are told: by time, within
// it by step, within it by ID.
func sortAlerts(alerts []*Alert) {
	slices.SortStableFunc(alerts, func(a, b *Alert) int {
		return cmp.Or(
			a.Time.Compare(b.Time),
			cmp.Compare(slices.Index(Steps, a.Step), slices.Index(Steps, b.Step)),
			strings.Compare(a.ID, b.ID),
		)
	})
}
