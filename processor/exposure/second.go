package exposure

import "github.com/mfawatch/mfawatch/processor/trail"

// orderSecond moves to place i what has to be folded before the item there. The log
// does not tell the order within a second, in which an intruder may make several calls:
// names pass on as AWS allows it, and the worse reading is taken of the rest.
func (f *folder) orderSecond(i int) {
	it := &f.items[i]
	switch p := f.names[FoldName(it.ev.User)]; {
	case it.ev.Failed(), it.rank > ranks[trail.CheckMfa]:
		return
	case it.rank >= ranks[trail.EnableMFADevice] && (p == nil || p.open == nil || it.rank < ranks[trail.CheckMfa] && p.open.ExploitedOrChanged()):
		return // it ends nothing
	}
	end := i + 1
	for end < len(f.items) && f.items[end].sec == f.items[i].sec {
		end++
	}
	for range end - i { // once each, should they go round in a circle
		j := i + 1
		for j < end && !f.precedes(f.items[j].ev, f.items[i].ev) {
			j++
		}
		if j == end {
			return
		}
		first := f.items[j]
		copy(f.items[i+1:j+1], f.items[i:j])
		f.items[i] = first
	}
}

// precedes reports whether o, an event of the second of e that is ranked after it,
// comes before it all the same.
func (f *folder) precedes(o, e *trail.Event) bool {
	if o.Failed() || o.User == "" {
		return false
	}
	of := FoldName(o.User)
	switch e.Name {
	case trail.CreateUser: // the name was free
		return o.Name == trail.UpdateUser && of == FoldName(e.User) && f.lives(of)
	case trail.UpdateUser:
		to := FoldName(e.NewUser)
		switch o.Name {
		case trail.DeleteUser:
			return of == to
		case trail.UpdateUser:
			from := FoldName(e.User)
			return of == to && f.lives(to) || FoldName(o.NewUser) == from && of != from && !f.lives(from)
		}
	case trail.EnableMFADevice, trail.ResyncMFADevice, trail.CheckMfa, trail.ConsoleLogin:
		if Rank(e) > ranks[trail.CheckMfa] || f.names[of] != f.names[FoldName(e.User)] {
			return false
		}
		does, _ := effectOf(o)
		return does.changes || o.Name == trail.ConsoleLogin && Rank(o) > ranks[trail.CheckMfa]
	}
	return false
}

// lives reports whether a user is known to have the folded name now.
func (d *directory) lives(name string) bool {
	p := d.names[name]
	return p != nil && p.key == name && p.ended == nil
}
