package processor

import (
	"slices"
	"sync"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// The states of a planned change.
const (
	upcomingChange = "ahead"
	activeChange   = "running" // and no exposure matched it yet
	usedChange     = "used"
	unusedChange   = "unused" // and its time is over
)

var plannedStates = []string{upcomingChange, activeChange, usedChange, unusedChange}

// planned records which planned changes were used, by their IDs.
type planned struct {
	mu       sync.Mutex
	used     map[string]bool // nil: the journal was not asked yet
	reported map[string]bool // as unused
}

// recordPlanned records that a planned change was used, and reports an overdue one.
func (p *Processor) recordPlanned(a *exposure.Alert) {
	if a.Expected == nil {
		return
	}
	p.planned.mu.Lock()
	if p.planned.used != nil {
		p.planned.used[a.Expected.Entry] = true
	}
	p.planned.mu.Unlock()
	if a.Step == exposure.Opened && slices.Contains(a.Reasons, exposure.ReasonOverdue) {
		p.metrics.overdue.Inc()
		p.log.Warn("a planned change is overdue: the exposure is still open, and human sinks are alerted now",
			"ticket", a.Expected.Ticket, "approver", a.Expected.Approver, "until", a.Expected.Until, "account", a.Account, "title", a.Title)
	}
}

// reportPlanned counts the planned changes by state, and logs each one that ended
// unused, once.
func (p *Processor) reportPlanned(now time.Time) {
	policy := p.policy.Load()
	p.planned.mu.Lock()
	defer p.planned.mu.Unlock()
	if p.planned.used == nil {
		if len(policy.Expected) == 0 {
			return
		}
		used, err := p.journal.Announced()
		if err != nil {
			p.log.Error("the journal could not list the planned changes that were used; mfawatch retries", "err", err)
			return
		}
		p.planned.used, p.planned.reported = used, map[string]bool{}
	}
	states := map[string]float64{}
	for _, e := range policy.Expected {
		id := e.ID()
		state := activeChange
		switch {
		case p.planned.used[id]:
			state = usedChange
		case e.Over(now):
			state = unusedChange
			if !p.planned.reported[id] {
				p.planned.reported[id] = true
				p.log.Warn("a planned change was not used and its time is over: remove the entry, or find out why",
					"ticket", e.Ticket, "approver", e.Approver, "until", e.Until, "match", e.Match.String())
			}
		case now.Before(e.From):
			state = upcomingChange
		}
		states[state]++
	}
	for _, state := range plannedStates {
		p.metrics.planned.WithLabelValues(state).Set(states[state])
	}
}
