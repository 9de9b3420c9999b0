package exposure

import (
	"slices"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// keep says what is remembered: the events that lie within the retention or
// belong to an exposure that does or is open, what was told of those, and a mark
// of each event that proved something about a device which is still of use.
func keep(f *folder, events []*trail.Event, n names, all []*told, waves []*toldWave, attempts []toldAttempt, now time.Time, retention time.Duration) (State, []string) {
	k := keeper{kept: map[*person]bool{}}
	if retention > 0 {
		k.horizon, k.dim = now.Add(-retention), now.Add(-2*retention)
	}
	kept := make(map[*Exposure]bool, len(f.exposures))
	here := make(map[*told]bool, len(f.exposures))
	ids := make(map[string]bool, len(f.exposures))
	for _, x := range f.exposures {
		t := n.of[x]
		here[t] = true
		if x.Open() || !x.end().Before(k.horizon) || !t.At.Before(k.horizon) || x.wave != nil && x.wave.Open > 0 {
			kept[x], ids[x.ID] = true, true
		}
	}

	st := State{paths: f.known}
	for _, w := range waves {
		if !w.Closed || !w.At.Before(k.horizon) {
			st.waves, ids[w.ID] = append(st.waves, *w), true
		}
	}
	for _, t := range all {
		if here[t] && ids[t.ID] || !t.At.Before(k.horizon) {
			st.told = append(st.told, *t)
		}
	}
	slices.SortFunc(st.told, func(a, b told) int {
		if c := a.OpenedAt.Compare(b.OpenedAt); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	for _, a := range attempts {
		if !a.At.Before(k.horizon) {
			st.attempts = append(st.attempts, a)
		}
	}

	gone := make(map[string]bool)
	for i := range f.items {
		it := &f.items[i]
		if it.mark || it.ev.Time.Before(k.horizon) && !kept[it.x] {
			gone[it.ev.ID] = true
			k.leave(it)
		} else if kept[it.x] {
			k.keep(it)
		}
	}
	st.marks = k.compact(gone)

	var drop []string
	for _, e := range events {
		if e == nil {
			continue
		}
		switch {
		case e.Name == trail.Deadline:
			if !e.Time.Before(k.horizon) || ids[e.Exposure] {
				continue
			}
		case rank(e) == 0: // nothing that is folded
			if !e.Time.Before(k.horizon) {
				continue
			}
		case !gone[e.ID]:
			continue
		default:
			delete(gone, e.ID) // a copy is not named again
		}
		drop = append(drop, e.ID)
	}
	return st, drop
}
