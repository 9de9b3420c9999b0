package processor

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/journal/store"
	"github.com/mfawatch/mfawatch/processor/trail"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// record is a CloudTrail record, n seconds after the first moment of 2000,
// which is when a bubble of fake time begins.
func record(name, user string, n int) string {
	return fmt.Sprintf(`{"eventVersion":"1.11","userIdentity":{"type":"IAMUser","principalId":"AIDA","arn":"arn:aws:iam::111122223333:user/alice",`+
		`"accountId":"111122223333","accessKeyId":"AKIA","userName":"alice"},"eventTime":%q,"eventSource":"iam.amazonaws.com","eventName":%q,`+
		`"awsRegion":"us-east-1","sourceIPAddress":"203.0.113.7","userAgent":"aws-cli","requestParameters":{"userName":%q,`+
		`"serialNumber":"arn:aws:iam::111122223333:mfa/%s"},"responseElements":null,"eventID":"%s-%s-%d","readOnly":false,`+
		`"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management"}`,
		time.Date(2000, 1, 1, 0, 0, n, 0, time.UTC).Format(time.RFC3339), name, user, user, name, user, n)
}

// own makes a record of alice's one of bob's.
func own(record string) string { return strings.ReplaceAll(record, "alice", "bob") }

func object(records ...string) string { return `{"Records":[` + strings.Join(records, ",") + `]}` }

func delivery(parts ...Part) Delivery {
	return Delivery{Source: "files", Parts: func(yield func(Part, error) bool) {
		for _, p := range parts {
			if !yield(p, nil) {
				return
			}
		}
	}}
}

func inBytes(place, s string) Part { return Part{Origin: trail.At(place, 7), Bytes: []byte(s)} }

