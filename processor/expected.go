package processor

import (
	"slices"
	"sync"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// The states of an entry of expected changes.
const (
	expectedAhead   = "ahead"
	expectedRunning = "running" // and nothing came of it yet
	expectedUsed    = "used"
	expectedUnused  = "unused" // and its time is over
)

var expectedStates = []string{expectedAhead, expectedRunning, expectedUsed, expectedUnused}

// announced is what has become of the entries of expected changes, by their IDs.
type announced struct {
	mu       sync.Mutex
	used     map[string]bool // nil: the journal was not asked yet
	reported map[string]bool // as unused
}

// noteExpected notes that an entry came to be used, and reports what is overdue.
func (p *Processor) noteExpected(a *exposure.Alert) {
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
		p.log.Warn("an expected change is overdue: the exposure is still open, and people are told of it now",
			"ticket", a.Expected.Ticket, "approver", a.Expected.Approver, "until", a.Expected.Until, "account", a.Account, "title", a.Title)
	}
}

// reportExpected counts the entries by state, and logs each one whose time is
// over and that nothing came of, once.
func (p *Processor) reportExpected(now time.Time) {
	policy := p.policy.Load()
	p.changes.mu.Lock()
	defer p.changes.mu.Unlock()
	if p.changes.used == nil {
		if len(policy.Expected) == 0 {
			return
		}
		used, err := p.journal.Announced()
		if err != nil {
			p.log.Error("the journal could not say which expected changes happened; it is asked again", "err", err)
			return
		}
		p.changes.used, p.changes.reported = used, map[string]bool{}
	}
	states := map[string]float64{}
	for _, e := range policy.Expected {
		id := e.ID()
		state := expectedRunning
		switch {
		case p.changes.used[id]:
			state = expectedUsed
		case e.Over(now):
			state = expectedUnused
			if !p.changes.reported[id] {
				p.changes.reported[id] = true
				p.log.Warn("an expected change did not happen and its time is over: remove the entry, or find out why",
					"ticket", e.Ticket, "approver", e.Approver, "until", e.Until, "match", e.Match.String())
			}
		case now.Before(e.From):
			state = expectedAhead
		}
		states[state]++
	}
	for _, state := range expectedStates {
		p.metrics.expected.WithLabelValues(state).Set(states[state])
	}
}
