package exposure

import (
	"time"
)

// Campaign is the campaign that an exposure or an attempt is part of.
type Campaign struct {
	ID      string
	Account string    // that its alerts are about
	Since   time.Time // the hit that made it one: its delays count from it
}

// Wiped reports whether the actor of the removal deleted the user, too, and is no
// offboarder (J16).
func (x *Exposure) Wiped() bool {
	last := &x.Steps[len(x.Steps)-1]
	if x.Resolution != UserDeleted || x.openSince.IsZero() || x.ExploitedOrChanged() || anonymous(&x.Actor) ||
		actorKey(&last.Event.Actor) != actorKey(&x.Actor) {
		return false
	}
	return !x.policy.matches(x.policy.Offboarders, x.first)
}

// CountsForCampaign reports whether x counts towards a campaign: the user lost
// the last known device, no planned change matches, and it is neither an
// off-boarding nor a replacement within the grace, nor waiting to turn out as
// one. A notified exposure no longer waits; otherwise an actor could undo a
// campaign by deleting passwords.
func (x *Exposure) CountsForCampaign(notified bool, now time.Time) bool {
	switch {
	case x.openSince.IsZero() || x.PlannedReason() != 0 || anonymous(&x.Actor):
		return false
	case x.ExploitedOrChanged():
		return true
	case x.Wiped():
		return true
	case x.Resolution == UserDeleted, x.ResolvedAt != nil && x.ResolvedAt.Sub(x.openSince) <= x.policy.Grace:
		return false
	}
	waits := x.offboarded && x.Open() && !notified && !x.privileged && x.User != ""
	return !waits || now.IsZero() || !now.Before(x.OpenedAt.Add(offboardingTime))
}

// Whose names the identity of x by its last name and its end.
func (x *Exposure) Whose() string {
	p := x.identity
	switch {
	case p.key == "":
		return x.ID
	case p.ended != nil:
		return ID("identity", x.Partition, x.Account, p.key, p.ended.ev.ID)
	}
	return ID("identity", x.Partition, x.Account, p.key)
}