func openJournal(t testing.TB) *journal.Journal {
	t.Helper()
	j, err := journal.Open(filepath.Join(t.TempDir(), "mfawatch.db"), journal.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

// A faultyLine is a journal that fails on demand, and counts.
type faultyLine struct {
	*journal.Journal
	mu               sync.Mutex
	appendErr        error
	foldErr          error
	appends, biggest int
}

func (l *faultyLine) set(appendErr, foldErr error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.appendErr, l.foldErr = appendErr, foldErr
}

func (l *faultyLine) Append(ctx context.Context, events []*trail.Event) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.appends++
	l.biggest = max(l.biggest, len(events))
	if l.appendErr != nil {
		return 0, l.appendErr
	}
	return l.Journal.Append(ctx, events)
}

func (l *faultyLine) Fold(ctx context.Context, now time.Time, f journal.Folder, folded func(journal.Folded)) (time.Time, error) {
	l.mu.Lock()
	err := l.foldErr
	l.mu.Unlock()
	if err != nil {
		return time.Time{}, err
	}
	return l.Journal.Fold(ctx, now, f, folded)
}

type rig struct {
	*Processor
	line *faultyLine
	reg  *prometheus.Registry
	log  *bytes.Buffer
}

func newRig(t testing.TB) *rig {
	r := &rig{line: &faultyLine{Journal: openJournal(t)}, reg: prometheus.NewPedanticRegistry(), log: new(bytes.Buffer)}
	r.Processor = newProcessor(r.line, Options{Logger: slog.New(slog.NewTextHandler(r.log, nil)), Registerer: r.reg, Policy: exposure.DefaultPolicy()})
	return r
}

// alerts folds, and returns steps and users in their order.
func (r *rig) alerts(t testing.TB, now time.Time) (steps []string) {
	t.Helper()
	_, err := r.line.Journal.Fold(t.Context(), now, r.fold, func(f journal.Folded) {
		r.record(f)
		for _, a := range f.Alerts {
			if a.Step != exposure.StepCampaign {
				steps = append(steps, string(a.Step)+" "+*a.User)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return steps
}

func TestHandleJournalsWhatMatters(t *testing.T) {
	r := newRig(t)
	d := delivery(
		inBytes("a", object(record("ListUsers", "bob", 1), record("DeactivateMFADevice", "bob", 2))),
		Part{Origin: trail.Place("b"), Body: strings.NewReader(object(record("DeactivateMFADevice", "eve", 3)))},
	)
	for range 2 { // offered again, it changes nothing
		if err := r.Handle(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		d = delivery(inBytes("a", object(record("DeactivateMFADevice", "bob", 2), record("DeactivateMFADevice", "eve", 3))))
	}
	if r.line.appends != 2 {
		t.Errorf("%d appends for two deliveries", r.line.appends)
	}
	got := r.alerts(t, time.Date(2000, 1, 1, 0, 1, 0, 0, time.UTC))
	if fmt.Sprint(got) != "[opened bob opened eve]" {
		t.Errorf("alerts %v", got)
	}
	err := testutil.GatherAndCompare(r.reg, strings.NewReader(`
# HELP mfawatch_records_total CloudTrail records read, watched or not.
# TYPE mfawatch_records_total counter
mfawatch_records_total{source="files"} 5
`), "mfawatch_records_total")
	if err != nil {
		t.Error(err)
	}
	if n := testutil.ToFloat64(r.metrics.matches.WithLabelValues("DeactivateMFADevice")); n != 4 {
		t.Errorf("%v matches counted, want 4", n)
	}
	if n := testutil.CollectAndCount(r.reg, "mfawatch_event_alert_latency_seconds"); n != 1 {
		t.Errorf("%d histograms", n)
	}
	if n := testutil.ToFloat64(r.metrics.alerts.WithLabelValues("opened", "high")); n != 2 {
		t.Errorf("%v alerts counted, want 2", n)
	}
}

// Each alert is logged once, with text of others bounded and escaped.
func TestAlertsAreLogged(t *testing.T) {
	r := newRig(t)
	hostile := "bob\x1b[2J level=ERROR " + strings.Repeat("x", 1000)
	at := time.Date(2000, 1, 1, 0, 1, 0, 0, time.UTC)
	err := r.Handle(t.Context(), delivery(inBytes("a", object(record("DeactivateMFADevice", "eve", 3)))))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		r.alerts(t, at)
	}
	line := regexp.MustCompile(`level=INFO msg="an alert was journalled" alert=\S+ exposure=\S+ step=opened severity=high account=111122223333 user=eve\n`)
	if !line.MatchString(r.log.String()) || strings.Count(r.log.String(), "journalled") != 1 {
		t.Errorf("log: %s", r.log)
	}
	r.log.Reset()
	r.logAlert(&exposure.Alert{ID: "a1", Step: exposure.Attempted, Severity: exposure.Medium, Account: "1", User: &hostile})
	if log := r.log.String(); !strings.Contains(log, `exposure="" step=attempted`) || strings.Contains(log, "\x1b") || len(log) > 500 || strings.Count(log, "\n") != 1 {
		t.Errorf("log: %q", log)
	}
}

func TestHandleOfNothingAppendsNothing(t *testing.T) {
	r := newRig(t)
	if err := r.Handle(t.Context(), delivery(inBytes("a", object()), inBytes("b", ""))); err != nil {
		t.Fatal(err)
	}
	if r.line.appends != 0 {
		t.Errorf("%d appends", r.line.appends)
	}
}

func TestHandleHugeObjectInSteps(t *testing.T) {
	r := newRig(t)
	const n = 2*maxEvents + 10
	var records []string
	for i := range n {
		records = append(records, record("DeactivateMFADevice", "bob", i))
	}
	if err := r.Handle(t.Context(), delivery(inBytes("a", object(records...)))); err != nil {
		t.Fatal(err)
	}
	if r.line.appends != 3 || r.line.biggest > maxEvents {
		t.Errorf("%d appends, the biggest of %d events", r.line.appends, r.line.biggest)
	}
	r.alerts(t, time.Date(2000, 1, 1, 1, 0, 0, 0, time.UTC))
}

// An unreadable record is no error; its neighbours are read.
func TestHandleUnreadable(t *testing.T) {
	r := newRig(t)
	noTime := strings.Replace(record("DeactivateMFADevice", "al", 1), `"eventTime"`, `"eventTimes"`, 1)
	err := r.Handle(t.Context(), delivery(
		inBytes("kafka://t/0", object(noTime, noTime, record("DeactivateMFADevice", "bob", 2))),
		inBytes("kafka://t/1", "\x1f\x8b\x08broken"),
		inBytes("kafka://t/2", object(record("DeactivateMFADevice", "eve", 3))),
	))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.alerts(t, time.Date(2000, 1, 1, 0, 1, 0, 0, time.UTC)); fmt.Sprint(got) != "[opened bob opened eve]" {
		t.Errorf("alerts %v", got)
	}
	logs := r.log.String()
	if n := strings.Count(logs, "level=WARN"); n != 2 {
		t.Errorf("%d warnings, want one for each reason:\n%s", n, logs)
	}
	if !strings.Contains(logs, "reason=record count=2 origin=kafka://t/0@7 ") {
		t.Errorf("log:\n%s", logs)
	}
	if n := testutil.ToFloat64(r.metrics.unread.WithLabelValues("files", "record")); n != 2 {
		t.Errorf("%v counted, want 2", n)
	}
	quarantined, err := r.line.QuarantineRecords()
	if err != nil || len(quarantined) != 2 || !strings.Contains(string(quarantined[0].Raw), "eventTimes") || quarantined[0].Origin != "kafka://t/0@7" {
		t.Errorf("quarantined %+v, %v", quarantined, err)
	}
}

// A part inflates to as much as its source allows, and the next one to as much as any.
func TestHandleBoundsAnArchive(t *testing.T) {
	r := newRig(t)
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("trail.json")
	if err == nil {
		_, err = io.WriteString(w, object(record("DeactivateMFADevice", "bob", 1))+strings.Repeat(" ", 1<<20))
	}
	if err = errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	for i, most := range []int64{1 << 20, 0} {
		part := Part{Origin: trail.Place("archive"), Body: bytes.NewReader(b.Bytes()), MaxInflated: most}
		if err := r.Handle(t.Context(), delivery(part)); err != nil {
			t.Fatal(err)
		}
		if n := testutil.ToFloat64(r.metrics.unread.WithLabelValues("files", string(trail.ReasonTooInflated))); n != 1 {
			t.Errorf("part %d: %v were over the bound, want 1", i, n)
		}
	}
}

func TestHandleFailures(t *testing.T) {
	injected := errors.New("injected")
	match := object(record("DeactivateMFADevice", "bob", 2))
	var huge []string
	for i := range 3 * maxEvents {
		huge = append(huge, record("DeactivateMFADevice", "bob", i))
	}
	tests := []struct {
		name      string
		parts     iter.Seq2[Part, error]
		appendErr error
		appends   int
	}{
		{"a part that cannot be fetched", func(yield func(Part, error) bool) {
			if yield(inBytes("a", match), nil) {
				yield(Part{}, injected)
			}
		}, nil, 0},
		{"a body that breaks off", delivery(Part{Origin: trail.Place("a"), Body: io.MultiReader(strings.NewReader(match[:600]), errReader{injected})}).Parts, nil, 0},
		{"a journal that is full", delivery(inBytes("a", match)).Parts, injected, 1},
		{"a journal that is full, and a huge object", delivery(Part{Origin: trail.Place("a"), Body: strings.NewReader(object(huge...))}).Parts, injected, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.line.set(tt.appendErr, nil)
			err := r.Handle(t.Context(), Delivery{Source: "s", Parts: tt.parts})
			if !errors.Is(err, injected) || !strings.HasPrefix(err.Error(), "delivery of source s: ") {
				t.Errorf("got %v", err)
			}
			if r.line.appends != tt.appends {
				t.Errorf("%d appends, want %d", r.line.appends, tt.appends)
			}
			if ready := r.Ready(); (ready != nil) != (tt.appendErr != nil) {
				t.Errorf("ready: %v", ready)
			}
			// The next delivery is not spoiled by what this one left.
			r.line.set(nil, nil)
			if err := r.Handle(t.Context(), delivery(inBytes("a", object(record("DeactivateMFADevice", "eve", 3))))); err != nil {
				t.Fatal(err)
			}
			if err := r.Ready(); err != nil {
				t.Errorf("after an append that worked: %v", err)
			}
			if got := r.alerts(t, time.Date(2000, 1, 1, 0, 1, 0, 0, time.UTC)); fmt.Sprint(got) != "[opened eve]" {
				t.Errorf("alerts %v", got)
			}
		})
	}
}

// A part that is given up is quarantined with its cause, once, and not looked
// into; its neighbours are read. Without room for it the delivery fails.
func TestHandleGivenUp(t *testing.T) {
	r := newRig(t)
	given := Part{
		Origin: trail.Place("sqs://trail/m"), Bytes: []byte(object(record("DeactivateMFADevice", "al", 1))),
		GivenUp: &GivenUp{Reason: "missing", Err: errors.New("no such key")},
	}
	for range 2 {
		if err := r.Handle(t.Context(), delivery(inBytes("a", object(record("DeactivateMFADevice", "bob", 2))), given)); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.alerts(t, time.Date(2000, 1, 1, 0, 1, 0, 0, time.UTC)); fmt.Sprint(got) != "[opened bob]" {
		t.Errorf("alerts %v", got)
	}
	quarantined, err := r.line.QuarantineRecords()
	if err != nil || len(quarantined) != 1 {
		t.Fatalf("quarantined %+v, %v", quarantined, err)
	}
	if a := quarantined[0]; a.Source != "files" || !a.Message || a.Reason != "missing" || a.Err != "no such key" || a.Origin != "sqs://trail/m" || !bytes.Equal(a.Raw, given.Bytes) {
		t.Errorf("quarantined %+v", a)
	}

	var full []journal.Quarantined
	for i := range 500 {
		full = append(full, journal.Quarantined{Origin: "x", Offset: int64(i), Source: "files", Message: true})
	}
	if left, err := r.line.Quarantine(t.Context(), full); err != nil || left != 1 {
		t.Fatalf("%d left out, %v", left, err)
	}
	given.Origin.Place = "sqs://trail/n"
	if err := r.Handle(t.Context(), delivery(given)); !errors.Is(err, errQuarantineFull) {
		t.Errorf("without room: %v", err)
	}
	if err := r.Ready(); err != nil {
		t.Errorf("a full quarantine is no failure of the journal: %v", err)
	}
	if err := r.Handle(t.Context(), delivery(inBytes("a", "{}"))); err != nil {
		t.Errorf("the next delivery: %v", err)
	}
}

// The caller's observer hears of damaged records, but not of quarantined ones.
func TestHandleTellsDamage(t *testing.T) {
	r := newRig(t)
	var damage []trail.Reason
	noTime := strings.Replace(record("DeactivateMFADevice", "al", 1), `"eventTime"`, `"eventTimes"`, 1)
	d := delivery(inBytes("a", object(noTime)), inBytes("b", "\x1f\x8b\x08broken"), inBytes("c", "{}"))
	d.Unreadable = func(u trail.Unreadable) { damage = append(damage, u.Reason) }
	if err := r.Handle(t.Context(), d); err != nil || fmt.Sprint(damage) != "[truncated]" {
		t.Errorf("reported %v, %v", damage, err)
	}
}

type errReader struct{ error }

func (r errReader) Read([]byte) (int, error) { return 0, r.error }

func TestHandleStopsForADoneContext(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Handle(ctx, delivery(inBytes("a", object(record("DeactivateMFADevice", "bob", 2))))); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := r.Ready(); err != nil {
		t.Errorf("a stop is no failure of the journal: %v", err)
	}
}

func TestHandleAtOnce(t *testing.T) {
	r := newRig(t)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			d := delivery(inBytes("a", object(record("DeactivateMFADevice", fmt.Sprint("u", i), i))))
			if err := r.Handle(t.Context(), d); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := r.alerts(t, time.Date(2000, 1, 1, 0, 1, 0, 0, time.UTC)); len(got) != 20 {
		t.Errorf("%d alerts, want 20", len(got))
	}
}

// A part that holds no match costs no allocation, whatever the delivery itself
// costs.
func TestHandleAllocatesNothingWithoutAMatch(t *testing.T) {
	r := newRig(t)
	var many []Part
	for i := range 1000 {
		many = append(many, inBytes("kafka://t/0", object(record("ListUsers", "bob", i), record("GetUser", "eve", i))))
	}
	for i := range 100 { // a bare record, as some put on Kafka
		many[10*i].Bytes = []byte(record("ListUsers", "bob", i))
	}
	allocs := func(parts []Part) float64 {
		d := delivery(parts...)
		return testing.AllocsPerRun(20, func() {
			if err := r.Handle(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		})
	}
	one, all := allocs(many[:1]), allocs(many)
	t.Logf("%v allocations for one part, %v for %d", one, all, len(many))
	// The race detector makes the pool forget a scanner now and then: a few
	// allocations more for a delivery, but never one for each part.
	if all > one+20 {
		t.Errorf("%v allocations for %d parts, %v for one: want no more", all, len(many), one)
	}
	if one > 20 {
		t.Errorf("%v allocations for a delivery, want a few", one)
	}
}

func TestRunFoldsImmediatelyAndWhenDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- r.Run(ctx) }()
		synctest.Wait()
		if err := r.Handle(ctx, delivery(inBytes("a", object(record("DeactivateMFADevice", "bob", 0))))); err != nil {
			t.Fatal(err)
		}
		count := func(step exposure.Step, severity exposure.Severity) float64 {
			return testutil.ToFloat64(r.metrics.alerts.WithLabelValues(string(step), string(severity)))
		}
		if err := r.line.Idle(ctx); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := count(exposure.Opened, exposure.High); n != 1 {
			t.Errorf("%v opened at once, want 1", n)
		}
		time.Sleep(15*time.Minute - time.Second)
		if n := count(exposure.Escalated, exposure.High) + count(exposure.Escalated, exposure.Critical); n != 0 {
			t.Errorf("%v escalated before the delay passed", n)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := count(exposure.Escalated, exposure.High) + count(exposure.Escalated, exposure.Critical); n != 1 {
			t.Errorf("%v escalated after the delay, want 1", n)
		}
		if err := testutil.GatherAndCompare(r.reg, strings.NewReader(`
# HELP mfawatch_journal_subjects Users, unknown devices and actors in the journal.
# TYPE mfawatch_journal_subjects gauge
mfawatch_journal_subjects 2
# HELP mfawatch_journal_unfolded_subjects Of these, those with events not folded yet.
# TYPE mfawatch_journal_unfolded_subjects gauge
mfawatch_journal_unfolded_subjects 0
`), "mfawatch_journal_subjects", "mfawatch_journal_unfolded_subjects"); err != nil {
			t.Error(err)
		}
		open := 0.0
		for _, s := range exposure.Severities {
			open += gauge(t, r.reg, "mfawatch_open_exposures", string(s))
		}
		if open != 1 {
			t.Errorf("%v open exposures, want 1", open)
		}
		if n := gauge(t, r.reg, "mfawatch_account_open_exposures", "111122223333"); n != 1 {
			t.Errorf("%v open in the account, want 1", n)
		}
		if age := gauge(t, r.reg, "mfawatch_oldest_open_exposure_seconds", string(exposure.High)); age != 15*60+1 {
			t.Errorf("the oldest is open for %v s, want 15 minutes and a second", age)
		}
		if err := r.Handle(ctx, delivery(inBytes("b", object(own(record("EnableMFADevice", "bob", 10*60)))))); err != nil {
			t.Fatal(err)
		}
		if err := r.line.Idle(ctx); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := testutil.GatherAndCompare(r.reg, strings.NewReader(`
# HELP mfawatch_oldest_open_exposure_seconds Age of the oldest open exposure; 0 if none is open.
# TYPE mfawatch_oldest_open_exposure_seconds gauge
mfawatch_oldest_open_exposure_seconds{severity="critical"} 0
mfawatch_oldest_open_exposure_seconds{severity="high"} 0
mfawatch_oldest_open_exposure_seconds{severity="info"} 0
mfawatch_oldest_open_exposure_seconds{severity="low"} 0
mfawatch_oldest_open_exposure_seconds{severity="medium"} 0
`), "mfawatch_oldest_open_exposure_seconds", "mfawatch_account_open_exposures"); err != nil {
			t.Error(err)
		}
		var m dto.Metric
		if err := r.metrics.lasted.WithLabelValues(exposure.Enabled).(prometheus.Metric).Write(&m); err != nil {
			t.Fatal(err)
		}
		if h := m.GetHistogram(); h.GetSampleCount() != 1 || h.GetSampleSum() != 600 {
			t.Errorf("%d exposures of %v s, want one of 600", h.GetSampleCount(), h.GetSampleSum())
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func gauge(t *testing.T, reg *prometheus.Registry, name, severity string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			if f.GetName() == name && m.Label[0].GetValue() == severity {
				return m.Gauge.GetValue()
			}
		}
	}
	t.Fatalf("no %s of %s", name, severity)
	return 0
}

func TestRunTriesAFailedFoldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.line.set(nil, errors.New("disk full"))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- r.Run(ctx) }()
		if err := r.Handle(ctx, delivery(inBytes("a", object(record("DeactivateMFADevice", "bob", 0))))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		if err := r.Ready(); err == nil || !strings.Contains(err.Error(), "disk full") {
			t.Errorf("ready: %v", err)
		}
		if n := strings.Count(r.log.String(), "folding failed"); n != 1 {
			t.Errorf("the same failure was logged %d times, want once", n)
		}
		if n := testutil.ToFloat64(r.metrics.foldErrors); n < 10 || n > 30 {
			t.Errorf("%v tries in ten minutes", n)
		}
		r.line.set(nil, nil)
		if err := r.line.Idle(ctx); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := r.Ready(); err != nil {
			t.Errorf("ready: %v", err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestMetricsLint(t *testing.T) {
	r := newRig(t)
	if err := r.Handle(t.Context(), delivery(inBytes("a", object()))); err != nil {
		t.Fatal(err)
	}
	problems, err := testutil.GatherAndLint(r.reg)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	if n := testutil.CollectAndCount(r.metrics.unread, "mfawatch_unreadable_total"); n != len(trail.Reasons) {
		t.Errorf("%d reasons at zero, want %d", n, len(trail.Reasons))
	}
	r.line.Close()
	if _, err := r.reg.Gather(); err != nil {
		t.Errorf("a closed journal breaks the metrics: %v", err)
	}
}
func TestNotReadyWithoutTheJournalFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mfawatch.db")
	j, err := journal.Open(path, journal.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	p := New(j, Options{Logger: slog.New(slog.DiscardHandler), Policy: exposure.DefaultPolicy()})
	if err := p.Ready(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := p.Ready(); !errors.Is(err, store.ErrReplaced) {
		t.Errorf("got %v, want that the file is gone", err)
	}
}
