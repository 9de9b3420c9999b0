package alerting

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
)

// testAccount keeps an account as a journal does: it stores what Notify returns,
// the state as JSON, and checks what holds after every call.
type testAccount struct {
	t      testing.TB
	policy exposure.Policy
	events []*trail.Event
	state  []byte
	st     State                      // decoded from state
	ids    map[string]bool            // of alerts returned
	last   map[string]*exposure.Alert // by exposure
	human  map[string]*exposure.Alert // by exposure, of the alerts for people
	next   time.Time
	now    time.Time
	open   []exposure.Open
}

func newTestAccount(t testing.TB) *testAccount {
	return &testAccount{t: t, policy: exposure.DefaultPolicy(), ids: map[string]bool{}, last: map[string]*exposure.Alert{}, human: map[string]*exposure.Alert{}}
}

// arrive returns the alerts that follow from events arriving now.
func (d *testAccount) arrive(now time.Time, events ...*trail.Event) []*exposure.Alert {
	d.t.Helper()
	d.events = append(d.events, events...)
	d.now = now
	out := d.call(now)
	for _, a := range out.Alerts {
		if d.ids[a.ID] {
			d.t.Errorf("alerted twice: %s %s", a.Step, a.Title)
		}
		d.ids[a.ID] = true
		if a.Exposure != nil {
			d.last[*a.Exposure] = a
			if !a.MachineOnly() {
				d.human[*a.Exposure] = a
			}
		}
	}
	d.store(out)
	if again := d.call(now); len(again.Alerts)+len(again.Deadlines) > 0 || len(again.Drop) > 0 && !bytes.Contains(d.state, []byte("tombstones")) || !slices.EqualFunc(again.Open, out.Open, sameOpen) || !again.Next.Equal(out.Next) {
		d.t.Errorf("a second call returns %q, deadlines %d, drops %v, next %v, not %v, open\n%+v, not\n%+v", show(again.Alerts), len(again.Deadlines), again.Drop, again.Next, out.Next, again.Open, out.Open)
	} else if b := encode(d.t, again.State); string(b) != string(d.state) {
		// A second compaction may shorten the tombstones further.
		if b2 := encode(d.t, settle(d.events, again.State, now, d.policy).State); !bytes.Contains(d.state, []byte("tombstones")) || len(b) > len(d.state) || !bytes.Equal(b, b2) {
			d.t.Errorf("calls change the state from\n%s to\n%s to\n%s", d.state, b, b2)
		}
	}
	d.invariant()
	return out.Alerts
}

// sameOpen compares open exposures, except the spelling of a user that only a
// dropped event showed.
func sameOpen(a, b exposure.Open) bool {
	a.User, b.User = exposure.FoldName(a.User), exposure.FoldName(b.User)
	return a == b
}

func (d *testAccount) call(now time.Time) Outcome {
	d.t.Helper()
	return settle(d.events, d.st, now, d.policy)
}

// settle is Notify for whole accounts and their actors' lanes: derived events
// that are new arrive together, and the outcome lists them as deadlines, which
// are stored.
func settle(events []*trail.Event, st State, now time.Time, p exposure.Policy) Outcome {
	known := map[string]bool{}
	for _, e := range events {
		if e != nil {
			known[e.ID] = true
		}
	}
	part := &Part{Events: events, State: st}
	s := Settlement{
		Fold: func(events []*trail.Event, st State) (Outcome, error) { return Notify(events, st, now, p), nil },
		Find: func(e *trail.Event) (*Part, error) {
			if known[e.ID] {
				return nil, nil
			}
			return part, nil
		},
	}
	if _, err := s.Run([]*Part{part}); err != nil {
		panic(err)
	}
	part.Outcome.Derived = part.Arrived
	return part.Outcome
}

func (d *testAccount) store(out Outcome) {
	d.t.Helper()
	d.events = append(append(d.events, out.Deadlines...), out.Derived...)
	d.events = slices.DeleteFunc(d.events, func(e *trail.Event) bool { return slices.Contains(out.Drop, e.ID) })
	d.state, d.next, d.open = encode(d.t, out.State), out.Next, out.Open
	d.st = mustState(d.t, d.state)
}

