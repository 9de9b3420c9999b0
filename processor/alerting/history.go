package alerting

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// History is everything that a set of events shows, whether alerted or not.
type History struct {
	Exposures []*exposure.Exposure // in order of opening
	Attempts  []*exposure.Attempt  // in order of their first event
	Campaigns []*ActorCampaign     // in order of their first exposure
}

// Fold returns the History of any number of accounts. One set of events has one
// History, whatever their order and number of copies (R29, R30). Fold leaves
// the events unchanged; the History shares their memory. It knows neither
// campaigns nor severity rules, which need a Policy.
func Fold(events []*trail.Event) History { return FoldUnder(exposure.Policy{}, events) }

// FoldUnder returns the History of any number of accounts under p, independent of
// time: nothing waits, and nothing is late.
func FoldUnder(p exposure.Policy, events []*trail.Event) History {
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
		f := exposure.FoldSubject(events, exposure.Memory{}, &p, time.Time{})
		h.Exposures = append(h.Exposures, f.Exposures...)
		h.Attempts = append(h.Attempts, f.Attempts...)
	}
	slices.SortFunc(h.Exposures, func(a, b *exposure.Exposure) int {
		return inOrder(a.OpenedAt, b.OpenedAt, a.Partition, b.Partition, a.Account, b.Account, a.ID, b.ID)
	})
	h.findCampaigns(&p)
	slices.SortFunc(h.Attempts, func(a, b *exposure.Attempt) int {
		return inOrder(a.First, b.First, a.Partition, b.Partition, a.Account, b.Account, a.ID, b.ID)
	})
	return h
}

// findCampaigns finds the campaigns of all actors, and finishes the exposures.
func (h *History) findCampaigns(p *exposure.Policy) {
	var all []*sighting
	of := map[string]*exposure.Exposure{}
	for _, x := range h.Exposures {
		of[x.ID] = x
		all = append(all, sightingOf(x, false, time.Time{}))
	}
	attempts := map[string]*exposure.Attempt{}
	for _, a := range h.Attempts {
		if a.CountsForCampaign() {
			attempts[a.ID] = a
			all = append(all, attempted{a}.sighting(a.ID))
		}
	}
	sortSightings(all)
	h.Campaigns = findCampaigns(all, p)
	for _, w := range h.Campaigns {
		for _, s := range w.hits {
			m := &exposure.Campaign{ID: w.ID, Account: w.Account, Since: w.since}
			if s.Kind == denied {
				attempts[s.Exposure].Campaign = m
			} else {
				of[s.Exposure].Campaign = m
			}
		}
		w.Severity, _ = w.severity(exposure.StepCampaign, w.latestStep(), 0)
	}
	for _, x := range h.Exposures {
		x.Finish()
	}
}

// Alerts returns every step of every exposure, campaign and attempt in order of
// time, except escalations, which depend on the time of the call.
func (h History) Alerts() []*exposure.Alert {
	var alerts []*exposure.Alert
	for _, x := range h.Exposures {
		for i := range x.Steps {
			m := &x.Steps[i]
			a := exposed{x}.alert(m, x.ID, stepID(x.ID, m.Step, m.Event.ID, 0), x.PlannedReason())
			if x.Campaign != nil && !x.ExploitedOrChanged() {
				coverBy(a, x.Campaign)
			}
			alerts = append(alerts, a)
		}
	}
	for _, w := range h.Campaigns {
		alerts = append(alerts, w.alert(exposure.StepCampaign, w.latestStep(), stepID(w.ID, exposure.StepCampaign, campaignKey(w.Users, 0), 0), 0))
		if w.Open == 0 && w.kind == removal {
			alerts = append(alerts, w.alert(exposure.Resolved, w.endStep(), stepID(w.ID, exposure.Resolved, campaignKey(w.Users, 0), 0), 0))
		}
	}
	for _, a := range h.Attempts {
		alerts = append(alerts, attempted{a}.alert(0))
	}
	sortAlerts(alerts)
	return alerts
}

// inOrder compares two times, then pairs of strings.
func inOrder(a, b time.Time, pairs ...string) int {
	c := a.Compare(b)
	for i := 0; c == 0 && i < len(pairs); i += 2 {
		c = strings.Compare(pairs[i], pairs[i+1])
	}
	return c
}

// sortAlerts sorts alerts into delivery order: by time, then by step, then by
// ID.
func sortAlerts(alerts []*exposure.Alert) {
	slices.SortStableFunc(alerts, func(a, b *exposure.Alert) int {
		return cmp.Or(
			a.Time.Compare(b.Time),
			cmp.Compare(slices.Index(exposure.Steps, a.Step), slices.Index(exposure.Steps, b.Step)),
			strings.Compare(a.ID, b.ID),
		)
	})
}
