package alerting

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// J12: who makes one call again and again on an exposed user makes few critical alerts,
// behind which none of another user would wait: each of the first, then each that doubles
// their number, one by one and in any order.
func TestJ12_ManyChangesAreFewAlerts(t *testing.T) {
	t.Parallel()
	const calls = 300
	events := script(t, "0 deactivate bob serial=A by=mallory id=gone")
	for i := range calls {
		events = append(events, script(t, fmt.Sprintf("%d attach bob by=mallory detail=p%d id=c%03d", 10+i, i%2, i))...)
	}
	for _, n := range []int{1, 40, 1000} {
		d := newTestAccount(t)
		d.policy.EscalateAfter = nil
		var got []*exposure.Alert
		for i := 0; i < len(events); i += n {
			batch := events[i:min(i+n, len(events))]
			got = append(got, d.arrive(batch[len(batch)-1].Time, batch...)...)
		}
		if len(got) != 1+32+3 || got[35].Event.ID != "c255" || got[35].Severity != exposure.Critical || !strings.Contains(got[35].Summary, "It is change 256") {
			t.Errorf("%d at a time: %d alerts: %s", n, len(got), show(got))
		}
	}
	want := asJSON(t, Fold(events).Alerts())
	r := rand.New(rand.NewPCG(12, 12))
	if got := asJSON(t, Fold(shuffle(r, doubled(r, append([]*trail.Event(nil), events...)))).Alerts()); got != want {
		t.Errorf("one set of events has two histories:\n%s\n%s", got, want)
	}
}

// J1: nor does who removes and enables a device of an exploited user in turns, however the
// records arrive. A change after that is alerted, and so is the end.
func TestJ1_ADeviceInTurnsIsFewAlerts(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 9} {
		d := newTestAccount(t)
		d.policy.EscalateAfter = nil
		events := script(t, "0 login+ bob by=bob self from=203.0.113.7 serial=A id=known; 1 deactivate bob serial=A by=bob self from=192.0.2.9 id=gone; 2 login- bob by=bob self from=192.0.2.9 id=in")
		for i := range 60 {
			events = append(events, script(t, fmt.Sprintf("%d enable bob serial=B by=bob self from=192.0.2.9 id=on%02d; %[3]d deactivate bob serial=B by=bob self from=192.0.2.9 id=off%02[2]d", 10+2*i, i, 11+2*i))...)
		}
		events = append(events, script(t, "200 enable bob serial=B by=bob self from=192.0.2.9 id=onz")...)
		turns := 0
		for i := 0; i < len(events); i += n {
			batch := events[i:min(i+n, len(events))]
			for _, a := range d.arrive(batch[len(batch)-1].Time, batch...) {
				if a.Step == exposure.Updated || a.Step == exposure.Suspect {
					turns++
				}
			}
		}
		if turns > 32+1 || len(d.open) != 1 || !d.open[0].Suspect {
			t.Errorf("%d at a time: %d alerts, open are %+v", n, turns, d.open)
		}
		if got := show(d.arrive(at(310), script(t, "300 attach bob by=mallory detail=p id=change; 301 detach bob by=ann detail=p id=back; 302 login+ bob by=bob self from=203.0.113.7 serial=B id=home")...)); got != "bob updated@300 critical; bob resolved@302 info proved" {
			t.Errorf("%d at a time: %s", n, got)
		}
	}
}
