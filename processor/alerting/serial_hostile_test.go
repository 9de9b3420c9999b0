package alerting

import (
	"fmt"
	"testing"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// R5, R12: a record has the serial and the name as the caller wrote them. The removal
// of a user's only device is one, in whatever case: read one by one, together, and
// after what was known is compacted.
func TestR12_SerialsInAnotherCase(t *testing.T) {
	for _, c := range []struct{ events, want string }{
		{"0 enable bob serial=Phone by=bob self id=a; %d deactivate BOB serial=pHONE by=mallory id=b", "BOB opened high"},
		{"0 login+ bob serial=PHONE by=bob self id=a; %d deactivate bob serial=phone by=mallory id=b", "bob opened high"},
		{"0 enable bob serial=PHONE by=bob self id=a; %d deletevirtual - serial=phone by=mallory id=b", "bob opened high"},
	} {
		for _, from := range []int{600, 60 * 86400, 120 * 86400} {
			events := script(t, fmt.Sprintf(c.events, from))
			d := newTestAccount(t)
			d.arrive(events[0].Time, events[0])
			for now := 86400; now < from; now += 86400 {
				d.arrive(at(now))
			}
			one := d.arrive(events[1].Time, events[1])
			for _, all := range [][]*exposure.Alert{one, playLanes(exposure.DefaultPolicy(), 2, events)} {
				if len(all) != 1 || fmt.Sprintf("%s %s %s", *all[0].User, all[0].Step, all[0].Severity) != c.want {
					t.Errorf("%s at %d: got %s, want %s", c.events, from, show(all), c.want)
				}
			}
		}
	}
}

// J1, J9: nor does a device change hands, or prove itself, by being written otherwise.
func TestJ1_AForeignDeviceInAnotherCase(t *testing.T) {
	playMarked(t, exposure.DefaultPolicy(),
		arrival{5, "0 deactivate bob serial=OWN by=mallory id=a", "bob opened@0 high"},
		arrival{15, "10 login+ bob serial=own by=bob self id=b", ""},
		arrival{205, "200 enable bob serial=EVIL by=mallory id=c", "bob suspect@200 high"},
		arrival{305, "300 enable bob serial=NEW by=bob self id=d", ""},
		arrival{405, "400 deactivate bob serial=evil by=ann id=e", "bob resolved@400 info replaced"})
}
