package dispatch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/sinks"
)

// A fakeSink answers as answer says, and checks the order of each
// exposure.
type fakeSink struct {
	t      *testing.T
	answer func(ctx context.Context, a *processor.Alert, ref string) (string, error) // nil: delivered

	mu        sync.Mutex
	sends     []string // IDs, each time
	delivered []string // IDs
	running   map[string]bool
}

func (s *fakeSink) Send(ctx context.Context, a *processor.Alert, ref string) (newRef string, err error) {
	s.mu.Lock()
	if s.running == nil {
		s.running = map[string]bool{}
	}
	if s.running[*a.Exposure] {
		s.t.Errorf("two sends at once for exposure %s", *a.Exposure)
	}
	s.running[*a.Exposure] = true
	s.sends = append(s.sends, a.ID)
	s.mu.Unlock()
	if s.answer != nil {
		newRef, err = s.answer(ctx, a, ref)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running[*a.Exposure] = false
	if err == nil {
		s.delivered = append(s.delivered, a.ID)
	}
	return newRef, err
}

func (s *fakeSink) lists() (sends, delivered []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.sends), slices.Clone(s.delivered)
}

func openJournal(t testing.TB, path string) *journal.Journal {
	t.Helper()
	j, err := journal.Open(path, journal.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// journalAlerts journals alerts with the IDs, each "exposure-number".
func journalAlerts(t testing.TB, j *journal.Journal, ids ...string) {
	t.Helper()
	var events []*trail.Event
	for i, id := range ids {
		events = append(events, &trail.Event{ID: id, Account: "1", Time: time.Now().Add(time.Duration(i) * time.Second), Name: trail.DeactivateMFADevice})
	}
	if _, err := j.Append(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	_, err := j.Fold(t.Context(), time.Now(), func(events []*trail.Event, _ alerting.State, _ time.Time) (out alerting.Outcome) {
		for _, e := range events {
			x, _, _ := strings.Cut(e.ID, "-")
			out.Alerts = append(out.Alerts, &exposure.Alert{ID: e.ID, Exposure: &x, Time: e.Time, Title: "title of " + e.ID})
		}
		return out
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
}

// A rig runs a worker for each sink in a bubble of fake time.
type rig struct {
	t       *testing.T
	path    string
	j       *journal.Journal
	d       *Worker // the first by name
	workers map[string]*Worker
	log     logText
	level   slog.Level
	memory  int // of each worker; 0: as ever
	stop    func()
}

func newRig(t *testing.T) *rig {
	return &rig{t: t, path: filepath.Join(t.TempDir(), "mfawatch.db")}
}

func (r *rig) start(o Options, all map[string]sinks.Sink) {
	r.t.Helper()
	r.j = openJournal(r.t, r.path)
	o.Logger = slog.New(slog.NewTextHandler(&r.log, &slog.HandlerOptions{Level: r.level}))
	r.workers = map[string]*Worker{}
	names := slices.Sorted(maps.Keys(all))
	for _, name := range names {
		w, err := New(r.j, name, all[name], o)
		if err != nil {
			r.t.Fatal(err)
		}
		w.memory = cmp.Or(r.memory, w.memory)
		r.workers[name] = w
	}
	r.d = r.workers[names[0]]
	ctx, cancel := context.WithCancel(r.t.Context())
	ended := make(chan error)
	for _, w := range r.workers {
		go func() { ended <- w.Run(ctx) }()
	}
	r.stop = func() {
		r.t.Helper()
		cancel()
		for range r.workers {
			if err := <-ended; err != nil {
				r.t.Errorf("run: %v", err)
			}
		}
		if err := r.j.Close(); err != nil {
			r.t.Error(err)
		}
	}
}

func (r *rig) idle() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 1000*time.Hour)
	defer cancel()
	if err := r.j.Idle(ctx); err != nil {
		r.t.Fatalf("idle: %v", err)
	}
}

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestTellsInOrderOfEachExposure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		s := &fakeSink{t: t, answer: func(_ context.Context, a *processor.Alert, _ string) (string, error) {
			if strings.HasSuffix(a.ID, "1") {
				time.Sleep(time.Second) // the first is slow, and must not be overtaken
			}
			return "", nil
		}}
		r.start(Options{}, map[string]sinks.Sink{"a": s})
		journalAlerts(t, r.j, "x-1", "x-2", "y-1", "x-3", "y-2", "z-2")
		r.idle()
		journalAlerts(t, r.j, "x-4")
		r.idle()
		_, delivered := s.lists()
		if len(delivered) != 7 || slices.Index(delivered, "z-2") != 0 {
			t.Errorf("delivered %v", delivered)
		}
		for _, x := range []string{"x", "y"} {
			var of []string
			for _, id := range delivered {
				if strings.HasPrefix(id, x) {
					of = append(of, id)
				}
			}
			if !slices.IsSorted(of) {
				t.Errorf("sent out of order: %v", of)
			}
		}
		r.stop()
	})
}

