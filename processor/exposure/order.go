package exposure

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// ranks order events within one second, where the log cannot tell which came
// first. The worse reading is taken: a device that was used or enabled in the
// second of a deactivation does not end it (R21, R27), a sign-in without a
// device makes use of it (R26), and another device's Enable is a replacement
// (R31).
var ranks = map[string]uint8{
	trail.CreateUser:             1,
	trail.UpdateUser:             2,
	trail.CreateVirtualMFADevice: 3,
	trail.EnableMFADevice:        4,
	trail.ResyncMFADevice:        5,
	trail.CheckMfa:               6, // and ConsoleLogin with a device
	trail.DeactivateMFADevice:    7,
	trail.DeleteVirtualMFADevice: 8,
	trail.CreateLoginProfile:     9,
	trail.UpdateLoginProfile:     9,
	trail.DeleteLoginProfile:     9,
	trail.CreateAccessKey:        9,
	trail.UpdateAccessKey:        9,
	trail.DeleteAccessKey:        9,
	trail.AttachUserPolicy:       10,
	trail.PutUserPolicy:          10,
	trail.AddUserToGroup:         10,
	trail.ConsoleLogin:           11,
	trail.DeleteUser:             12,
}

// rank is an event's place within its second; 0 for what is not folded.
func rank(e *trail.Event) uint8 {
	r := ranks[e.Name]
	if e.Name == trail.ConsoleLogin && e.MFAUsed != nil && *e.MFAUsed {
		return ranks[trail.CheckMfa]
	}
	return r
}

// An item is an event in its place, with what the fold made of it.
type item struct {
	ev   *trail.Event
	sec  int64
	rank uint8
	mark bool      // stands for an event that is no longer kept
	p    *person   // whom it concerns
	name string    // that person's name then, if only the serial told whom
	x    *Exposure // what it belongs to
	a    *Attempt  // what it belongs to, if it failed
}

// identity is what makes an event: its ID, and its name lest records that were
// given one ID by hand hide each other.
type identity struct{ id, name string }

// arrange sorts events and marks into the order in which they are folded, each
// event once (R29). A mark stands before a copy of its event: that event has had
// its effect.
func arrange(events []*trail.Event, marks []mark) []item {
	items := make([]item, 0, len(events)+len(marks))
	at := make(map[identity]int, len(events)+len(marks))
	marked := make(map[string]bool, len(marks))
	for _, m := range marks {
		e := m.event()
		marked[e.ID] = true
		items = append(items, item{ev: e, sec: e.Time.Unix(), rank: rank(e), mark: true})
	}
	for _, e := range events {
		if e == nil {
			continue
		}
		r := rank(e)
		if r == 0 || marked[e.ID] {
			continue
		}
		it := item{ev: e, sec: e.Time.Unix(), rank: r}
		is := identity{e.ID, e.Name}
		i, known := at[is]
		switch {
		case !known:
			at[is] = len(items)
			items = append(items, it)
		case compareCopies(e, items[i].ev) < 0:
			items[i] = it
		}
	}
	slices.SortFunc(items, func(a, b item) int {
		if c := cmp.Compare(a.sec, b.sec); c != 0 {
			return c
		}
		if c := cmp.Compare(a.rank, b.rank); c != 0 {
			return c
		}
		return cmp.Or(strings.Compare(a.ev.ID, b.ev.ID), strings.Compare(a.ev.Name, b.ev.Name))
	})
	return items
}

// compareCopies orders the copies of one event, of which the first is taken:
// by origin, and, should an ID have been used twice, by content.
func compareCopies(a, b *trail.Event) int {
	return cmp.Or(
		strings.Compare(a.Origin, b.Origin),
		a.Time.Compare(b.Time),
		strings.Compare(a.Name, b.Name),
		strings.Compare(a.User, b.User),
		strings.Compare(a.NewUser, b.NewUser),
		strings.Compare(a.Serial, b.Serial),
		strings.Compare(a.ErrorCode, b.ErrorCode),
		strings.Compare(a.Actor.ARN, b.Actor.ARN),
		strings.Compare(a.Actor.SourceIP, b.Actor.SourceIP),
		bytes.Compare(a.Raw, b.Raw),
	)
}
