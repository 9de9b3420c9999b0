package alerting

import (
	"slices"
	"strings"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// retain decides what the account keeps: events within the retention or of an
// exposure that is open or within it, the records of delivered alerts about
// those, and a tombstone of each dropped event that is still needed as a proof.
func (t *notifier) retain(f *exposure.Subject, events []*trail.Event, assigned assignment, all []*delivered, lanes laneState, attempts []deliveredAttempt) (State, []string) {
	cutoff := t.cutoff()
	kept := make(map[*exposure.Exposure]bool, len(f.Exposures))
	here := make(map[*delivered]bool, len(f.Exposures))
	ids := make(map[string]bool, len(f.Exposures))
	for _, x := range f.Exposures {
		t := assigned.records[x]
		here[t] = true
		if x.Open() || !x.End().Before(cutoff) || !t.At.Before(cutoff) {
			kept[x], ids[x.ID] = true, true
		}
	}

	st := State{members: lanes.members, tallies: lanes.tallies}
	for _, w := range lanes.campaigns {
		if !w.Closed || !w.At.Before(cutoff) {
			st.campaigns, ids[w.ID] = append(st.campaigns, *w), true
		}
	}
	for _, t := range all {
		if here[t] && ids[t.ID] || !t.At.Before(cutoff) {
			st.delivered = append(st.delivered, *t)
		}
	}
	slices.SortFunc(st.delivered, func(a, b delivered) int {
		if c := a.OpenedAt.Compare(b.OpenedAt); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	for _, a := range attempts {
		if !a.At.Before(cutoff) {
			st.attempts = append(st.attempts, a)
		}
	}

	memory, gone := f.Compact(kept, cutoff, t.now)
	st.memory = memory
	var drop []string
	for _, e := range events {
		if e == nil {
			continue
		}
		switch {
		case e.Name == trail.Sighting:
			if lanes.kept[e.ID] {
				continue
			}
		case e.Name == trail.Deadline, e.Name == trail.Membership && !t.superseded[e.ID]:
			if !e.Time.Before(cutoff) || ids[e.Exposure] {
				continue
			}
		case e.Name == trail.Membership:
		case exposure.Rank(e) == 0: // not folded
			if !e.Time.Before(cutoff) {
				continue
			}
		case !gone[e.ID]:
			continue
		default:
			delete(gone, e.ID) // a copy is not listed again
		}
		drop = append(drop, e.ID)
	}
	return st, drop
}
