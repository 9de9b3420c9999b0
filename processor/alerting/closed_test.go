package alerting

import (
	"strings"
	"testing"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// A person closes the exposure that they name, whatever arrives in between.
func TestJ2_APersonCloses(t *testing.T) {
	d := play(t, arrival{10, "0 deactivate bob serial=A; 5 login- bob", "bob opened@0 high; bob exploited@5 critical"})
	e := exposure.Close(d.open[0], "ann\x1b[31m", "seen with bob. "+strings.Repeat("x", 2000), at(100))
	if e.Name != trail.Closed || len(e.Detail) > exposure.MaxNote || strings.Contains(e.Actor.Name, "\x1b") {
		t.Errorf("%+v", e)
	}
	if got, want := show(d.arrive(at(110), e)), "bob resolved@100 info closed"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	// A late record shows that it began earlier: the name still fits.
	if got, want := show(d.arrive(at(120), script(t, "-60 deactivate bob serial=B id=late")...)), ""; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	// A later exposure has another name.
	if got, want := show(d.arrive(at(210), script(t, "200 deactivate bob serial=C id=next")...)), "bob opened@200 high"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	again := *e
	again.ID, again.Time = "again", at(300)
	if got := show(d.arrive(at(310), &again)); got != "" {
		t.Errorf("another exposure was closed: %s", got)
	}
}

// A person's word counts on a machine whose clock is behind that of AWS, too.
func TestJ2_ClosedByAClockThatIsBehind(t *testing.T) {
	d := play(t, arrival{110, "100 deactivate bob serial=A", "bob opened@100 high"})
	if got, want := show(d.arrive(at(120), exposure.Close(d.open[0], "ann", "seen with bob", at(40)))), "bob resolved@100 info closed"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// J2: a person closes what they know of. CloudTrail is minutes late: what an intruder
// did before, and is read after, opens the exposure again.
func TestJ2_APersonClosesWhatTheyKnow(t *testing.T) {
	const opened = "bob opened@0 high"
	for late, want := range map[string]string{
		"550 login- bob by=bob self from=192.0.2.9 id=x":                      opened + "; bob exploited@550 critical",
		"550 createkey bob by=mallory detail=AKIA id=x":                       opened + "; bob updated@550 critical",
		"550 enable bob serial=EVIL by=mallory id=x":                          "bob suspect@550 high",
		"-60 attach bob by=mallory detail=admin id=x":                         "bob updated@-60 critical; bob opened@0 critical",
		"550 login- bob by=bob self id=x; 560 deleteuser bob by=mallory id=y": "bob exploited@550 critical; bob resolved@560 critical user_deleted",
		"550 login+ bob by=bob self id=x":                                     "",
		"650 createkey bob by=mallory detail=AKIA id=x":                       "",
	} {
		d := play(t, arrival{10, "0 deactivate bob serial=A by=mallory id=gone", opened})
		if got, want := show(d.arrive(at(600), exposure.Close(d.open[0], "ann", "a new phone", at(600)))), "bob resolved@600 info closed"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got := show(d.arrive(at(700), script(t, late)...)); got != want {
			t.Errorf("%s: got %s, want %s", late, got, want)
		}
		if len(d.open) == 0 {
			continue
		}
		if got := show(d.arrive(at(800), exposure.Close(d.open[0], "ann", "seen with bob", at(800)))); got != "bob resolved@800 info closed" {
			t.Errorf("%s: closed again: %s", late, got)
		}
	}
}