// invariant checks that the last alert of each exposure, to machine sinks and
// to people alike, agrees with whether it is open, unless an alert is still to
// come.
func (d *testAccount) invariant() {
	d.t.Helper()
	open := map[string]bool{}
	for _, w := range d.st.campaigns {
		open[w.ID] = !w.Closed
	}
	waits, campaign := map[string]bool{}, map[string]string{}
	for _, s := range d.st.delivered {
		if s.ByCampaign {
			campaign[s.ID] = s.Campaign
		}
		waits[s.ID] = !s.Opened && !s.Exploited && s.Round == 0 && d.next.After(d.now)
	}
	ends := func(a *exposure.Alert) bool {
		return a == nil || a.Step == exposure.StepCampaign && a.Users.Open == 0 || a.Step == exposure.Resolved || a.Step == exposure.Reduced
	}
	for _, o := range d.open {
		open[o.ID] = true
		a := d.last[o.ID]
		if ends(a) && !waits[o.ID] {
			d.t.Errorf("%s is open, the last alert is %v", o.ID, a)
		}
		if !ends(a) && ends(d.human[o.ID]) && !contains(a.Reasons, exposure.ReasonExpected) && ends(d.human[campaign[o.ID]]) {
			d.t.Errorf("%s is open, and people were not notified", o.ID)
		}
	}
	for _, last := range []map[string]*exposure.Alert{d.last, d.human} {
		for id, a := range last {
			if !ends(a) && !open[id] {
				d.t.Errorf("%s is not open, the last alert is %s: %s", id, a.Step, a.Title)
			}
		}
	}
}

