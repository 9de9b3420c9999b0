package exposure

import (
	"time"

	"github.com/mfawatch/mfawatch/processor/rule"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// PlannedChange is a planned change. Steps that it matches are sent to machine
// sinks alone, unless the exposure is exploited or changed, or an identity that
// the change does not announce enabled the device. An exposure that is still open
// when the change is over is alerted to people after all.
type PlannedChange struct {
	// Match sees the event: actor, user, address and device.
	Match *rule.Matcher
	// From and Until bound the time of the event; a zero From is any time
	// before Until.
	From, Until time.Time
	Approver    string
	Ticket      string
}

// plannedOverdueAfter is how long after an end CloudTrail delivers it.
const plannedOverdueAfter = 15 * time.Minute

// ID identifies the planned change until its content changes.
func (e *PlannedChange) ID() string {
	from := ""
	if !e.From.IsZero() {
		from = e.From.UTC().Format(time.RFC3339)
	}
	return ID("expected", e.Match.String(), from, e.Until.UTC().Format(time.RFC3339), e.Approver, e.Ticket)
}

// OverAt returns from when on every event within the time is known.
func (e *PlannedChange) OverAt() time.Time { return e.Until.Add(plannedOverdueAfter) }

// Over reports whether every event within the time is known.
func (e *PlannedChange) Over(now time.Time) bool { return !now.Before(e.OverAt()) }

// matches reports whether e plans the event. Root must be named: an entry that
// matches any user does not match root.
func (e *PlannedChange) matches(at time.Time, f *rule.Facts) bool {
	if at.Before(e.From) || at.After(e.Until) || !e.Match.Match(f) {
		return false
	}
	if f.Root {
		anybody := *f
		anybody.User = "\x00" // no user's name
		return !e.Match.Match(&anybody)
	}
	return true
}

// plannedChange returns the planned change that matches the event; nil if none
// does.
func (p *Policy) plannedChange(e *trail.Event, user, path string) *PlannedChange {
	if len(p.PlannedChanges) == 0 {
		return nil
	}
	f := p.plannedFacts(e, user, path)
	for _, x := range p.PlannedChanges {
		if x.matches(e.Time, &f) {
			return x
		}
	}
	return nil
}

func (p *Policy) plannedFacts(e *trail.Event, user, path string) rule.Facts {
	f := FactsOf(e)
	f.User, f.Path = user, path
	f.AccountName, f.AccountClass = p.Accounts[e.Account].Name, p.Accounts[e.Account].Class
	f.Privileged = f.Root
	return f.Facts
}

// matchPlanned finds the planned change of a deactivation. A deactivation that
// joins an exposure has to match the same one.
func (f *folder) matchPlanned(x *Exposure, e *trail.Event, joins bool) {
	switch {
	case !joins:
		x.planned = f.policy.plannedChange(e, x.User, x.path)
	case x.planned != nil:
		facts := f.policy.plannedFacts(e, x.User, x.path)
		if !x.planned.matches(e.Time, &facts) {
			x.planned = nil
		}
	}
}

// PlannedReason returns the reason expected if it applies: never to an exposure
// that is exploited or changed, or whose device another identity enabled that is
// not announced.
func (x *Exposure) PlannedReason() Reasons {
	if x.planned != nil && !x.ExploitedOrChanged() && !x.wasForeign {
		return HasExpected
	}
	return 0
}
