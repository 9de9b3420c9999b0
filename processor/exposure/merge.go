package exposure

import (
	"slices"
	"strings"
)

// Merge returns the State of the subject that two subjects have become. The
// next Notify folds their events together: what was alerted of either keeps its
// ID, and an exposure that has become part of another one is resolved.
func (s State) Merge(t State) State {
	m := State{
		delivered: slices.Concat(s.delivered, t.delivered),
		attempts:  slices.Concat(s.attempts, t.attempts),
		campaigns: slices.Concat(s.campaigns, t.campaigns),
		members:   slices.Concat(s.members, t.members),
		tallies:   slices.Concat(s.tallies, t.tallies),
		memory:    s.memory.Merge(t.memory),
	}
	slices.SortFunc(m.delivered, func(a, b delivered) int {
		return inOrder(a.OpenedAt, b.OpenedAt, a.ID, b.ID)
	})
	slices.SortStableFunc(m.attempts, func(a, b deliveredAttempt) int { return inOrder(a.At, b.At, a.ID, b.ID) })
	slices.SortStableFunc(m.campaigns, func(a, b deliveredCampaign) int { return inOrder(a.First, b.First, a.ID, b.ID) })
	slices.SortFunc(m.members, func(a, b member) int { return strings.Compare(a.Exposure, b.Exposure) })
	return m
}
