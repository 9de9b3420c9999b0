package alerting

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// J1: a thief of bob's access key enables their own device as bob, after a role took the
// device of the user. From an address unknown for bob, and outside a session with MFA,
// that ends nothing: bob does, from where he is known.
func TestJ1_AStolenKeyEnablesNoDevice(t *testing.T) {
	for name, c := range map[string]struct{ how, want string }{
		"with a key, from elsewhere":                {"mfa= from=192.0.2.9", "bob suspect@1100 high"},
		"in a session without MFA, from elsewhere":  {"mfa=no from=192.0.2.9", "bob suspect@1100 high"},
		"with a key, from nowhere":                  {"mfa= from=AWS", "bob suspect@1100 high"},
		"with a key, from where bob is known":       {"mfa= from=203.0.113.99", "bob resolved@1100 info enabled"},
		"in a session with MFA, on another network": {"mfa=yes from=192.0.2.9", "bob resolved@1100 info enabled"},
	} {
		for _, verb := range []string{"enable", "resync"} {
			d := playMarked(t, exposure.DefaultPolicy(),
				arrival{5, "0 login+ bob by=bob self from=203.0.113.7 serial=A id=known", ""},
				arrival{1010, "1000 deactivate bob serial=A by=mallory from=192.0.2.1 id=gone", "bob opened@1000 high"},
				arrival{1110, "1100 " + verb + " bob serial=EVIL by=bob self id=evil " + c.how, c.want})
			if suspect := strings.Contains(c.want, "suspect"); suspect != (len(d.open) == 1 && d.open[0].Suspect) {
				t.Errorf("%s: open are %+v", name, d.open)
			} else if !suspect {
				continue
			}
			for now := 2 * 86400; now < 80*86400; now += 20 * 86400 {
				d.arrive(at(now))
			}
			d.arrive(at(80*86400), script(t, "6911900 enable bob serial=NEXT by=bob self mfa= from=192.0.2.9 id=next; 6911950 deactivate bob serial=EVIL by=bob self mfa= from=192.0.2.9 id=over")...)
			if len(d.open) != 1 || !d.open[0].Suspect {
				t.Errorf("%s: the thief ends it by another device: open are %+v", name, d.open)
			}
			d.arrive(at(80*86400+100), script(t, "6912090 login+ bob by=bob self from=203.0.113.7 id=home")...)
			if len(d.open) != 0 {
				t.Errorf("%s: open are %+v", name, d.open)
			}
		}
	}
}

// J1: where no address of the user is known, there is none to compare with.
func TestJ1_AKeyOfAUserWhoNeverSignsIn(t *testing.T) {
	playMarked(t, exposure.DefaultPolicy(),
		arrival{1010, "1000 deactivate bob serial=A by=mallory from=192.0.2.1 id=gone", "bob opened@1000 high"},
		arrival{1110, "1100 enable bob serial=B by=bob self mfa= from=192.0.2.9 id=own", "bob resolved@1100 info enabled"})
}

// R17: the thief enables the own device first: it protects no user, no matter who
// removes the device of the user, and however old its record is.
func TestR17_AStolenKeyEnablesTheOtherDevice(t *testing.T) {
	for name, c := range map[string]struct{ enables, removes, want string }{
		"removed by another":      {"mfa= from=192.0.2.9", "by=mallory", "high"},
		"removed with the key":    {"mfa= from=192.0.2.9", "by=bob self mfa= from=192.0.2.9", "high"},
		"enabled at home":         {"mfa= from=203.0.113.99", "by=mallory", "low"},
		"rotated in a session":    {"mfa=yes from=192.0.2.9", "by=bob self mfa=yes from=192.0.2.9", "low"},
		"removed by bob, at home": {"mfa= from=192.0.2.9", "by=bob self from=203.0.113.7", "low"},
	} {
		for _, later := range []int{200, 20 * 86400} {
			text := "0 enable bob serial=A by=bob self id=own\n1 login+ bob by=bob self from=203.0.113.7 serial=A id=known\n" +
				"100 enable bob serial=EVIL by=bob self id=evil " + c.enables + fmt.Sprintf("\n%d deactivate bob serial=A id=gone ", later) + c.removes
			d := newTestAccount(t)
			events := script(t, text)
			d.arrive(at(110), events[:3]...)
			if got, want := show(d.arrive(at(later+1), events[3:]...)), fmt.Sprintf("bob reduced@%d %s", later, c.want); got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
			for now := later + 86400; now < 80*86400; now += 10 * 86400 {
				if got := show(d.arrive(at(now))); got != "" {
					t.Errorf("%s: %s", name, got)
				}
			}
		}
	}
}

