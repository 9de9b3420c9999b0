package exposure

// names joins the exposures that the events show to those that were told: what
// has been told keeps its name.
type names struct {
	of      map[*Exposure]*told
	orphans []orphan
}

// An orphan was told as open, and is seen now to be part of another exposure.
type orphan struct {
	told *told
	in   *Exposure
}

// name finds for each exposure what was told of it, by the deactivations they
// share, and gives it the ID under which it was told, else a new one. Where one
// that was told is now two, the first keeps the name; where two are now one, it
// keeps the name of the one that is waited for, else of the first.
func name(exposures []*Exposure, all []*told) names {
	n := names{of: make(map[*Exposure]*told, len(exposures))}
	at := map[string]int{} // by deactivation: the exposure's place
	if len(all) > 0 {
		for i, x := range exposures {
			for _, id := range x.deactivations {
				at[id] = i
			}
		}
	}
	used := make(map[string]bool, len(all))
	for _, t := range all {
		used[t.ID] = true
		first := -1
		for _, id := range t.Deactivations {
			if i, ok := at[id]; ok && (first < 0 || i < first) {
				first = i
			}
		}
		if first < 0 {
			continue
		}
		x := exposures[first]
		loser := t
		if had := n.of[x]; had == nil || t.alive() && !had.alive() {
			n.of[x], loser = t, had
		}
		if loser != nil {
			n.orphans = append(n.orphans, orphan{loser, x})
		}
	}
	for _, x := range exposures {
		if t := n.of[x]; t != nil {
			x.ID = t.ID
			continue
		}
		for used[x.ID] { // another, that it was once part of, was told under it
			x.ID = id("exposure", x.ID, x.first.ID)
		}
		used[x.ID] = true
	}
	return n
}
