package exposure

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// compactor turns dropped events into tombstones.
type compactor struct {
	cutoff           time.Time // older events are dropped
	redeliveryCutoff time.Time // older events are no longer redelivered, not even late
	tombstones       []placedTombstone
	kept             map[*identity]bool // the identities of which an exposure is kept
	renamed          time.Time          // the first rename that is kept with an exposure
}

// placedTombstone is a tombstone in its place in the fold.
type placedTombstone struct {
	Tombstone
	p      *identity
	begins bool // not a tombstone: a kept event here depends on what is known of devices
	stale  bool // needed only to contradict an earlier tombstone that stays
	needed bool // a kept exposure depends on it
	kept   bool // not a tombstone: a rename or a proof of a device that is kept as an event
}

// keepEvent records an event that is kept for its exposure.
func (k *compactor) keepEvent(it *item) {
	if it.p != nil {
		k.kept[it.p] = true
	}
	if n := it.ev.Name; it.ev == it.x.first || n == trail.DeactivateMFADevice || n == trail.DeleteVirtualMFADevice ||
		n == trail.EnableMFADevice || n == trail.ResyncMFADevice {
		k.tombstones = append(k.tombstones, placedTombstone{begins: true})
	}
	if p := it.ev.Name; p == trail.EnableMFADevice || p == trail.ResyncMFADevice || it.activated {
		k.tombstones = append(k.tombstones, placedTombstone{Tombstone: Tombstone{Serial: FoldName(it.ev.Serial)}, p: it.p, kept: true})
	}
	if it.ev.Name == trail.UpdateUser && it.ev.NewUser != "" {
		k.tombstones = append(k.tombstones, placedTombstone{Tombstone: Tombstone{NewUser: it.ev.NewUser}, p: it.p, kept: true})
	}
	before := it.ev.Time.Before(it.x.OpenedAt) // of its prelude, and named as it was then
	if (it.ev.Name == trail.UpdateUser || before) && (k.renamed.IsZero() || it.ev.Time.Before(k.renamed)) {
		k.renamed = it.ev.Time
	}
}

// bury adds the tombstone of a dropped event.
func (k *compactor) bury(it *item, needed bool) {
	if it.p == nil || it.p.key == "" {
		return
	}
	m, ok := tombstoneOf(it.ev)
	m.Foreign, m.EnabledByAnother, m.Elsewhere = it.foreign, it.another, it.elsewhere
	m.Privileged = m.Name == trail.UpdateUser && m.NewUser != "" && it.p.matchesPrivileged
	if it.learned {
		m.From = it.ev.Actor.SourceIP
	}
	if !ok && it.x != nil && it.ev.Name == trail.ConsoleLogin && !it.ev.Failed() { // no device was active
		m, ok = Tombstone{ID: it.ev.ID, Time: it.ev.Time, Name: trail.DeactivateMFADevice, User: it.ev.User}, true
	}
	m.User = cmp.Or(m.User, it.name)
	if ok {
		k.tombstones = append(k.tombstones, placedTombstone{Tombstone: m, p: it.p, needed: needed})
	}
	if it.activated {
		m = Tombstone{ID: it.ev.ID, Time: it.ev.Time, Name: trail.ResyncMFADevice, User: it.ev.User, Serial: FoldName(it.ev.Serial)}
		k.tombstones = append(k.tombstones, placedTombstone{Tombstone: m, p: it.p})
	}
	if !it.ev.Failed() && hasPassword(it.ev) {
		m = Tombstone{ID: it.ev.ID, Time: it.ev.Time, Name: trail.UpdateLoginProfile, User: it.ev.User}
		k.tombstones = append(k.tombstones, placedTombstone{Tombstone: m, p: it.p})
	}
}

// hasPassword reports whether a successful event shows that the user has a
// password.
func hasPassword(e *trail.Event) bool {
	switch e.Name {
	case trail.CreateLoginProfile, trail.UpdateLoginProfile, trail.ConsoleLogin, trail.CheckMfa:
		return true
	}
	return false
}