func TestVerdicts(t *testing.T) {
	tests := []struct {
		name   string
		err    error
		sends  int // of the one alert
		dead   bool
		result string
		after  time.Duration // it is delivered or dead not before
	}{
		{"none", nil, 1, false, "delivered", 0},
		{"plain, then none", errors.New("refused"), 2, false, "retry", 1},
		{"a timeout is plain", context.DeadlineExceeded, 2, false, "retry", 1},
		{"permanent", sinks.Permanent(errors.New("no such channel")), 1, true, "permanent", 0},
		{"permanent, wrapped", fmt.Errorf("post: %w", sinks.Permanent(errors.New("no such channel"))), 1, true, "permanent", 0},
		{"throttled", sinks.Throttled(errors.New("slow down"), time.Hour), 2, false, "throttled", time.Hour},
		{"throttled, wrapped", fmt.Errorf("post: %w", sinks.Throttled(errors.New("slow down"), time.Hour)), 2, false, "throttled", time.Hour},
		{"ambiguous", sinks.Ambiguous(errors.New("reset")), 2, false, "ambiguous", 1},
		{"misconfigured", sinks.Misconfigured(errors.New("401")), 2, false, "misconfigured", 5 * time.Minute},
		{"misconfigured, wrapped", fmt.Errorf("post: %w", sinks.Misconfigured(errors.New("401"))), 2, false, "misconfigured", 5 * time.Minute},
		{"closed by a person", fmt.Errorf("post: %w", sinks.ClosedByPerson(errors.New("closed"))), 1, false, "closed_by_person", 0},
		{"throttled without a time", sinks.Throttled(errors.New("slow down"), 0), 2, false, "throttled", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				fail := tt.err
				s := &fakeSink{t: t, answer: func(context.Context, *processor.Alert, string) (string, error) {
					err := fail
					fail = nil
					return "", err
				}}
				reg := prometheus.NewRegistry()
				r.start(Options{Registerer: reg}, map[string]sinks.Sink{"a": s})
				begin := time.Now()
				journalAlerts(t, r.j, "x-1")
				r.idle()
				if took := time.Since(begin); took < tt.after {
					t.Errorf("sent again after %s, want %s at least", took, tt.after)
				}
				sends, delivered := s.lists()
				letters, err := r.j.DeadLetters("a")
				wantTold := !tt.dead && tt.result != "closed_by_person"
				if len(sends) != tt.sends || len(delivered) == 1 != wantTold || len(letters) == 1 != tt.dead || err != nil {
					t.Errorf("sends %v, delivered %v, dead %v, %v", sends, delivered, letters, err)
				}
				if tt.dead && (letters[0].Cause != tt.err.Error() || letters[0].Attempts != 1 || letters[0].Alert.ID != "x-1") {
					t.Errorf("dead letter %+v", letters[0])
				}
				got := testutil.ToFloat64(r.d.metrics.sends.WithLabelValues(tt.result))
				if got != 1 {
					t.Errorf("%v sends counted as %s, want 1", got, tt.result)
				}
				r.stop()
			})
		})
	}
	if sinks.Permanent(nil) != nil || sinks.Throttled(nil, 1) != nil || sinks.Misconfigured(nil) != nil || sinks.ClosedByPerson(nil) != nil || sinks.Ambiguous(nil) != nil {
		t.Error("a verdict made an error of nil")
	}
	cause := errors.New("x")
	for _, err := range []error{sinks.Permanent(cause), sinks.Throttled(cause, 1), sinks.Misconfigured(cause), sinks.ClosedByPerson(cause), sinks.Ambiguous(cause)} {
		if !errors.Is(err, cause) || err.Error() != "x" {
			t.Errorf("a verdict hides its cause: %v", err)
		}
	}
}

func TestThrottledHoldsTheWholeSinkAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var again time.Time
		busy := &fakeSink{t: t, answer: func(_ context.Context, a *processor.Alert, _ string) (string, error) {
			if again.IsZero() {
				again = time.Now().Add(48 * time.Hour) // beyond the age of a dead letter
				return "", sinks.Throttled(errors.New("slow down"), 48*time.Hour)
			}
			if time.Now().Before(again) {
				t.Errorf("%s was sent %s too early", a.ID, time.Until(again))
			}
			return "", nil
		}}
		other := &fakeSink{t: t}
		r.start(Options{Delivery: DeliveryConfig{Concurrency: 1}}, map[string]sinks.Sink{"busy": busy, "other": other})
		journalAlerts(t, r.j, "x-1", "y-1")
		time.Sleep(time.Second)
		journalAlerts(t, r.j, "z-1")
		synctest.Wait()
		if _, delivered := other.lists(); len(delivered) != 3 {
			t.Errorf("the other sink was sent %v", delivered)
		}
		r.idle()
		if _, delivered := busy.lists(); len(delivered) != 3 {
			t.Errorf("delivered %v", delivered)
		}
		r.stop()
	})
}

func TestOneSickExposureDoesNotHoldUpOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		s := &fakeSink{t: t, answer: func(ctx context.Context, a *processor.Alert, _ string) (string, error) {
			switch *a.Exposure {
			case "sick":
				return "", errors.New("will not have it")
			case "stuck":
				<-ctx.Done()
				return "", context.Cause(ctx)
			}
			return "", nil
		}}
		r.start(Options{Delivery: DeliveryConfig{Concurrency: 2}}, map[string]sinks.Sink{"a": s})
		var ids []string
		for i := range 3000 { // more than the worker looks ahead
			ids = append(ids, fmt.Sprintf("sick-%04d", i))
		}
		journalAlerts(t, r.j, append(ids, "stuck-1", "x-1", "x-2", "y-1")...)
		time.Sleep(time.Second)
		_, delivered := s.lists()
		slices.Sort(delivered)
		equal(t, "delivered", delivered, []string{"x-1", "x-2", "y-1"})
		journalAlerts(t, r.j, "z-1")
		time.Sleep(time.Second)
		if _, delivered := s.lists(); !slices.Contains(delivered, "z-1") {
			t.Errorf("delivered %v", delivered)
		}
		if sends, _ := s.lists(); slices.Contains(sends, "sick-0001") {
			t.Error("the second alert of an exposure was sent before the first was delivered")
		}
		r.stop()
	})
}

func TestRetriesUntilTheAgeThenDeadLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var times []time.Time
		s := &fakeSink{t: t, answer: func(_ context.Context, a *processor.Alert, _ string) (string, error) {
			if a.ID != "x-1" {
				return "", nil
			}
			times = append(times, time.Now())
			return "", errors.New("refused")
		}}
		r.start(Options{Delivery: DeliveryConfig{Retry: RetryConfig{Min: time.Second, Max: time.Minute, Age: time.Hour}}}, map[string]sinks.Sink{"a": s})
		journalAlerts(t, r.j, "x-1", "x-2")
		r.idle()
		for i := 1; i < len(times); i++ {
			if wait, limit := times[i].Sub(times[i-1]), min(time.Minute, time.Second<<min(i-1, 10)); wait > limit+time.Millisecond {
				t.Errorf("wait %d was %s, want %s at most", i, wait, limit)
			}
		}
		age := times[len(times)-1].Sub(times[0])
		if age < time.Hour || age > time.Hour+time.Minute || len(times) < 60 {
			t.Errorf("given up after %s and %d attempts", age, len(times))
		}
		letters, err := r.j.DeadLetters("a")
		if err != nil || len(letters) != 1 || letters[0].Attempts != len(times) || !letters[0].First.Equal(times[0]) {
			t.Errorf("dead letters %+v, %v", letters, err)
		}
		if _, delivered := s.lists(); !slices.Equal(delivered, []string{"x-2"}) {
			t.Errorf("delivered %v, want the next of the exposure", delivered)
		}
		if n := strings.Count(r.log.String(), "sending failed"); n != 1 {
			t.Errorf("the same failure was logged %d times, want once", n)
		}
		r.stop()
	})
}

func TestTimeoutOfAnAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		first := true
		s := &fakeSink{t: t, answer: func(ctx context.Context, _ *processor.Alert, _ string) (string, error) {
			if first {
				first = false
				<-ctx.Done()
				return "", context.Cause(ctx)
			}
			return "", nil
		}}
		r.start(Options{Delivery: DeliveryConfig{Timeout: 30 * time.Second}}, map[string]sinks.Sink{"a": s})
		begin := time.Now()
		journalAlerts(t, r.j, "x-1")
		r.idle()
		if took := time.Since(begin); took < 30*time.Second || took > 32*time.Second {
			t.Errorf("delivered after %s", took)
		}
		if !strings.Contains(r.log.String(), "no answer within 30s") {
			t.Errorf("log: %s", r.log.String())
		}
		r.stop()
	})
}

func TestRestartSendsWhatWasNotNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var refs []string
		block := make(chan struct{})
		s := &fakeSink{t: t, answer: func(ctx context.Context, a *processor.Alert, ref string) (string, error) {
			refs = append(refs, a.ID+":"+ref)
			if a.ID == "x-2" && len(refs) == 2 {
				close(block)
				<-ctx.Done() // cut off by the end of the drain time
				return "", ctx.Err()
			}
			return "ticket-" + *a.Exposure, nil
		}}
		o := Options{Drain: 5 * time.Second}
		r.start(o, map[string]sinks.Sink{"a": s})
		journalAlerts(t, r.j, "x-1", "x-2", "x-3")
		<-block
		begin := time.Now()
		r.stop()
		if took := time.Since(begin); took != 5*time.Second {
			t.Errorf("drained for %s, want 5s", took)
		}
		r.start(o, map[string]sinks.Sink{"a": s})
		r.idle()
		equal(t, "sent, with ref", refs, []string{"x-1:", "x-2:ticket-x", "x-2:ticket-x", "x-3:ticket-x"})
		_, delivered := s.lists()
		equal(t, "delivered", delivered, []string{"x-1", "x-2", "x-3"})
		r.stop()
	})
}

func TestDrainLetsSendsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		s := &fakeSink{t: t, answer: func(ctx context.Context, _ *processor.Alert, _ string) (string, error) {
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Second):
			}
			return "", ctx.Err()
		}}
		r.start(Options{}, map[string]sinks.Sink{"a": s})
		journalAlerts(t, r.j, "x-1", "x-2", "y-1")
		time.Sleep(time.Second)
		r.stop()
		sends, delivered := s.lists()
		slices.Sort(sends)
		slices.Sort(delivered)
		equal(t, "sent", sends, []string{"x-1", "y-1"}) // and nothing new while draining
		equal(t, "delivered", delivered, []string{"x-1", "y-1"})
		r.start(Options{}, map[string]sinks.Sink{"a": s})
		r.idle()
		if sends, _ := s.lists(); len(sends) != 3 || sends[2] != "x-2" {
			t.Errorf("sent %v, want only what was left", sends)
		}
		r.stop()
	})
}

