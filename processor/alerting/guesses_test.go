package alerting

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

func guessScript(from, n, every int) string {
	var lines []string
	for i := range n {
		lines = append(lines, fmt.Sprintf("%d guess bob id=g%d", from+i*every, from+i*every))
	}
	return strings.Join(lines, "; ")
}

// J8: ten failed sign-ins within ten minutes of an exposed user are alerted, and
// each doubling; copies add nothing, and no more than 64 are kept.
func TestJ8_Guesses(t *testing.T) {
	d := play(t, arrival{10, "0 deactivate bob serial=A", "bob opened@0 high"})
	step := func(now int, events, want string) {
		t.Helper()
		if got := show(d.arrive(at(now), script(t, events)...)); got != want {
			t.Errorf("%d: got %s, want %s", now, got, want)
		}
	}
	step(70, guessScript(20, 9, 5), "")
	step(71, guessScript(20, 9, 5), "") // copies
	step(80, guessScript(72, 1, 1), "bob updated@72 high")
	step(200, guessScript(81, 54, 1), "bob updated@90 high; bob updated@110 high")
	step(300, guessScript(200, 30, 1), "bob updated@229 high")
	if n := len(d.events); n > 1+64+9+1 { // and the copies, which a journal leaves out, and a derived event
		t.Errorf("%d events are kept", n)
	}
	step(400, guessScript(300, 70, 1), "bob updated@369 high")
	for _, a := range d.last {
		if !strings.HasPrefix(a.Title, "160 failed sign-ins as bob") || !contains(a.Reasons, exposure.ReasonGuessing) {
			t.Errorf("%s: %v", a.Title, a.Reasons)
		}
	}
	// Slowly, nothing is alerted; of users without an exposure, nothing is kept.
	play(t, arrival{10, "0 deactivate bob serial=A", "bob opened@0 high"}, arrival{899, guessScript(20, 12, 70), ""})
	d = play(t, arrival{10, guessScript(0, 100, 0), ""}, arrival{20, guessScript(1, 200, 1), ""})
	if n := len(d.events); n > 64 {
		t.Errorf("%d events are kept of an unexposed user", n)
	}
	if d.arrive(at(8000)); len(d.events) > 0 {
		t.Errorf("%d events are kept for long", len(d.events))
	}
	// A removal that arrives late finds them.
	play(t, arrival{600, guessScript(20, 10, 10), ""}, arrival{700, "0 deactivate bob serial=A", "bob opened@0 high; bob updated@110 high"})
}

// J8: failed sign-ins count while the exposure waits, however they arrive, and few of
// them are kept.
func TestJ8_GuessesUnderAGrace(t *testing.T) {
	p := exposure.DefaultPolicy()
	p.Grace = 10 * time.Minute
	for _, each := range []int{1, 7, 64, 65, 170} {
		d := newTestAccount(t)
		d.policy = p
		d.arrive(at(10), script(t, "0 deactivate bob serial=A")...)
		for n := 0; n < 170; n += each {
			if got := show(d.arrive(at(20+n+each), script(t, guessScript(20+n, min(each, 170-n), 1))...)); got != "" {
				t.Fatalf("%d at a time: during the grace, got %s", each, got)
			}
			if n := len(d.events); n > 1+64+1 { // and a derived event
				t.Fatalf("%d at a time: %d events are kept", each, n)
			}
		}
		want := "bob opened@0 high; bob updated@29 high; bob updated@39 high; bob updated@59 high; bob updated@189 high"
		if got := show(d.arrive(at(600))); got != want {
			t.Errorf("%d at a time: got %s, want %s", each, got, want)
		}
		for _, a := range d.last {
			if !strings.HasPrefix(a.Title, "160 failed sign-ins as bob") {
				t.Errorf("%d at a time: %s", each, a.Title)
			}
		}
	}
}
