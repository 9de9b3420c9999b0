package processor

import (
	"slices"
	"sync"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// The states of a planned change.
const (
	changeUpcoming = "upcoming"
	changeActive   = "active" // without an exposure so far
	changeUsed     = "used"
	changeUnused   = "unused" // expired without an exposure
)

var changeStates = []string{changeUpcoming, changeActive, changeUsed, changeUnused}

// plannedChanges records which planned changes were used, by their IDs.
type plannedChanges struct {
	mu       sync.Mutex
	used     map[string]bool // nil: not read from the journal yet
	reported map[string]bool // as unused
}

// recordPlannedChange marks the planned change of an alert as used, and reports
// an overdue one.
func (p *Processor) recordPlannedChange(a *exposure.Alert) {
	if a.Expected == nil {
		return
	}
	p.changes.mu.Lock()
	if p.changes.used != nil {
		p.changes.used[a.Expected.Entry] = true
	}
	p.changes.mu.Unlock()
	if a.Step == exposure.Opened && slices.Contains(a.Reasons, exposure.ReasonOverdue) {
		p.metrics.overdue.Inc()
		p.log.Warn("planned change is overdue: the exposure is still open; human sinks are alerted now",
			"ticket", a.Expected.Ticket, "approver", a.Expected.Approver, "until", a.Expected.Until, "account", a.Account, "title", a.Title)
	}
}

// reportPlannedChanges counts planned changes by state, and logs each unused one
// once.
func (p *Processor) reportPlannedChanges(now time.Time) {
	policy := p.policy.Load()
	p.changes.mu.Lock()
	defer p.changes.mu.Unlock()
	if p.changes.used == nil {
		if len(policy.PlannedChanges) == 0 {
			return
		}
		used, err := p.journal.PlannedUsed()
		if err != nil {
			p.log.Error("could not read from the journal which planned changes were used; retrying", "err", err)
			return
		}
		p.changes.used, p.changes.reported = used, map[string]bool{}
	}
	states := map[string]float64{}
	for _, e := range policy.PlannedChanges {
		id := e.ID()
		state := changeActive
		switch {
		case p.changes.used[id]:
			state = changeUsed
		case e.Over(now):
			state = changeUnused
			if !p.changes.reported[id] {
				p.changes.reported[id] = true
				p.log.Warn("planned change expired unused: remove the entry, or find out why the change was not made",
					"ticket", e.Ticket, "approver", e.Approver, "until", e.Until, "match", e.Match.String())
			}
		case now.Before(e.From):
			state = changeUpcoming
		}
		states[state]++
	}
	for _, state := range changeStates {
		p.metrics.plannedChanges.WithLabelValues(state).Set(states[state])
	}
}
