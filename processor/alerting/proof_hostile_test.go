package alerting

import (
	"fmt"
	"testing"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// J2: a CheckMfa record shows that AWS asked for a device. The user, who has the
// password and not the intruder's device, comes no further, and is not seen to be
// protected.
func TestJ2_AChallengeProvesNoDevice(t *testing.T) {
	playMarked(t, exposure.DefaultPolicy(),
		arrival{5, "0 login+ bob by=bob self from=203.0.113.7 id=known", ""},
		arrival{1010, "1000 deactivate bob serial=A by=mallory from=192.0.2.1 id=gone", "bob opened@1000 high"},
		arrival{1110, "1100 login- bob by=bob self from=192.0.2.9 id=in", "bob exploited@1100 critical"},
		arrival{1210, "1200 enable bob serial=EVIL by=bob self from=192.0.2.9 id=evil", "bob suspect@1200 critical"},
		arrival{9010, "9000 checkmfa bob by=bob self from=203.0.113.7 id=asked", ""},
		arrival{9110, "9100 login+ bob by=bob self from=203.0.113.7 id=proof", "bob resolved@9100 info proved"})
}

// J9: in the minute after a removal, AWS may still ask for the device: a caller who has the
// password ends nothing by that.
func TestJ9_AChallengeInTheMomentOfTheRemoval(t *testing.T) {
	for _, n := range []int{1, 2} {
		events := script(t, "100 deactivate bob serial=A by=mallory id=gone; 101 checkmfa bob by=bob self id=asked")
		if got := show(playLanes(exposure.DefaultPolicy(), n, events)); got != "bob opened@100 high" {
			t.Errorf("in batches of %d: %s", n, got)
		}
	}
}

// J2: an intruder who enabled a device for another user, and has the password, signs in
// with it, and enables the next one as that user: the exposure stays, in either order, after
// restarts, and as the records are dropped. It ends for the user, from a known address.
func TestJ2_AForeignDeviceMakesNoneTheUsers(t *testing.T) {
	const next, gone = "%d enable bob serial=NEXT by=bob self from=192.0.2.9 id=next", "%d deactivate bob serial=EVIL by=bob self from=192.0.2.9 id=over"
	for _, then := range [][2]string{{next, gone}, {gone, next}} {
		for _, serial := range []string{"", " serial=EVIL"} {
			for _, from := range []int{3000, 80 * 86400} {
				d := playMarked(t, exposure.DefaultPolicy(),
					arrival{5, "0 login+ bob by=bob self from=203.0.113.7 serial=OWN id=known", ""},
					arrival{1010, "1000 deactivate bob serial=OWN by=mallory from=192.0.2.1 id=gone", "bob opened@1000 high"},
					arrival{1020, "1010 enable bob serial=EVIL by=mallory from=192.0.2.1 id=evil", "bob suspect@1010 high"},
					arrival{1110, "1100 login+ bob by=bob self from=192.0.2.9 id=in" + serial, ""})
				for now := 2 * 86400; now < from; now += 86400 {
					d.arrive(at(now))
				}
				for i, text := range then {
					d.arrive(at(from+100*i), script(t, fmt.Sprintf(text, from+100*i))...)
				}
				if len(d.open) != 1 || !d.open[0].Suspect {
					t.Errorf("%s, at %d: open are %+v", then, from, d.open)
				}
				d.arrive(at(from+200), script(t, fmt.Sprintf("%d login+ bob by=bob self from=203.0.113.7 serial=NEXT id=home", from+200))...)
				if len(d.open) != 0 {
					t.Errorf("%s: open are %+v", then, d.open)
				}
			}
		}
	}
}

// J2: nor does the sign-in drown in challenges, which need the password alone,
// before it and after it.
func TestJ2_ChallengesHideNoSignIn(t *testing.T) {
	events := script(t, "0 login+ bob by=bob self from=203.0.113.7 serial=OWN id=known; 1000 deactivate bob serial=OWN by=mallory from=192.0.2.1 id=gone; 1010 enable bob serial=EVIL by=mallory from=192.0.2.1 id=evil")
	for i := range 60 {
		verb := "checkmfa"
		if i == 30 {
			verb = "login+"
		}
		events = append(events, script(t, fmt.Sprintf("%d %s bob by=bob self from=192.0.2.9 id=c%02d", 1100+i, verb, i))...)
	}
	events = append(events, script(t, "2000 enable bob serial=NEXT by=bob self from=192.0.2.9 id=next; 2100 deactivate bob serial=EVIL by=bob self from=192.0.2.9 id=over")...)
	for _, n := range []int{1, 7, 100} {
		d := newTestAccount(t)
		for i := 0; i < len(events); i += n {
			batch := events[i:min(i+n, len(events))]
			d.arrive(batch[len(batch)-1].Time, batch...)
		}
		if len(d.open) != 1 || !d.open[0].Suspect {
			t.Errorf("in batches of %d: open are %+v", n, d.open)
		}
	}
}

// J2: the user who signs in with a device of their own shows nothing about the one that
// another identity enabled: while it is active, the exposure stays. A sign-in with that one,
// from a known address, shows that it is the user's.
func TestJ2_AForeignDeviceThatStaysIsNotProved(t *testing.T) {
	const gone = "2000 deactivate bob serial=EVIL by=ann id=over"
	for _, c := range []struct{ in, then, want string }{
		{"serial=NEW", gone, "bob resolved@2000 info replaced"},
		{"serial=NEW", "1900 attach bob detail=p by=ann id=p; 1960 login+ bob by=bob self from=203.0.113.7 serial=NEW id=again; 1970 detach bob detail=p by=ann id=q; " + gone, "bob updated@1900 critical; bob resolved@2000 info proved"},
		{"serial=evil", "", ""},
		{"", "", ""},
	} {
		events := script(t, c.then)
		d := playMarked(t, exposure.DefaultPolicy(),
			arrival{5, "0 login+ bob by=bob self from=203.0.113.7 serial=OWN id=known", ""},
			arrival{1010, "1000 deactivate bob serial=OWN by=mallory from=192.0.2.1 id=gone", "bob opened@1000 high"},
			arrival{1110, "1100 enable bob serial=EVIL by=mallory from=192.0.2.1 id=evil", "bob suspect@1100 high"},
			arrival{1210, "1200 enable bob serial=NEW by=bob self from=203.0.113.7 id=new", ""})
		got := show(d.arrive(at(1310), script(t, "1300 login+ bob by=bob self from=203.0.113.7 id=home "+c.in)...))
		if proved := c.then == ""; (got == "bob resolved@1300 info proved") != proved || (len(d.open) == 0) != proved {
			t.Errorf("%+v: %s", c, got)
		}
		if got := show(d.arrive(at(2010), events...)); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

// J8: an agent that says CloudShell hides no further address.
func TestJ8_TheAgentHidesNoAddress(t *testing.T) {
	d := newTestAccount(t)
	got := ""
	for i, text := range []string{"0 deactivate bob serial=A by=m id=a", "10 login- bob by=bob self from=192.0.2.9 id=b", "20 login- bob by=bob self from=198.51.100.9 id=c"} {
		events := script(t, text)
		events[0].Actor.UserAgent = "exec-env/CloudShell"
		got = show(d.arrive(at(10*i+5), events...))
	}
	if got != "bob updated@20 critical" {
		t.Error(got)
	}
}
