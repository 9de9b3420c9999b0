package journal

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/processor/trail"
)

func enlist(t testing.TB, j *Journal, names ...string) {
	t.Helper()
	if err := j.Register(names...); err != nil {
		t.Fatal(err)
	}
}

// alertEach journals one alert for each of the events.
func alertEach(t testing.TB, j *Journal, events ...*trail.Event) {
	t.Helper()
	mustAppend(t, j, events...)
	mustFold(t, j, each)
}

func numbers(t testing.TB, j *Journal, sink string) []uint64 {
	t.Helper()
	pending, err := j.Pending(sink, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	ns := []uint64{}
	for _, p := range pending {
		ns = append(ns, p.Number)
	}
	return ns
}

func done(t testing.TB, j *Journal, sink string, ns ...uint64) {
	t.Helper()
	for _, n := range ns {
		if err := j.Done(sink, outbox.Result{Number: n}); err != nil {
			t.Fatal(err)
		}
	}
}

func stats(t testing.TB, j *Journal, sink string) outbox.SinkStats {
	t.Helper()
	s, err := j.Stats()
	if err != nil {
		t.Fatal(err)
	}
	return s.Sinks[sink]
}

func TestSinksHaveCursorsOfTheirOwn(t *testing.T) {
	j := temp(t)
	enlist(t, j, "a", "b")
	alertEach(t, j, event("1", "bob", 1), event("1", "bob", 2), event("1", "eve", 3))
	done(t, j, "a", 1, 3)
	for _, restart := range []bool{false, true} {
		if restart {
			j = reopen(t, j)
			enlist(t, j, "a", "b")
		}
		if got := numbers(t, j, "a"); !slices.Equal(got, []uint64{2}) {
			t.Errorf("restart %v: pending for a: %v, want 2", restart, got)
		}
		if got := numbers(t, j, "b"); !slices.Equal(got, []uint64{1, 2, 3}) {
			t.Errorf("restart %v: pending for b: %v, want all", restart, got)
		}
		if a, b := stats(t, j, "a"), stats(t, j, "b"); a.Pending != 1 || b.Pending != 3 || a.Oldest.IsZero() {
			t.Errorf("restart %v: stats %+v and %+v", restart, a, b)
		}
	}
	done(t, j, "a", 2, 2) // to note one twice is no error
	if s := stats(t, j, "a"); s.Pending != 0 || !s.Oldest.IsZero() || len(numbers(t, j, "a")) != 0 {
		t.Errorf("all acked: %+v", s)
	}
	if pending, _ := j.Pending("b", 1, 1); len(pending) != 1 || pending[0].Number != 2 || pending[0].Lane != "1/bob" {
		t.Errorf("after 1, one alert: %+v", pending)
	}
}

func TestSinkNewAndVanished(t *testing.T) {
	j := temp(t)
	enlist(t, j, "old")
	alertEach(t, j, event("1", "bob", 1), event("1", "bob", 2))
	done(t, j, "old", 1)
	j = reopen(t, j)
	enlist(t, j, "new")
	if got := numbers(t, j, "new"); len(got) != 0 {
		t.Errorf("a new sink gets earlier alerts: %v", got)
	}
	if _, err := j.Pending("old", 0, 10); !errors.Is(err, outbox.ErrUnknownSink) {
		t.Errorf("a sink that is not registered: %v", err)
	}
	if err := j.Done("old", outbox.Result{Number: 2}); !errors.Is(err, outbox.ErrUnknownSink) {
		t.Errorf("a sink that is not registered: %v", err)
	}
	alertEach(t, j, event("1", "bob", 3))
	j = reopen(t, j)
	enlist(t, j, "old", "new")
	if got := numbers(t, j, "old"); !slices.Equal(got, []uint64{2, 3}) {
		t.Errorf("pending for a sink that came back: %v, want 2 and 3", got)
	}
	if got := numbers(t, j, "new"); !slices.Equal(got, []uint64{3}) {
		t.Errorf("pending for the new sink: %v, want 3", got)
	}
	if err := j.Register(""); err == nil {
		t.Error("a sink without a name was registered")
	}
}

func TestRefIsKeptPerExposureAndSink(t *testing.T) {
	j := temp(t)
	enlist(t, j, "a", "b")
	alertEach(t, j, event("1", "bob", 1), event("1", "bob", 2), event("1", "eve", 3))
	if err := j.Done("a", outbox.Result{Number: 1, Ref: "ticket-7"}); err != nil {
		t.Fatal(err)
	}
	j = reopen(t, j)
	enlist(t, j, "a", "b")
	for _, tt := range []struct {
		sink   string
		number uint64
		want   string
	}{{"a", 2, "ticket-7"}, {"a", 3, ""}, {"b", 2, ""}} {
		a, ref, err := j.Load(tt.sink, tt.number)
		if err != nil || ref != tt.want || a.ID != fmt.Sprintf("alert-1-%s-%d", map[bool]string{true: "eve", false: "bob"}[tt.number == 3], tt.number) {
			t.Errorf("%s, alert %d: ref %q, %v, alert %+v", tt.sink, tt.number, ref, err, a)
		}
	}
	// A sink that gave a reference knows the exposure.
	pending, err := j.Pending("a", 0, 10)
	if err != nil || len(pending) != 2 || !pending[0].Known || pending[1].Known {
		t.Errorf("pending %+v, %v", pending, err)
	}
	if err := j.Done("a", outbox.Result{Number: 2}); err != nil {
		t.Fatal(err)
	}
	alertEach(t, j, event("1", "bob", 4))
	if _, ref, err := j.Load("a", 4); err != nil || ref != "" {
		t.Errorf("a ref that was taken back: %q, %v", ref, err)
	}
	if _, _, err := j.Load("a", 99); err == nil {
		t.Error("loaded an alert that is not there")
	}
}

// The reference of a partial delivery is kept, and nothing else changes.
func TestRefOfAPartialDelivery(t *testing.T) {
	j := temp(t)
	enlist(t, j, "a")
	alertEach(t, j, event("1", "bob", 1), event("1", "bob", 2))
	if err := j.Done("a", outbox.Result{Number: 1, Outcome: outbox.Partial, Ref: "half"}); err != nil {
		t.Fatal(err)
	}
	for _, restart := range []bool{false, true} {
		if restart {
			j = reopen(t, j)
			enlist(t, j, "a")
		}
		if got := numbers(t, j, "a"); !slices.Equal(got, []uint64{1, 2}) {
			t.Errorf("restart %v: pending %v, want both", restart, got)
		}
		if _, ref, err := j.Take("a", 1); err != nil || ref != "half" {
			t.Errorf("restart %v: ref %q, %v", restart, ref, err)
		}
	}
}

func TestBury(t *testing.T) {
	j := temp(t)
	enlist(t, j, "a")
	alertEach(t, j, event("1", "bob", 1), event("1", "bob", 2))
	for range 2 { // twice is no error
		err := j.Bury("a", outbox.DeadLetter{Number: 1, Cause: "no such channel", Attempts: 3, First: start, Last: start.Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, restart := range []bool{false, true} {
		if restart {
			j = reopen(t, j)
			enlist(t, j, "a")
		}
		if s := stats(t, j, "a"); s.Dead != 1 || s.Pending != 1 {
			t.Errorf("restart %v: %+v", restart, s)
		}
		letters, err := j.DeadLetters("a")
		if err != nil || len(letters) != 1 || letters[0].Cause != "no such channel" || letters[0].Attempts != 3 ||
			!letters[0].First.Equal(start) || letters[0].Alert.ID != "alert-1-bob-1" {
			t.Errorf("restart %v: %+v, %v", restart, letters, err)
		}
	}
	if _, err := j.DeadLetters("unknown"); !errors.Is(err, outbox.ErrUnknownSink) {
		t.Errorf("dead letters of an unknown sink: %v", err)
	}
}

func TestPrune(t *testing.T) {
	j := temp(t)
	enlist(t, j, "a", "b", "gone")
	over := func(events []*trail.Event, st alerting.State, now time.Time) alerting.Outcome {
		out := each(events, st, now)
		for _, a := range out.Alerts {
			if a.ID == "alert-1-eve-2" {
				a.Step = exposure.Resolved
			}
		}
		out.Open = []exposure.Open{{ID: "1/bob", Account: "1", User: "bob"}}
		return out
	}
	mustAppend(t, j, event("1", "bob", 1), event("1", "eve", 2), event("1", "ann", 2), event("1", "al", 4))
	mustFold(t, j, over)
	if _, err := j.Quarantine(t.Context(), []Quarantined{{Origin: "a", Raw: []byte("{")}}); err != nil {
		t.Fatal(err)
	}
	if err := j.Bury("b", outbox.DeadLetter{Number: 1, Cause: "no"}); err != nil {
		t.Fatal(err)
	}
	done(t, j, "gone", 2) // out of turn, and about to be removed
	for _, sink := range []string{"a", "b"} {
		for n, ref := range []string{"ref-bob", "ref-ann", "ref-eve"} {
			if err := j.Done(sink, outbox.Result{Number: uint64(n + 1), Ref: ref}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := j.Done("a", outbox.Result{Number: 4, Outcome: outbox.Partial, Ref: "ref-al"}); err != nil {
		t.Fatal(err)
	}
	j = reopen(t, j)
	enlist(t, j, "a", "b")

	if err := j.Compact(t.Context(), time.Now().Add(34*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if n := mustAppend(t, j, event("1", "bob", 1)); n != 0 {
		t.Error("an ID was forgotten within the retention")
	}
	if _, _, err := j.Load("a", 1); err != nil {
		t.Errorf("an alert was removed within the retention: %v", err)
	}
	if got, err := j.QuarantineRecords(); err != nil || len(got) != 1 {
		t.Errorf("quarantined within the retention: %v, %v", got, err)
	}

	if err := j.Compact(t.Context(), time.Now().Add(36*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := j.Load("a", 1); err == nil {
		t.Error("an alert acked by all registered sinks outlived the retention")
	}
	if _, ref, err := j.Load("a", 4); err != nil || ref != "ref-al" {
		t.Errorf("a pending alert was removed, or its reference: %v, %q", err, ref)
	}
	if got, _ := j.DeadLetters("b"); len(got) != 1 || got[0].Alert == nil {
		t.Errorf("the dead letter is gone: %+v", got)
	}
	if got, _ := j.QuarantineRecords(); len(got) != 0 {
		t.Errorf("quarantined beyond the retention: %v", got)
	}
	if n := mustAppend(t, j, event("1", "zoe", 9)); n != 1 {
		t.Error("a new event was taken for an old one")
	}
	mustFold(t, j, func(events []*trail.Event, st alerting.State, now time.Time) alerting.Outcome {
		return alerting.Outcome{Alerts: []*exposure.Alert{
			alert(event("1", "bob", 10)), alert(event("1", "eve", 11)), alert(event("1", "ann", 12))}}
	})
	for n, want := range map[uint64]string{5: "ref-bob", 6: "", 7: ""} { // eve's exposure is over, and ann's is not open
		if a, ref, err := j.Load("a", n); err != nil || ref != want {
			t.Errorf("ref of %v: %q, %v, want %q", a, ref, err, want)
		}
	}
	j = reopen(t, j)
	enlist(t, j, "gone")
	if got := numbers(t, j, "gone"); !slices.Equal(got, []uint64{4, 5, 6, 7}) {
		t.Errorf("pending for a sink that was away: %v, want what is left", got)
	}
	if s := stats(t, j, "gone"); s.Pending != 4 || s.Oldest.IsZero() {
		t.Errorf("a sink that was away: %+v", s)
	}
}

// The reference of a campaign is kept as long as one of its exposures is open: its
// end has to go where its start went.
func TestPruneKeepsWhatIsKnownOfACampaign(t *testing.T) {
	j := temp(t)
	enlist(t, j, "a")
	mustAppend(t, j, event("1", "wave", 1), event("1", "other", 2))
	mustFold(t, j, func(events []*trail.Event, st alerting.State, now time.Time) alerting.Outcome {
		out := each(events, st, now)
		out.Open = []exposure.Open{{ID: "1/bob", Account: "1", User: "bob", Campaign: "1/wave"}}
		return out
	})
	for n := range uint64(2) {
		if err := j.Done("a", outbox.Result{Number: n + 1, Ref: "ticket"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Compact(t.Context(), time.Now().Add(36*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, j, event("1", "zoe", 9))
	mustFold(t, j, func([]*trail.Event, alerting.State, time.Time) alerting.Outcome {
		return alerting.Outcome{Alerts: []*exposure.Alert{alert(event("1", "wave", 3)), alert(event("1", "other", 4))}}
	})
	for number, want := range map[uint64]string{3: "ticket", 4: ""} {
		if a, ref, err := j.Load("a", number); err != nil || ref != want {
			t.Errorf("%v: ref %q, %v, want %q", a, ref, err, want)
		}
	}
}

func TestAsidesAreBounded(t *testing.T) {
	j := temp(t)
	var records []Quarantined
	for i := range maxQuarantined + 10 {
		records = append(records, Quarantined{Origin: "s3://b/k", Offset: int64(i), Reason: "syntax", Err: "bad", Raw: []byte("\xff<")})
	}
	for range 2 {
		if left, err := j.Quarantine(t.Context(), append(records, records[0])); err != nil || left != 10 {
			t.Fatalf("%d left out, %v", left, err)
		}
	}
	got, err := j.QuarantineRecords()
	if err != nil || len(got) != maxQuarantined {
		t.Fatalf("%d kept, %v, want %d", len(got), err, maxQuarantined)
	}
	// No other room is full: of another source's records, or of messages.
	for _, source := range []string{"", "queue"} {
		for _, message := range []bool{false, true} {
			first := Quarantined{Source: source, Message: message, Origin: "s3://b/k", Raw: []byte("{")}
			want := 0
			if source == "" && !message {
				want = 1
			}
			if left, err := j.Quarantine(t.Context(), []Quarantined{first}); err != nil || left != want {
				t.Errorf("source %q, message %t: %d left out, %v, want %d", source, message, left, err, want)
			}
		}
	}
	if string(got[0].Raw) != "\xff<" || got[0].Reason != "syntax" || got[0].Time.IsZero() {
		t.Errorf("kept %+v", got[0])
	}
}