// An exposure keeps its turn and its ref while the journal lags behind.
func TestNewAlertOfABusyExposure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var refs []string
		s := &fakeSink{t: t, answer: func(_ context.Context, a *processor.Alert, ref string) (string, error) {
			refs = append(refs, ref)
			time.Sleep(time.Minute)
			return "after " + a.ID, nil
		}}
		r.start(Options{Delivery: DeliveryConfig{Timeout: time.Hour}}, map[string]sinks.Sink{"a": s})
		journalAlerts(t, r.j, "x-1", "x-2")
		time.Sleep(90 * time.Second) // the first is noted, the second is being sent
		journalAlerts(t, r.j, "x-3")
		r.idle()
		_, delivered := s.lists()
		equal(t, "delivered", delivered, []string{"x-1", "x-2", "x-3"})
		equal(t, "refs", refs, []string{"", "after x-1", "after x-2"})
		r.stop()
	})
}

// How far a channel got is kept when it fails, over a restart too; an empty
// reference beside an error takes nothing away.
func TestRefBesideAnErrorIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var refs []string
		answers := []struct {
			ref string
			err error
		}{
			{"first of two", errors.New("the second is busy")},
			{"", errors.New("down")},
			{"first of two, again", sinks.Ambiguous(errors.New("the answer was lost"))},
			{"both", nil},
			{"refused", sinks.Permanent(errors.New("no"))},
			{"all", nil},
		}
		block := make(chan struct{}, 1)
		s := &fakeSink{t: t, answer: func(_ context.Context, a *processor.Alert, ref string) (string, error) {
			refs = append(refs, a.ID+":"+ref)
			answer := answers[len(refs)-1]
			if len(refs) == 3 {
				block <- struct{}{}
			}
			return answer.ref, answer.err
		}}
		o := Options{Delivery: DeliveryConfig{Retry: RetryConfig{Min: time.Minute, Max: time.Hour}}}
		r.start(o, map[string]sinks.Sink{"a": s})
		journalAlerts(t, r.j, "x-1", "x-2", "x-3")
		<-block
		r.stop()
		r.start(o, map[string]sinks.Sink{"a": s})
		r.idle()
		equal(t, "sent, with ref", refs, []string{"x-1:", "x-1:first of two", "x-1:first of two", "x-1:first of two, again", "x-2:both", "x-3:refused"})
		_, delivered := s.lists()
		equal(t, "delivered", delivered, []string{"x-1", "x-3"})
		r.stop()
	})
}

func TestReadyAndPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		sick := true
		s := &fakeSink{t: t}
		bad := sendFunc(func(context.Context, *processor.Alert, string) (string, error) {
			if sick {
				panic("nil map")
			}
			return "", nil
		})
		r.start(Options{}, map[string]sinks.Sink{"good": s, "bad": bad})
		if err := errors.Join(r.workers["good"].Ready(), r.workers["bad"].Ready()); err != nil {
			t.Errorf("at start: %v", err)
		}
		journalAlerts(t, r.j, "x-1")
		time.Sleep(time.Hour)
		if err := r.workers["bad"].Ready(); err == nil || !strings.Contains(err.Error(), "nil map") || r.workers["good"].Ready() != nil {
			t.Errorf("while one sink fails: %v", err)
		}
		sick = false
		r.idle()
		if err := errors.Join(r.workers["good"].Ready(), r.workers["bad"].Ready()); err != nil {
			t.Errorf("when it works again: %v", err)
		}
		r.stop()
	})
}

type sendFunc func(context.Context, *processor.Alert, string) (string, error)

func (f sendFunc) Send(ctx context.Context, a *processor.Alert, ref string) (string, error) {
	return f(ctx, a, ref)
}

// brokenStore fails to note.
type brokenStore struct {
	*journal.Journal
	mu  sync.Mutex
	err error
}

