package journal

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/processor/journal/store"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// deliveriesOf returns the deliveries of the exposure's alerts as text, the newest first:
// ID sink state attempts "reference" "why".
func deliveriesOf(t *testing.T, j *Journal, id string) string {
	t.Helper()
	story, err := j.Story(id, 100)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, r := range story {
		b.WriteString(r.Alert.ID + ":")
		for _, d := range r.Deliveries {
			text, err := json.Marshal(d)
			if err != nil {
				t.Fatal(err)
			}
			b.Write(text)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestDeliveriesAreKept(t *testing.T) {
	j := temp(t)
	enlist(t, j, "a", "b")
	alertEach(t, j, event("1", "bob", 1), event("1", "bob", 2), event("1", "bob", 3), event("1", "bob", 4))
	exposed := func() string {
		a, _, err := j.Load("b", 1)
		if err != nil {
			t.Fatal(err)
		}
		return *a.Exposure
	}()
	at := start.Add(time.Hour)
	err := errors.Join(
		j.Failed("a", outbox.Failure{Number: 1, Attempts: 2, Last: at, Why: "connection refused\x1b[2J"}),
		j.Done("a",
			outbox.Result{Number: 2, Outcome: outbox.Suppressed, Time: at, Why: "routes[0] notifies it from high on"},
			outbox.Result{Number: 3, Outcome: outbox.Held, Time: at, Until: at.Add(time.Hour), Why: "routes[1] notifies it after its mute times"}),
		j.Bury("a", outbox.DeadLetter{Number: 4, Cause: strings.Repeat("x", 1000), Attempts: 7, Last: at}),
	)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, want ...string) {
		t.Helper()
		got := deliveriesOf(t, j, exposed)
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%s: no %s in\n%s", what, w, got)
			}
		}
	}
	pending := `{"sink":"b","state":"pending","time":null,"attempts":0}`
	states := []string{
		`{"sink":"a","state":"pending","time":"2026-05-01T09:00:00Z","attempts":2,"why":"connection refused�[2J"}` + pending,
		`{"sink":"a","state":"suppressed","time":"2026-05-01T09:00:00Z","attempts":0,"why":"routes[0] notifies it from high on"}` + pending,
		`{"sink":"a","state":"held","time":"2026-05-01T09:00:00Z","attempts":0,"why":"routes[1] notifies it after its mute times","until":"2026-05-01T10:00:00Z"}` + pending,
		`{"sink":"a","state":"dead_letter","time":"2026-05-01T09:00:00Z","attempts":7,"why":"` + strings.Repeat("x", 397) + `…"}` + pending,
	}
	check("recorded", states...)
	j = reopen(t, j)
	check("of a stopped service", states...)
	enlist(t, j, "a", "b", "new")
	check("after a restart", states...)
	if got := deliveriesOf(t, j, exposed); strings.Contains(got, "new") {
		t.Errorf("a sink that came later:\n%s", got)
	}

	// The end of an alert replaces its last delivery, and is not replaced.
	err = errors.Join(
		j.Done("a", outbox.Result{Number: 1, Time: at, Attempts: 3, Receipt: "ticket 4711"}, outbox.Result{Number: 3, Outcome: outbox.Superseded, Why: "a later alert"}),
		j.Done("a", outbox.Result{Number: 1, Outcome: outbox.Superseded}),
		j.Failed("a", outbox.Failure{Number: 1, Attempts: 9}),
	)
	if err != nil {
		t.Fatal(err)
	}
	check("delivered", `{"sink":"a","state":"delivered","time":"2026-05-01T09:00:00Z","attempts":3,"reference":"ticket 4711"}`, `"state":"superseded"`)

	// A dead letter that is retried is pending, and then what comes of that.
	if n := retryAll(t, j, "a", 4); n != 1 {
		t.Fatalf("%d retried", n)
	}
	check("retried", `{"sink":"a","state":"pending","time":null,"attempts":0}`+pending)
	done(t, j, "a", 5)
	story, err := j.Story(exposed, 2)
	if err != nil || len(story) != 2 || story[0].Deliveries[0].State != outbox.StateDelivered || story[0].Deliveries[1].State != outbox.StatePending {
		t.Errorf("a retried dead letter was delivered: %+v, %v", story, err)
	}
	if none, err := j.Story("none", 2); err != nil || len(none) != 0 {
		t.Errorf("no such exposure: %v, %v", none, err)
	}
}

