package exposure

import (
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// The deletion of a device belongs to the exposure that lost it (R22), in the same
// second too (R31), and to nothing else.
func TestR22_DeletionIsAttached(t *testing.T) {
	call := func(second int64, name, id, user, serial string) *trail.Event {
		return &trail.Event{ID: id, Time: time.Unix(second, 0), Name: name, User: user, Serial: serial}
	}
	const deactivate, remove, enable = trail.DeactivateMFADevice, trail.DeleteVirtualMFADevice, trail.EnableMFADevice
	for _, c := range []struct {
		name     string
		events   []*trail.Event
		attached []bool // each, in order, to the first exposure
	}{
		{"to what lost the device, and to nothing else",
			[]*trail.Event{call(0, deactivate, "1", "bob", "A"), call(1, remove, "2", "", "A"), call(2, remove, "3", "", "B")}, []bool{true, true, false}},
		{"not to what lost the former device of that name",
			[]*trail.Event{call(0, deactivate, "1", "bob", "A"), call(3, enable, "2", "eve", "A"), call(4, remove, "3", "", "A")}, []bool{true, false, false}},
		{"in the same second", []*trail.Event{call(0, remove, "1", "", "A"), call(0, deactivate, "2", "bob", "A")}, []bool{true, true}},
	} {
		f := fold(c.events, Memory{}, &Policy{}, time.Time{})
		for i, want := range c.attached {
			if got := f.items[i].x == f.exposures[0]; got != want {
				t.Errorf("%s: event %d is attached: %v", c.name, i, got)
			}
		}
	}
}
