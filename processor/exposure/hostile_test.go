package exposure

import (
	"testing"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// playLanes returns what the alerts of the events say, which come in batches of n.
func playLanes(p Policy, n int, events []*trail.Event) (all []*Alert) {
	var l Ledger
	for len(events) > 0 {
		n = min(n, len(events))
		l.Append(events[:n]...)
		alerts, _ := l.Fold(events[n-1].Time, p)
		all, events = append(all, alerts...), events[n:]
	}
	return all
}

// A denied call that spells root in lower case makes no user of that name, whose
// alerts would stand for those of root.
func TestRootIsRootHoweverSpelled(t *testing.T) {
	events := script(t, "0 deactivate root fail=AccessDenied by=mallory id=a; 100 deactivate root serial=R id=r; 200 login- root id=l")
	for _, name := range []string{"aws root user", "Aws Root User"} {
		events[0].User = name
		want := "root attempted@0 high x1 AccessDenied; root opened@100 critical; root exploited@200 critical"
		if got := show(playLanes(DefaultPolicy(), 3, events)); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}
