package exposure

import (
	"slices"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// A keeper sums up events that are not kept.
type keeper struct {
	horizon time.Time // what is older is not kept
	dim     time.Time // what is older is no longer redelivered, late or not
	marks   []placed
	kept    map[*person]bool // of whom an exposure is kept
	renamed time.Time        // the first rename that is kept with one
}

// placed is a mark with the place it had in the fold.
type placed struct {
	mark
	p      *person
	begins bool // no mark: an exposure that is kept begins here
	stale  bool // of use only where it contradicts an earlier mark that is left
}

// keep notes an event that is kept for its exposure.
func (k *keeper) keep(it *item) {
	if it.p != nil {
		k.kept[it.p] = true
	}
	if it.ev == it.x.first {
		k.marks = append(k.marks, placed{begins: true})
	}
	if it.ev.Name == trail.UpdateUser && k.renamed.IsZero() {
		k.renamed = it.ev.Time
	}
}

// leave makes a mark of what an event proved.
func (k *keeper) leave(it *item) {
	if it.p == nil || it.p.key == "" {
		return
	}
	m, ok := markOf(it.ev)
	if !ok && it.x != nil && it.ev.Name == trail.ConsoleLogin { // no device was active
		m, ok = mark{ID: it.ev.ID, Time: it.ev.Time, Name: trail.DeactivateMFADevice, User: it.ev.User}, true
	}
	if m.User == "" {
		m.User = it.name
	}
	if ok {
		k.marks = append(k.marks, placed{mark: m, p: it.p})
	}
	if !it.ev.Failed() && hasPassword(it.ev) {
		m = mark{ID: it.ev.ID, Time: it.ev.Time, Name: trail.UpdateLoginProfile, User: it.ev.User}
		k.marks = append(k.marks, placed{mark: m, p: it.p})
	}
}

// hasPassword reports whether a success shows that the user has a password.
func hasPassword(e *trail.Event) bool {
	switch e.Name {
	case trail.CreateLoginProfile, trail.UpdateLoginProfile, trail.ConsoleLogin, trail.CheckMfa:
		return true
	}
	return false
}

// compact leaves, of each device, what was proved last, now and when each
// exposure that is kept began, and of each person what still matters: devices
// known active and a password deleted for as long as the person lives, all else for as long as a late
// record could be about it. It is called once.
func (k *keeper) compact(gone map[string]bool) []mark {
	proved := map[*person]bool{}
	cleared := map[*person]bool{}
	closed := map[*person]bool{} // it is known whether there is a password
	known := map[string]bool{}   // by serial: a device is one person's at a time
	left := make([]placed, 0, len(k.marks))
	for i := len(k.marks) - 1; i >= 0; i-- {
		m := k.marks[i]
		if m.begins {
			clear(proved)
			clear(cleared)
			clear(closed)
			clear(known)
			continue
		}
		ended := m.p.ended != nil && gone[m.p.ended.ev.ID] && !k.kept[m.p]
		old := m.Time.Before(k.dim)
		stays := true
		switch m.Name {
		case trail.DeleteLoginProfile, trail.UpdateLoginProfile:
			stays = !ended && !closed[m.p]
			closed[m.p] = true
		case trail.CheckMfa:
			stays = !ended && !old && !proved[m.p]
			proved[m.p] = true
		case trail.EnableMFADevice, trail.ResyncMFADevice:
			if m.Serial == "" {
				stays = !ended && !old && !proved[m.p]
				proved[m.p] = true
				break
			}
			stays = !known[m.Serial]
			known[m.Serial] = true
			if ended || cleared[m.p] { // no longer active, nor anybody else's
				m.Name, m.stale = trail.DeactivateMFADevice, true
			}
		case trail.DeactivateMFADevice:
			m.stale = ended || old
			if m.Serial == "" {
				stays = !cleared[m.p]
				cleared[m.p] = true
				break
			}
			stays = !known[m.Serial]
			known[m.Serial] = true
		}
		if stays {
			left = append(left, m)
		}
	}
	slices.Reverse(left)
	return k.settle(left)
}

// settle carries out renames that are old instead of remembering them, and
// forgets old beginnings and ends of lives, unless something is kept of a person
// from under another name: then from there on all are needed.
func (k *keeper) settle(left []placed) []mark {
	var marks []mark
	var of []*person
	now := map[*person]string{} // the name each person has
	needed := false
	active := map[string]bool{}   // what the marks say so far, by serial
	actives := map[*person]bool{} // and of whom
	closed := map[*person]bool{}  // the password is deleted
	ends := map[string]bool{}
	for p := range k.kept {
		if p.ended != nil {
			ends[p.ended.ev.ID] = true
		}
	}
	for _, m := range left {
		needed = needed || !k.renamed.IsZero() && !m.Time.Before(k.renamed)
		old := m.Time.Before(k.dim) && !needed
		if name, ok := now[m.p]; ok && m.User != "" && m.Name != trail.CreateUser && m.Name != trail.DeleteUser {
			m.User = name
		}
		switch m.Name {
		case trail.CreateUser, trail.DeleteUser:
			if old && !ends[m.ID] {
				continue
			}
		case trail.UpdateUser:
			if m.NewUser == "" || foldName(m.NewUser) == foldName(m.User) {
				continue
			}
			now[m.p] = m.NewUser
			if old && !k.kept[m.p] {
				for i := range marks {
					if of[i] == m.p && marks[i].User != "" {
						marks[i].User = m.NewUser
					}
				}
				continue
			}
			needed = true
		case trail.DeleteLoginProfile:
			closed[m.p] = true
		case trail.UpdateLoginProfile:
			if !closed[m.p] {
				continue
			}
			closed[m.p] = false
		case trail.EnableMFADevice, trail.ResyncMFADevice:
			active[m.Serial], actives[m.p] = true, true
		case trail.DeactivateMFADevice:
			if m.stale && !active[m.Serial] && (m.Serial != "" || !actives[m.p]) {
				continue
			}
			delete(active, m.Serial)
		}
		marks, of = append(marks, m.mark), append(of, m.p)
	}
	return marks
}

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
