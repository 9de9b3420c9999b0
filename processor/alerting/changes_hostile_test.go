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