func encode(t testing.TB, st State) []byte {
	t.Helper()
	b, err := json.Marshal(st)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// arrival is events that arrive at a second, and the alerts that they need.
type arrival struct {
	now          int
	events, want string
}

func play(t *testing.T, arrivals ...arrival) *testAccount {
	t.Helper()
	return playUnder(t, exposure.DefaultPolicy(), show, arrivals)
}

func playUnder(t *testing.T, p exposure.Policy, show func([]*exposure.Alert) string, arrivals []arrival) *testAccount {
	t.Helper()
	d := newTestAccount(t)
	d.policy = p
	for i, a := range arrivals {
		events := script(t, a.events)
		for _, e := range events {
			if strings.HasPrefix(e.ID, "e") {
				e.ID = fmt.Sprintf("%d-%s", i, e.ID)
			}
		}
		if got := show(d.arrive(at(a.now), events...)); got != a.want {
			t.Errorf("arrival %d\ngot  %s\nwant %s", i, got, a.want)
		}
	}
	return d
}

func TestNotifyStepByStep(t *testing.T) {
	play(t,
		arrival{10, "0 deactivate bob serial=A", "bob opened@0 high"},
		arrival{20, "0 deletevirtual - serial=A", ""},
		arrival{30, "15 createkey bob", "bob updated@15 critical"},
		arrival{40, "25 login- bob; 26 login- bob", "bob exploited@25 critical"},
		arrival{50, "30 enable bob serial=B", "bob suspect@30 critical"},
		arrival{60, "30 login- bob", "bob updated@30 critical"},
	)
}

func TestNotifySeveralSteps(t *testing.T) {
	play(t, arrival{10, "0 deactivate bob serial=A; 1 deactivate bob serial=B; 2 login- bob",
		"bob opened@0 high; bob updated@1 high; bob exploited@2 critical"})
}

func TestR32_OverWhenFirstTold(t *testing.T) {
	month := 30 * 24 * 3600
	play(t, arrival{100, "0 deactivate bob serial=A; 1 deactivate bob serial=B; 9 enable bob serial=A", "bob resolved@9 info enabled"})
	play(t, arrival{100, "0 deactivate bob serial=A; 5 login- bob; 9 enable bob serial=A", "bob exploited@5 critical; bob suspect@9 critical"})
	play(t, arrival{100, "9 enable bob serial=A", ""}, arrival{month, "0 deactivate bob serial=A", "bob resolved@9 info enabled"})
	play(t, arrival{100, "9 deleteuser bob", ""}, arrival{200, "0 deactivate bob serial=A", "bob resolved@9 info user_deleted"},
		arrival{210, "3 deactivate bob serial=B", ""}, arrival{220, "4 createkey bob", ""})

	d := play(t, arrival{6*3600 + 9, "0 deactivate bob serial=A; 9 enable bob serial=A", "bob resolved@9 info enabled"})
	for _, a := range d.last {
		if !a.OpenedAt.Equal(at(0)) || !a.ResolvedAt.Equal(at(9)) || !contains(a.Reasons, exposure.ReasonLate) {
			t.Errorf("opened %v, resolved %v, reasons %v", a.OpenedAt, a.ResolvedAt, a.Reasons)
		}
	}
	d = play(t, arrival{6*3600 - 1, "0 deactivate bob serial=A", "bob opened@0 high; bob escalated@14400 high #2"})
	if a := d.last[d.open[0].ID]; contains(a.Reasons, exposure.ReasonLate) {
		t.Errorf("reasons %v within six hours", a.Reasons)
	}
}

func TestLateExploitOfWhatIsOver(t *testing.T) {
	play(t,
		arrival{10, "0 deactivate bob serial=A", "bob opened@0 high"},
		arrival{20, "9 enable bob serial=B", "bob resolved@9 info enabled"},
		arrival{30, "5 login- bob", "bob exploited@5 critical; bob suspect@9 critical"},
		arrival{40, "4 login- bob; 3 createkey bob", "bob updated@3 critical"},
	)
}

func TestEscalation(t *testing.T) {
	d := play(t,
		arrival{10, "0 deactivate bob serial=A", "bob opened@0 high"},
		arrival{899, "", ""},
		arrival{900, "", "bob escalated@900 high #1"},
		arrival{901, "", ""},
		arrival{950, "940 login- bob", "bob exploited@940 critical"},
		arrival{14400, "", "bob escalated@14400 critical #2"},
	)
	if !d.next.Equal(at(86400)) {
		t.Errorf("next look at %v", d.next)
	}
	if got := show(d.arrive(at(200000))); got != "bob escalated@86400 critical #3" {
		t.Error(got)
	}
	if !d.next.IsZero() {
		t.Errorf("next look at %v, want never", d.next)
	}
	play(t, arrival{10, "0 deactivate bob serial=A", "bob opened@0 high"}, arrival{90000, "", "bob escalated@86400 high #3"})
	play(t, arrival{10, "0 deactivate bob serial=A", "bob opened@0 high"}, arrival{90000, "899 enable bob serial=A", "bob resolved@899 info enabled"})
	play(t, arrival{10, "0 enable bob serial=B; 1 deactivate bob serial=A", "bob reduced@1 low"}, arrival{90000, "", ""},
		arrival{90010, "90000 login- bob", "bob exploited@90000 critical"}, arrival{90900, "", "bob escalated@90900 critical #1"})
	play(t, arrival{10, "0 deactivate bob serial=A; 5 deletelogin bob by=eve", "bob opened@0 high; bob updated@5 low"}, arrival{90000, "", ""},
		arrival{90010, "90001 createlogin bob", "bob escalated@86400 critical #3; bob updated@90001 critical"})
}

func TestDeadlines(t *testing.T) {
	d := newTestAccount(t)
	d.arrive(at(10), script(t, "0 deactivate bob serial=A")...)
	out := d.call(at(20000))
	if len(out.Deadlines) != 2 {
		t.Fatalf("%d deadlines, want each that passed", len(out.Deadlines))
	}
	for i, e := range out.Deadlines {
		want := &trail.Event{ID: deadlineID(d.open[0].ID, i+1), Time: at([]int{900, 14400}[i]), Name: trail.Deadline,
			Partition: "aws", Account: "111122223333", User: "bob", Exposure: d.open[0].ID, Deadline: i + 1}
		if !reflect.DeepEqual(e, want) {
			t.Errorf("got %+v, want %+v", e, want)
		}
	}
	if len(out.Alerts) != 1 || *out.Alerts[0].Escalation != 2 || out.Alerts[0].ID != out.Deadlines[1].ID || out.Alerts[0].Event.ID != d.events[0].ID {
		t.Errorf("alerts %s", show(out.Alerts))
	}
	// Either of the stored parts is enough to prevent a repetition.
	if again := Notify(append(d.events, out.Deadlines...), d.st, at(20000), d.policy); len(again.Alerts)+len(again.Deadlines) > 0 {
		t.Errorf("with the deadlines alone: %s", show(again.Alerts))
	}
	if again := Notify(d.events, out.State, at(20000), d.policy); len(again.Alerts)+len(again.Deadlines) > 0 {
		t.Errorf("with the state alone: %s", show(again.Alerts))
	}
}

func mustState(t testing.TB, b []byte) State {
	t.Helper()
	var st State
	if err := json.Unmarshal(b, &st); err != nil {
		t.Fatal(err)
	}
	return st
}

func TestToldKeepsItsName(t *testing.T) {
	// An earlier deactivation arrives late: the exposure keeps the ID.
	d := play(t, arrival{100, "50 deactivate bob serial=B id=x", "bob opened@50 high"}, arrival{200, "0 deactivate bob serial=A id=y", "bob updated@0 high"})
	want := exposure.ID("exposure", "aws", "111122223333", "x")
	if len(d.open) != 1 || d.open[0].ID != want || !d.open[0].OpenedAt.Equal(at(0)) {
		t.Errorf("open %+v, want %s", d.open, want)
	}
	// A late Enable splits it: the first keeps the ID, the second is new, although
	// the ID derives from its first deactivation.
	out := d.arrive(at(300), script(t, "20 enable bob serial=C; 30 deactivate bob serial=C id=z")...)
	if got := show(out); got != "bob resolved@20 info enabled; bob opened@30 high; bob updated@50 high" {
		t.Error(got)
	}
	if *out[0].Exposure != want || *out[1].Exposure == want || len(d.open) != 1 {
		t.Errorf("exposures %s, %s", *out[0].Exposure, *out[1].Exposure)
	}
	d = play(t, arrival{100, "50 deactivate bob serial=B id=x", "bob opened@50 high"}, arrival{200, "0 deactivate bob serial=A id=y", "bob updated@0 high"},
		arrival{300, "20 enable bob serial=B", "bob resolved@20 info enabled; bob opened@50 high"})
	if d.open[0].ID == want {
		t.Error("two exposures have one ID")
	}
}

func TestLateEnableSplits(t *testing.T) {
	d := play(t,
		arrival{10, "0 deactivate bob serial=A", "bob opened@0 high"},
		arrival{70, "60 deactivate bob serial=B", "bob updated@60 high"},
		arrival{80, "30 enable bob serial=C", "bob resolved@30 info enabled; bob reduced@60 low"},
		arrival{90, "70 deactivate bob serial=C", "bob opened@70 high"},
	)
	if len(d.open) != 1 || len(d.last) != 3 {
		t.Errorf("open %v, alerted %d", d.open, len(d.last))
	}
}

func TestR19_LateReplacement(t *testing.T) {
	d := play(t,
		arrival{100, "60 deactivate bob serial=A id=x", "bob opened@60 high"},
		arrival{200, "0 enable bob serial=B id=y", "bob resolved@60 info replaced"},
		arrival{300, "", ""},
	)
	for _, a := range d.last {
		if a.Event.ID != "y" || !a.OpenedAt.Equal(at(60)) || !strings.Contains(a.Summary, "replaced") {
			t.Errorf("%+v", a)
		}
	}
	// A sign-in without a device shows that the exposure was open.
	if got := show(d.arrive(at(400), script(t, "350 login- bob id=z")...)); got != "bob exploited@350 critical" {
		t.Error(got)
	}
	if got := show(d.arrive(at(500), script(t, "450 enable bob serial=C id=w")...)); got != "bob suspect@450 critical" {
		t.Error(got)
	}
}

func TestLateDeactivationOpensWhatWasReduced(t *testing.T) {
	play(t,
		arrival{100, "0 enable bob serial=B; 60 deactivate bob serial=A", "bob reduced@60 low"},
		arrival{200, "30 deactivate bob serial=B", "bob opened@30 high"},
		arrival{300, "250 enable bob serial=C", "bob resolved@250 info enabled"},
	)
}

func TestLateRenameReopens(t *testing.T) {
	d := play(t,
		arrival{10, "0 deactivate bob serial=A", "bob opened@0 high"},
		arrival{100, "50 enable bob serial=B", "bob resolved@50 info enabled"},
		arrival{200, "20 rename bob new=rob; 30 createuser bob", "bob opened@0 high"},
		arrival{300, "290 enable rob serial=B", "rob resolved@290 info enabled"},
	)
	if len(d.open) > 0 {
		t.Errorf("open %v", d.open)
	}
}

func TestLateRenameJoinsTwo(t *testing.T) {
	d := play(t,
		arrival{10, "0 deactivate bob serial=A; 50 deactivate rob serial=B", "bob opened@0 high; rob opened@50 high"},
		arrival{100, "20 rename bob new=rob", "rob updated@50 high; rob resolved@50 info replaced"},
		arrival{200, "190 enable rob serial=B", "rob resolved@190 info enabled"},
	)
	if len(d.last) != 2 {
		t.Errorf("%d exposures alerted, want 2", len(d.last))
	}
}

func TestLateRecordsJoinWhatEndedAndWhatIsOpen(t *testing.T) {
	d := play(t,
		arrival{10, "0 deactivate bob serial=A", "bob opened@0 high"},
		arrival{30, "20 enable bob", "bob resolved@20 info enabled"},
		arrival{60, "50 deactivate bob serial=C id=y", "bob opened@50 high"},
		// The protected bob was another one: the two exposures are one, under the
		// ID of the open one.
		arrival{100, "10 rename bob new=rob; 11 createuser bob; 30 deleteuser bob; 31 rename rob new=bob", "bob updated@0 high"},
	)
	if want := exposure.ID("exposure", "aws", "111122223333", "y"); len(d.open) != 1 || d.open[0].ID != want || !d.open[0].OpenedAt.Equal(at(0)) {
		t.Errorf("open %+v, want %s", d.open, want)
	}
}

func TestOldHistory(t *testing.T) {
	day := 24 * 3600
	// The record of an alert is kept from its delivery, however old the event is.
	play(t,
		arrival{60 * day, "0 deactivate bob serial=A; 9 enable bob serial=A", "bob resolved@9 info enabled"},
		arrival{60*day + 60, "5 login- bob", "bob exploited@5 critical; bob suspect@9 critical"},
		arrival{94 * day, "", ""}, arrival{96 * day, "", ""},
	)
	play(t,
		arrival{80 * day, "0 enable bob serial=B; 1 deactivate bob serial=A; 2 deleteuser bob", "bob reduced@1 low"},
		arrival{80*day + 10, "", ""},
	)
	d := play(t,
		arrival{10, "0 enable bob serial=B id=1; 1 deactivate bob serial=A id=2", "bob reduced@1 low"},
		arrival{40 * day, "", ""},
		arrival{41 * day, "1 deactivate bob serial=A id=2", ""}, // once more, long after
	)
	if len(d.events) > 0 {
		t.Errorf("%d events are kept", len(d.events))
	}
}

func TestAttemptsAreToldOnce(t *testing.T) {
	play(t,
		arrival{10, "0 deactivate bob fail=AccessDenied", "bob attempted@0 medium x1 AccessDenied"},
		arrival{20, "15 deactivate bob fail=AccessDenied; 16 deactivate bob fail=NoSuchEntity", "bob failed@16 info x1 NoSuchEntity"},
		arrival{30, "-20 deactivate bob fail=AccessDenied", ""},
		arrival{8000, "7000 deactivate bob fail=AccessDenied", "bob attempted@7000 medium x1 AccessDenied"},
		arrival{9000, "3500 deactivate bob fail=AccessDenied", ""}, // joins the two
	)
}

func TestAttemptThatIsTwo(t *testing.T) {
	d := play(t,
		arrival{10, "0 deactivate bob fail=AccessDenied; 5 deactivate bob fail=AccessDenied", "bob attempted@0 medium x2 AccessDenied"},
		arrival{20, "3 createuser bob", ""}, // the second was on another bob
		arrival{30, "6 deactivate bob fail=AccessDenied", ""},
	)
	if n := len(d.st.attempts); n != 2 {
		t.Errorf("%d attempts are remembered, want 2", n)
	}
}

func TestAttemptThatNeverEnds(t *testing.T) {
	d := newTestAccount(t)
	d.policy.Retention = 24 * time.Hour
	alerts := 0
	for i := range 200 {
		s := i * 1800
		alerts += len(d.arrive(at(s), script(t, fmt.Sprintf("%d deactivate bob fail=AccessDenied id=a%d", s, i))...))
	}
	if alerts != 1 {
		t.Errorf("%d alerts", alerts)
	}
	if len(d.events) > 50 || len(d.state) > 500 {
		t.Errorf("%d events and %d bytes of state are kept", len(d.events), len(d.state))
	}
}

func TestRetention(t *testing.T) {
	day := 24 * 3600
	d := newTestAccount(t)
	d.arrive(at(0), script(t, `
		0 enable bob serial=A id=1; 1 enable bob serial=B id=2; 2 deactivate bob serial=A id=3
		3 deactivate eve serial=E id=4; 4 createkey eve id=5
		5 deactivate dan serial=D id=6; 6 enable dan serial=D id=7
		7 createuser new id=8; 8 login+ bob id=9; 9 createvirtual - serial=Q id=10; 10 deactivate zoe fail=AccessDenied id=11`)...)
	if d.arrive(at(34*day + 86000)); len(d.events) < 11 {
		t.Fatalf("%d events kept within the retention", len(d.events))
	}
	d.arrive(at(80 * day))
	var left []string
	for _, e := range d.events {
		if !strings.HasPrefix(e.Name, "mfawatch:") {
			left = append(left, e.ID)
		}
	}
	if got := strings.Join(left, " "); got != "4 5" {
		t.Errorf("kept are %s, want what belongs to the open exposure", got)
	}
	// Their proofs are kept: B is active, and so is D.
	if got := show(d.arrive(at(80*day+20), script(t, fmt.Sprintf("%d deactivate bob serial=X id=20; %d deactivate dan serial=D id=21", 80*day, 80*day+1))...)); got !=
		fmt.Sprintf("bob reduced@%d low; dan opened@%d high", 80*day, 80*day+1) {
		t.Error(got)
	}
	// A redelivered event has no second effect.
	if got := show(d.arrive(at(80*day+30), script(t, "0 enable bob serial=A id=1; 1 enable bob serial=B id=2; 6 enable dan serial=D id=7")...)); got != "" {
		t.Error(got)
	}
	if got := show(d.arrive(at(80*day+50), script(t, fmt.Sprintf("%d enable eve serial=E id=22; %d deleteuser eve id=23", 80*day+40, 80*day+41))...)); got != fmt.Sprintf("eve resolved@%d critical user_deleted", 80*day+41) {
		t.Error(got)
	}
	d.arrive(at(300 * day))
	if len(d.open) != 1 || len(d.last) != 5 {
		t.Errorf("open %v, alerted %d", d.open, len(d.last))
	}
}

func TestRetentionOfNames(t *testing.T) {
	day := 24 * 3600
	d := newTestAccount(t)
	d.arrive(at(0), script(t, "0 enable bob serial=B id=1; 1 rename bob new=rob id=2; 2 enable eve serial=E id=3; 3 deleteuser eve id=4; 4 enable ann serial=N id=5; 5 rename ann new=eve id=6")...)
	for i := 1; i < 12; i++ {
		d.arrive(at(i * 10 * day))
	}
	if len(d.events) != 0 || strings.Contains(string(d.state), `"E"`) || strings.Contains(string(d.state), `UpdateUser`) {
		t.Errorf("%d events, state %s", len(d.events), d.state)
	}
	s := 120 * day
	if got := show(d.arrive(at(s), script(t, fmt.Sprintf("%d deactivate rob serial=X id=7; %d deactivate eve serial=Y id=8; %d deactivate bob serial=Z id=9", s, s, s))...)); sorted(got) !=
		sorted(fmt.Sprintf("rob reduced@%d low; eve reduced@%d low; bob opened@%d high", s, s, s)) {
		t.Error(got)
	}
}

func sorted(s string) string {
	parts := strings.Split(s, "; ")
	slices.Sort(parts)
	return strings.Join(parts, "; ")
}

func TestStateStaysSmall(t *testing.T) {
	t.Parallel()
	trailtest.Long(t, 11)
	d := newTestAccount(t)
	for i := range 200 {
		s := i * 24 * 3600
		d.arrive(at(s+120), script(t, fmt.Sprintf("%d deactivate bob serial=A%d id=d%d; %d enable bob serial=A%d id=e%d; %d login+ bob id=l%d from=198.51.100.7; %d rename bob new=Bob id=r%d; %d deactivate bob id=u%d; %d login- bob id=v%d; %d enable bob id=w%d; %d enable eve serial=E id=x%d; %d login+ bob from=198.51.100.9 id=y%d",
			s, i, i, s+10, i+1, i, s+20, i, s+30, i, s+40, i, s+41, i, s+42, i, s+43, i, s+110, i))...)
	}
	given := slices.DeleteFunc(slices.Clone(d.events), func(e *trail.Event) bool { return strings.HasPrefix(e.Name, "mfawatch:") })
	if len(given) > 40*9 || len(d.events)-len(given) > 2*40 || len(d.state) > 60000 || strings.Count(string(d.state), `"A`) > 80 ||
		strings.Count(string(d.state), `"DeactivateMFADevice","user":"bob"}`) > 2 || strings.Count(string(d.state), `"EnableMFADevice","user":"bob"}`) > 2 {
		t.Errorf("%d events, %d bytes of state", len(d.events), len(d.state))
	}
}

func TestStateVersion(t *testing.T) {
	var st State
	if err := json.Unmarshal([]byte(`{"version":3}`), &st); err == nil || !strings.Contains(err.Error(), "version is 3") {
		t.Errorf("got %v", err)
	}
	if err := json.Unmarshal([]byte(`{"version":"x"}`), &st); err == nil {
		t.Error("no error")
	}
	if b := encode(t, State{}); string(b) != `{"version":1}` || !mustState(t, b).IsZero() {
		t.Errorf("the zero state is %s", b)
	}
}

func TestInputsAreLeftAlone(t *testing.T) {
	events := script(t, "0 deactivate bob serial=A; 5 login- bob; 9 deactivate bob serial=B; 9 deactivate x fail=AccessDenied")
	first := Notify(events, State{}, at(20), exposure.DefaultPolicy())
	more := append(slices.Clone(events), script(t, "6 createkey bob id=x; 12 enable bob serial=B id=y")...)
	before, state := snapshot(t, more), encode(t, first.State)
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(more), func(i, j int) { more[i], more[j] = more[j], more[i] })
	order := slices.Clone(more)
	Notify(more, first.State, at(3000), exposure.DefaultPolicy())
	Notify(more, first.State, at(100*24*3600), exposure.DefaultPolicy())
	Fold(more)
	if string(encode(t, first.State)) != string(state) || !slices.Equal(order, more) || snapshot(t, more) != before {
		t.Error("the input was changed")
	}
	if out := Notify(nil, State{}, at(0), exposure.Policy{}); len(out.Alerts)+len(out.Open)+len(out.Drop) > 0 || !out.State.IsZero() || !out.Next.IsZero() {
		t.Errorf("of nothing follows %+v", out)
	}
	Notify([]*trail.Event{nil, {}, {Name: "x"}}, State{}, at(0), exposure.DefaultPolicy())
	Fold([]*trail.Event{nil, {}, {Name: trail.DeactivateMFADevice}})
}

func snapshot(t testing.TB, events []*trail.Event) string {
	var lines []string
	for _, e := range events {
		b, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(b))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