// compact keeps the latest proof of each device, as of now and as of the
// beginning of each kept exposure. Of each identity it keeps active devices and
// a deleted password for its whole incarnation, and everything else while a
// late record could still refer to it. It is called once.
func (k *compactor) compact(gone map[string]bool) []Tombstone {
	type proof struct {
		p      *identity
		prefix netip.Prefix
	}
	proved := map[proof]bool{}
	cleared := map[*identity]bool{}
	reopens := map[*identity]bool{} // what a person closed opens anew
	closed := map[*identity]bool{}  // it is known whether there is a password
	known := map[string]bool{}      // by serial: a device has one owner at a time
	left := make([]placedTombstone, 0, len(k.tombstones))
	for i := len(k.tombstones) - 1; i >= 0; i-- {
		m := k.tombstones[i]
		if m.begins {
			clear(proved)
			clear(cleared)
			clear(closed)
			clear(known)
			continue
		}
		if m.kept {
			left = append(left, m)
			continue
		}
		ended := m.p.ended != nil && gone[m.p.ended.ev.ID] && !k.kept[m.p]
		old := m.Time.Before(k.redeliveryCutoff)
		stays := true
		switch m.Name {
		case trail.DeleteLoginProfile, trail.UpdateLoginProfile:
			stays = !ended && !closed[m.p]
			closed[m.p] = true
		case trail.Closed:
			stays = m.needed || !ended && !old && !reopens[m.p]
			reopens[m.p] = true
		case trail.CheckMfa:
			of := proof{m.p, prefixOf(&trail.Actor{SourceIP: m.From})}
			stays = m.needed || !ended && !old && !proved[of]
			proved[of] = true
		case trail.EnableMFADevice, trail.ResyncMFADevice:
			if m.Serial == "" {
				stays = m.needed || !ended && !old && !proved[proof{p: m.p}]
				proved[proof{p: m.p}] = true
				break
			}
			stays = m.needed || !known[m.Serial]
			known[m.Serial] = true
			if ended || cleared[m.p] { // neither active nor another identity's
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
	return k.applyRenames(left)
}

// applyRenames carries out old renames instead of keeping them, except that a user
// who was privileged under a former name stays so, and drops old
// beginnings and ends of incarnations. If an exposure is kept under an earlier
// name of its identity, everything from that rename on stays.
func (k *compactor) applyRenames(left []placedTombstone) []Tombstone {
	var tombstones []Tombstone
	var of []*identity
	now := map[*identity]string{} // the name of each identity
	needed := false
	active := map[string]bool{}     // by serial, up to this tombstone
	actives := map[*identity]bool{} // the owners
	closed := map[*identity]bool{}  // the password is deleted
	ends := map[string]bool{}
	for p := range k.kept {
		if p.ended != nil {
			ends[p.ended.ev.ID] = true
		}
	}
	for _, m := range left {
		if m.kept {
			if m.NewUser != "" {
				now[m.p], needed = m.NewUser, true
			} else {
				active[m.Serial], actives[m.p] = true, true
			}
			continue
		}
		needed = needed || !k.renamed.IsZero() && !m.Time.Before(k.renamed)
		old := m.Time.Before(k.redeliveryCutoff) && !needed
		if name, ok := now[m.p]; ok && m.User != "" && m.Name != trail.CreateUser && m.Name != trail.DeleteUser {
			m.User = name
		}
		switch m.Name {
		case trail.CreateUser, trail.DeleteUser:
			if old && !ends[m.ID] {
				continue
			}
		case trail.UpdateUser:
			if m.NewUser == "" || FoldName(m.NewUser) == FoldName(m.User) && !m.Privileged {
				continue
			}
			now[m.p] = m.NewUser
			if old && !k.kept[m.p] {
				marked := !m.Privileged || m.p.ended != nil
				for i := range tombstones {
					if of[i] == m.p && tombstones[i].User != "" {
						tombstones[i].User = m.NewUser
					}
					if of[i] == m.p && tombstones[i].Privileged {
						tombstones[i].NewUser, marked = m.NewUser, true
					}
				}
				if marked {
					continue
				}
				m.User = m.NewUser // of the rename, it is kept that the user is privileged
				break
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
		tombstones, of = append(tombstones, m.Tombstone), append(of, m.p)
	}
	return tombstones
}

// Compact returns what has to be remembered of the events that are dropped, and their
// IDs: those before the cutoff that belong to no kept exposure, and those that are only
// counted from now on. It is called once.
func (s *Subject) Compact(kept map[*Exposure]bool, cutoff, now time.Time) (Memory, map[string]bool) {
	f := s.f
	k := compactor{kept: map[*identity]bool{}, cutoff: cutoff}
	if f.policy.Retention > 0 {
		k.redeliveryCutoff = cutoff.Add(-f.policy.Retention)
	}
	m := Memory{Paths: f.known}
	for _, c := range f.counters {
		if !c.To.Before(cutoff) {
			m.Counters = append(m.Counters, c)
		}
	}
	gone := make(map[string]bool)
	for _, id := range f.reduced {
		gone[id] = true
	}
	for i := range f.items {
		it := &f.items[i]
		if it.tombstone || it.ev.Time.Before(cutoff) && !kept[it.x] {
			gone[it.ev.ID] = true
			k.bury(it, kept[it.basis])
		} else if kept[it.x] {
			k.keepEvent(it)
		}
	}
	m.Tombstones = k.compact(gone)
	f.dropGuesses(gone, now)
	return m, gone
}