// J5: a sign-in with the device of the thief makes no address known, from which the
// removal would be the user's. It ends nothing either.
func TestJ5_ADeviceEnabledElsewhereTeachesNoAddress(t *testing.T) {
	for _, from := range []int{1200, 20 * 86400, 60 * 86400} {
		d := newTestAccount(t)
		d.arrive(at(1110), script(t, "0 enable bob serial=A by=bob self id=own; 1 login+ bob by=bob self from=203.0.113.7 serial=A id=known; 1000 enable bob serial=EVIL by=bob self mfa= from=192.0.2.9 id=evil; 1100 login+ bob by=bob self from=192.0.2.9 serial=EVIL id=in")...)
		for now := 86400; now < from; now += 86400 { // bob goes on, at home
			d.arrive(at(now), script(t, fmt.Sprintf("%d login+ bob by=bob self from=203.0.113.7 serial=A id=k%d; %[1]d login+ bob by=bob self from=192.0.2.9 serial=EVIL id=i%[2]d", now-100, now))...)
		}
		removal := fmt.Sprintf("%d deactivate bob serial=A id=gone by=bob self from=192.0.2.9", from)
		if got, want := show(d.arrive(at(from+1), script(t, removal)...)), fmt.Sprintf("bob reduced@%d high", from); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// J1: with the device that a role enabled for bob, and bob's access key, a thief has a
// session with MFA by GetSessionToken. From an address unknown for bob, it makes the next
// device no more bob's than the first, in either order.
func TestJ1_AForeignDeviceMakesTheSession(t *testing.T) {
	const next, gone = "%d enable bob serial=NEXT by=bob self mfa=yes from=192.0.2.1 id=next", "%d deactivate bob serial=EVIL by=bob self mfa=yes from=192.0.2.1 id=over"
	for _, then := range [][2]string{{next, gone}, {gone, next}} {
		d := playMarked(t, exposure.DefaultPolicy(),
			arrival{5, "0 login+ bob by=bob self from=203.0.113.7 serial=A id=known", ""},
			arrival{1010, "1000 deactivate bob serial=A by=mallory from=192.0.2.1 id=gone", "bob opened@1000 high"},
			arrival{1110, "1100 enable bob serial=EVIL by=mallory from=192.0.2.1 id=evil", "bob suspect@1100 high"})
		for i, text := range then {
			d.arrive(at(1210+100*i), script(t, fmt.Sprintf(text, 1200+100*i))...)
		}
		if len(d.open) != 1 {
			t.Errorf("%s: open are %+v", then, d.open)
		}
		d.arrive(at(1500), script(t, "1400 enable bob serial=OWN by=bob self mfa=yes from=203.0.113.7 id=own; 1405 deactivate bob serial=NEXT by=ann id=off; 1410 login+ bob by=bob self from=203.0.113.7 serial=OWN id=home")...)
		if len(d.open) != 0 {
			t.Errorf("%s: at home, open are %+v", then, d.open)
		}
	}
}

// R17: so it is where nothing is open: the thief's second device, enabled in a session that
// the first one made, does not pass for the user's, even once the first is gone. After 36
// hours, no such session lives.
func TestR17_AStolenKeyMakesTheSession(t *testing.T) {
	const gone = "%d deactivate bob serial=EVIL by=bob self mfa=yes from=192.0.2.9 id=over"
	for _, c := range []struct {
		removed, enables int
		want             string
	}{{0, 1100, "high"}, {1050, 1100, "high"}, {1050, 1050 + 35*3600, "high"}, {1050, 1050 + 37*3600, "low"}} {
		d := newTestAccount(t)
		d.arrive(at(1010), script(t, "0 enable bob serial=A by=bob self id=own; 1 login+ bob by=bob self from=203.0.113.7 serial=A id=known; 1000 enable bob serial=EVIL by=bob self mfa= from=192.0.2.9 id=evil")...)
		if c.removed > 0 {
			d.arrive(at(c.removed), script(t, fmt.Sprintf(gone, c.removed))...)
		}
		d.arrive(at(c.enables), script(t, fmt.Sprintf("%d enable bob serial=NEXT by=bob self mfa=yes from=192.0.2.9 id=next", c.enables))...)
		removal := fmt.Sprintf("%d deactivate bob serial=A by=bob self mfa=yes from=192.0.2.9 id=gone", c.enables+100)
		if got, want := show(d.arrive(at(c.enables+110), script(t, removal)...)), fmt.Sprintf("bob reduced@%d %s", c.enables+100, c.want); got != want {
			t.Errorf("%+v: got %s, want %s", c, got, want)
		}
	}
}