func (s *brokenStore) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *brokenStore) Done(sink string, results ...outbox.Result) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	return s.Journal.Done(sink, results...)
}

func TestJournalThatCannotNote(t *testing.T) {
	t.Parallel() // it waits for the disk
	synctest.Test(t, func(t *testing.T) {
		j := openJournal(t, filepath.Join(t.TempDir(), "j.db"))
		defer j.Close()
		store := &brokenStore{Journal: j, err: errors.New("disk full")}
		s := &fakeSink{t: t}
		d, err := New(store, "a", s, Options{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- d.Run(ctx) }()
		var ids []string
		for i := range 5000 {
			ids = append(ids, fmt.Sprintf("x%d-1", i))
		}
		journalAlerts(t, j, ids...)
		time.Sleep(time.Minute)
		if err := d.Ready(); err == nil || !strings.Contains(err.Error(), "disk full") {
			t.Errorf("ready: %v", err)
		}
		if sends, _ := s.lists(); len(sends) > 2*lookAhead {
			t.Errorf("%d alerts were sent that nobody remembers", len(sends))
		}
		store.set(nil)
		if err := j.Idle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if sends, _ := s.lists(); len(sends) != 5000 {
			t.Errorf("%d sends, want each alert once", len(sends))
		}
		if err := d.Ready(); err != nil {
			t.Errorf("ready: %v", err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// A delivery that the journal did not accept a moment before the end is recorded at
// the end.
func TestEndRecordsWhatCouldNotBeNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := openJournal(t, filepath.Join(t.TempDir(), "j.db"))
		defer j.Close()
		store := &brokenStore{Journal: j, err: errors.New("disk full")}
		d, err := New(store, "a", &fakeSink{t: t}, Options{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- d.Run(ctx) }()
		journalAlerts(t, j, "bob-1")
		time.Sleep(500 * time.Millisecond)
		store.set(nil)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if left, err := j.Pending("a", 0, 10); err != nil || len(left) > 0 {
			t.Errorf("%d alerts will be sent again, %v", len(left), err)
		}
	})
}

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		reg := prometheus.NewPedanticRegistry()
		s := sendFunc(func(context.Context, *processor.Alert, string) (string, error) { return "", errors.New("no") })
		r.start(Options{Registerer: reg}, map[string]sinks.Sink{"a": s})
		journalAlerts(t, r.j, "x-1", "y-1")
		time.Sleep(10 * time.Second)
		for _, name := range []string{"mfawatch_sink_delivery_latency_seconds", "mfawatch_sink_retries_total", "mfawatch_sink_throttled_seconds_total", "mfawatch_sink_circuit_open"} {
			if n, err := testutil.GatherAndCount(reg, name); n != 1 || err != nil {
				t.Errorf("%d series of %s, %v, want 1 from the start", n, name, err)
			}
		}
		problems, err := testutil.GatherAndLint(reg)
		if err != nil || len(problems) > 0 {
			t.Errorf("lint: %v, %v", problems, err)
		}
		err = testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP mfawatch_sink_dead_letters Alerts that were given up, kept for a person to handle.
# TYPE mfawatch_sink_dead_letters gauge
mfawatch_sink_dead_letters{sink="a"} 0
# HELP mfawatch_sink_oldest_pending_seconds Age of the oldest alert that is still to be sent to the sink.
# TYPE mfawatch_sink_oldest_pending_seconds gauge
mfawatch_sink_oldest_pending_seconds{sink="a"} 10
# HELP mfawatch_sink_pending Alerts that are still to be sent to the sink.
# TYPE mfawatch_sink_pending gauge
mfawatch_sink_pending{sink="a"} 2
`), "mfawatch_sink_dead_letters", "mfawatch_sink_oldest_pending_seconds", "mfawatch_sink_pending")
		if err != nil {
			t.Error(err)
		}
		r.stop()
	})
}

// A logText is a log that is read while workers write it.
type logText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logText) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