// A page of older alerts knows what became of one under a later number, and the index
// by lane has what the journal has.
func TestLatestBeforeARetry(t *testing.T) {
	j := temp(t)
	enlist(t, j, "a")
	alertEach(t, j, event("1", "bob", 1), event("2", "eve", 2), event("1", "bob", 3))
	if err := j.Bury("a", outbox.DeadLetter{Number: 1, Cause: "no", Attempts: 7}); err != nil {
		t.Fatal(err)
	}
	done(t, j, "a", 2, 3)
	if n := retryAll(t, j, "a", 1); n != 1 {
		t.Fatalf("%d retried", n)
	}
	for _, before := range []uint64{0, 4, 3, 2} {
		page, err := j.Latest(before, 9)
		if want := map[uint64]int{0: 3, 4: 3, 3: 2, 2: 1}[before]; err != nil || len(page) != want {
			t.Fatalf("before %d: %d alerts, %v", before, len(page), err)
		}
		if last := page[len(page)-1]; last.Number != 1 || last.Deliveries[0].State != outbox.StatePending {
			t.Errorf("before %d: %+v", before, last)
		}
	}
	done(t, j, "a", 4)
	if page, err := j.Latest(2, 9); err != nil || len(page) != 1 || page[0].Deliveries[0].State != outbox.StateDelivered {
		t.Errorf("delivered under its later number: %+v, %v", page, err)
	}
	if err := j.Compact(t.Context(), time.Now().Add(j.retention+time.Hour)); err != nil {
		t.Fatal(err)
	}
	err := j.store.View(func(tx *store.Tx) error {
		n, err := tx.Count("alert-lanes")
		if n != 0 {
			t.Errorf("%d entries of the index are left", n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A stop between two transactions of a compaction leaves a journal that opens.
func TestCompactionMayStopAnywhere(t *testing.T) {
	for sinks := range 5 { // each has a delivery of each alert to remove
		j := temp(t)
		names := []string{"a", "b", "c", "d"}[:sinks]
		enlist(t, j, names...)
		alertEach(t, j, events(700)...)
		for _, name := range names {
			var all []outbox.Result
			for n := range uint64(700) {
				all = append(all, outbox.Result{Number: n + 1})
			}
			if err := j.Done(name, all...); err != nil {
				t.Fatal(err)
			}
		}
		err := j.Compact(&stopping{Context: t.Context(), after: 1}, time.Now().Add(j.retention+time.Hour))
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("%d sinks: got %v, want that it stopped", sinks, err)
		}
		reopen(t, j)
	}
}

// A stopping context is done once Err was asked so many times.
type stopping struct {
	context.Context
	after int
}

func (c *stopping) Err() error {
	if c.after--; c.after < 0 {
		return context.Canceled
	}
	return nil
}

// Deliveries go with their alert.
func TestDeliveriesAreCompacted(t *testing.T) {
	j := temp(t)
	enlist(t, j, "a", "b")
	alertEach(t, j, events(3)...)
	done(t, j, "a", 1, 2, 3)
	done(t, j, "b", 1, 2)
	if err := j.Compact(t.Context(), time.Now().Add(j.retention+time.Hour)); err != nil {
		t.Fatal(err)
	}
	for sink, want := range map[string]int{"a": 1, "b": 0} {
		left := 0
		err := j.store.View(func(tx *store.Tx) (err error) {
			left, err = tx.Count(outbox.SinkGroup, sink, "deliveries")
			return err
		})
		if err != nil || left != want {
			t.Errorf("sink %s: %d deliveries left, want %d, %v", sink, left, want, err)
		}
	}
}

func TestSummaries(t *testing.T) {
	j := temp(t)
	enlist(t, j, "a")
	mustAppend(t, j, event("1", "bob", 1))
	of := func(exposed string, n int, s exposure.Step, v exposure.Severity) *exposure.Alert {
		a := alert(event("1", "bob", n))
		if a.Step, a.Severity, a.Exposure = s, v, &exposed; exposed == "" {
			a.Exposure = nil
		}
		return a
	}
	mustFold(t, j, func([]*trail.Event, alerting.State, time.Time) alerting.Outcome {
		return alerting.Outcome{Alerts: []*exposure.Alert{
			of("x1", 1, exposure.Opened, exposure.Critical), of("x2", 2, exposure.Opened, exposure.High), of("", 3, exposure.Attempted, exposure.Medium),
			of("x1", 4, exposure.Resolved, exposure.Info),
		}}
	})
	var got []string
	list := func(n int) {
		got = nil
		err := j.Summaries(func(s outbox.Summary) bool {
			got = append(got, *s.Last.Exposure+" "+string(s.Last.Step)+" "+string(s.Severity))
			return len(got) < n
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if list(9); strings.Join(got, ", ") != "x1 resolved critical, x2 opened high" {
		t.Errorf("got %v", got)
	}
	if list(1); len(got) != 1 {
		t.Errorf("it goes on: %v", got)
	}
}
