package alerting

import (
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// R32: a record with a time of the future ends nothing before that time, and hides nothing
// that begins; what begins is alerted immediately.
func TestR32_TheFutureEndsNothing(t *testing.T) {
	for _, does := range []string{
		"enable bob serial=B", "resync bob serial=B", "login+ bob by=bob self", "checkmfa bob by=bob self", "deleteuser bob by=ann", "createuser bob by=ann",
		"rename eve new=bob by=ann",
	} {
		for _, first := range []bool{true, false} {
			d := newTestAccount(t)
			d.policy.EscalateAfter = nil
			ahead := script(t, "90000 "+does+" id=ahead")
			if first {
				d.arrive(at(5), ahead...)
			}
			if got := show(d.arrive(at(1010), script(t, "1000 deactivate bob serial=A by=mallory id=gone")...)); got != "bob opened@1000 high" {
				t.Errorf("%s: %s", does, got)
			}
			if !first {
				d.arrive(at(1020), ahead...)
			}
			if len(d.open) != 1 {
				t.Errorf("%s: open are %+v", does, d.open)
			}
			d.arrive(at(90000))
			if len(d.open) != 0 {
				t.Errorf("%s: in its time, open are %+v", does, d.open)
			}
		}
	}
}

// A clock that is ahead by minutes is believed, and a removal whatever its clock says.
func TestR32_AClockThatIsAhead(t *testing.T) {
	d := newTestAccount(t)
	if got := show(d.arrive(at(1010), script(t, "90000 deactivate bob serial=A by=mallory id=gone")...)); got != "bob opened@90000 high" {
		t.Error(got)
	}
	if got := show(d.arrive(at(1020), exposure.Close(d.open[0], "ann", "a wrong clock", at(1020)))); got != "bob resolved@90000 info closed" {
		t.Error(got)
	}
	d = newTestAccount(t)
	d.arrive(at(1010), script(t, "1000 deactivate bob serial=A by=mallory id=gone")...)
	if got := show(d.arrive(at(1020), script(t, "1900 enable bob serial=B id=own")...)); got != "bob resolved@1900 info enabled" {
		t.Error(got)
	}
}

// The next call is when the record may be believed.
func TestR32_TheFutureWakes(t *testing.T) {
	p := exposure.DefaultPolicy()
	out := Notify(script(t, "90000 enable bob serial=A"), State{}, at(0), p)
	if want := at(90000).Add(-exposure.MaxAhead); !out.Next.Equal(want) || len(out.Drop) != 0 {
		t.Errorf("the next call is at %v, want %v; dropped are %v", out.Next, want, out.Drop)
	}
	if out = Notify(script(t, "90000 enable bob serial=A"), State{}, at(90000).Add(time.Second), p); !out.Next.IsZero() {
		t.Errorf("the next call is at %v", out.Next)
	}
}

// J4, J12: a record of the future lets no time pass: neither the minutes that a familiar
// user has, nor those of an off-boarding.
func TestJ4_TheFutureLetsNoTimePass(t *testing.T) {
	const ahead = "; 90000 guess bob by=bob id=ahead"
	playMarked(t, exposure.DefaultPolicy(),
		arrival{5, "0 login+ bob by=bob self from=203.0.113.7 id=known", ""},
		arrival{1010, "1000 deactivate bob serial=A by=desk from=192.0.2.1 id=gone", "bob opened@1000 high"},
		arrival{1110, "1100 login- bob by=bob self from=203.0.113.9 id=in" + ahead, "bob exploited@1100 high"},
		arrival{1210, "1200 enable bob serial=B by=bob self from=203.0.113.9 id=own", "bob resolved@1200 info enabled"})
	playMarked(t, exposure.DefaultPolicy(),
		arrival{1010, "1000 deactivate bob serial=A by=desk id=gone; 1001 ungroup bob detail=g by=desk id=left" + ahead, "bob opened@1000 high"},
		arrival{1110, "1100 deleteuser bob by=desk id=over", "bob resolved@1100 info user_deleted"})
}
