package exposure

import (
	"fmt"
	"strings"
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

// J18: who guesses codes is alerted once, whatever wrong codes came before, and
// however they arrive: neither a slow beginning nor a flood hides them, and a flood
// is one alert.
func TestJ18_GuessesAreAlertedOnce(t *testing.T) {
	wrong := func(from, n, every int) (events []*trail.Event) {
		for i := range n {
			s := from + i*every
			events = append(events, script(t, fmt.Sprintf("%d enable bob serial=A fail=InvalidAuthenticationCode by=mallory id=w%d", s, s))...)
		}
		return events
	}
	slowly := wrong(0, 30, 1200)
	fast := append(slowly[:len(slowly):len(slowly)], wrong(30*1200, 200, 2)...)
	again := append(append(fast[:len(fast):len(fast)], wrong(31*1200, 30, 1200)...), wrong(61*1200, 200, 2)...)
	for _, n := range []int{1, 2, 5, 9, 40, 1000} {
		for name, c := range map[string]struct {
			events []*trail.Event
			want   int
		}{"slowly": {slowly, 0}, "fast": {fast, 1}, "again": {again, 1}, "fast alone": {wrong(0, 200, 2), 1}, "once an hour": {wrong(0, 100, 3600), 0}} {
			guessed := 0
			for _, a := range playLanes(DefaultPolicy(), n, c.events) {
				if a.Step == Attempted && contains(a.Reasons, ReasonGuessing) {
					guessed++
				}
			}
			if guessed != c.want {
				t.Errorf("%s, in batches of %d: %d alerts, want %d", name, n, guessed, c.want)
			}
		}
	}
}

// A guess that is alerted again after an hour is another one.
func TestJ18_GuessesAfterAPause(t *testing.T) {
	var text strings.Builder
	for i := range 40 {
		fmt.Fprintf(&text, "%d enable bob serial=A fail=InvalidAuthenticationCode by=mallory id=w%d\n", i+i/20*7200, i)
	}
	guessed := 0
	for _, a := range playLanes(DefaultPolicy(), 4, script(t, text.String())) {
		if a.Step == Attempted {
			guessed++
		}
	}
	if guessed != 2 {
		t.Errorf("%d alerts, want 2", guessed)
	}
}
