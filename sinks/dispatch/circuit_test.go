package dispatch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/sinks"
)

func delivery(c DeliveryConfig) Options {
	return Options{Delivery: c}
}

func many(n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprintf("x%04d-1", i))
	}
	return ids
}

// A channel that is down is tried with one alert at a time, and sent all when it
// is back.
func TestCircuitStopsHammering(t *testing.T) {
	t.Parallel() // it waits for the disk
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var down atomic.Bool
		down.Store(true)
		s := &fakeSink{t: t, answer: func(context.Context, *processor.Alert, string) (string, error) {
			if down.Load() {
				return "", errors.New("connection refused")
			}
			return "", nil
		}}
		r.start(delivery(DeliveryConfig{Retry: RetryConfig{Max: time.Minute}}), map[string]sinks.Sink{"a": s})
		journalAlerts(t, r.j, many(500)...)
		time.Sleep(2 * time.Hour)
		sends, _ := s.lists()
		if n := len(sends); n < 120 || n > 600 { // a probe waits for half a minute in the middle
			t.Errorf("%d sends in two hours, want some 240", n)
		}
		err := r.d.Ready()
		if err == nil || !strings.Contains(err.Error(), "down (tried with one alert at a time): connection refused") {
			t.Errorf("ready: %v", err)
		}
		open := r.d.metrics.open
		if v := testutil.ToFloat64(open); v != 1 {
			t.Errorf("circuit_open is %v while it is", v)
		}
		if n := strings.Count(r.log.String(), "the channel is down"); n != 1 {
			t.Errorf("said %d times that the channel is down, want once", n)
		}
		down.Store(false)
		back := time.Now()
		r.idle()
		if took := time.Since(back); took > 2*time.Minute {
			t.Errorf("delivered all %s after the channel was back", took)
		}
		if v := testutil.ToFloat64(open); v != 0 || r.d.Ready() != nil {
			t.Errorf("circuit_open %v, ready %v at the end", v, r.d.Ready())
		}
		if _, delivered := s.lists(); len(delivered) != 500 {
			t.Errorf("%d delivered, want 500", len(delivered))
		}
		if letters, _ := r.j.DeadLetters("a"); len(letters) != 0 {
			t.Errorf("%d dead letters", len(letters))
		}
		r.stop()
	})
}

// Poison alerts may open the circuit; one that is delivered
// closes it with the next probe.
func TestCircuitProbesWithWhatWasNotTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		s := &fakeSink{t: t, answer: func(_ context.Context, a *processor.Alert, _ string) (string, error) {
			if strings.HasPrefix(*a.Exposure, "x") {
				return "", errors.New("500")
			}
			return "", nil
		}}
		r.start(delivery(DeliveryConfig{Retry: RetryConfig{Max: time.Minute}}), map[string]sinks.Sink{"a": s})
		journalAlerts(t, r.j, many(20)...)
		time.Sleep(time.Hour)
		for range 10 {
			journalAlerts(t, r.j, fmt.Sprintf("well%d-1", time.Now().Unix()))
			time.Sleep(time.Minute + time.Second)
		}
		if _, delivered := s.lists(); len(delivered) != 10 {
			t.Errorf("delivered %v, want each within a minute", delivered)
		}
		r.stop()
	})
}

func TestMisconfiguredPausesAndBurnsNothing(t *testing.T) {
	t.Parallel() // it waits for the disk
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var wrong atomic.Bool
		wrong.Store(true)
		s := &fakeSink{t: t, answer: func(context.Context, *processor.Alert, string) (string, error) {
			if wrong.Load() {
				return "", fmt.Errorf("post: %w", sinks.Misconfigured(errors.New("401 Unauthorized")))
			}
			return "", nil
		}}
		other := &fakeSink{t: t}
		r.start(delivery(DeliveryConfig{Concurrency: 4}), map[string]sinks.Sink{"a": s, "b": other})
		journalAlerts(t, r.j, many(100)...)
		time.Sleep(time.Second)
		if sends, _ := s.lists(); len(sends) > 4 {
			t.Errorf("%d sends before it paused", len(sends))
		}
		if err := r.d.Ready(); err == nil || !strings.Contains(err.Error(), "misconfigured") || !strings.Contains(err.Error(), "401 Unauthorized") {
			t.Errorf("ready: %v", err)
		}
		if _, delivered := other.lists(); len(delivered) != 100 {
			t.Errorf("the other sink was sent %d", len(delivered))
		}
		time.Sleep(72 * time.Hour)
		sends, _ := s.lists()
		if n := len(sends); n > 4+72*12 || n < 72*12-10 {
			t.Errorf("%d sends in 72 h, want one each 5 minutes", n)
		}
		wrong.Store(false)
		r.idle()
		if _, delivered := s.lists(); len(delivered) != 100 || r.d.Ready() != nil {
			t.Errorf("delivered %d, ready %v", len(delivered), r.d.Ready())
		}
		if letters, _ := r.j.DeadLetters("a"); len(letters) != 0 {
			t.Errorf("%d dead letters", len(letters))
		}
		r.stop()
	})
}

func TestSupersededStopsTheExposure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		s := &fakeSink{t: t, answer: func(_ context.Context, a *processor.Alert, ref string) (string, error) {
			if a.ID == "x-2" {
				return "", sinks.ClosedByPerson(errors.New("the ticket is closed"))
			}
			return "ticket", nil
		}}
		r.start(Options{}, map[string]sinks.Sink{"a": s})
		journalAlerts(t, r.j, "x-1", "x-2", "x-3", "y-1")
		r.idle()
		journalAlerts(t, r.j, "x-4")
		r.idle()
		r.stop()
		r.start(Options{}, map[string]sinks.Sink{"a": s})
		journalAlerts(t, r.j, "x-5", "y-2")
		r.idle()
		sends, _ := s.lists()
		for _, id := range sends {
			if id == "x-3" || id == "x-4" || id == "x-5" {
				t.Errorf("%s was sent", id)
			}
		}
		if len(sends) != 4 {
			t.Errorf("sent %v", sends)
		}
		if letters, _ := r.j.DeadLetters("a"); len(letters) != 0 {
			t.Errorf("dead letters %v", letters)
		}
		r.stop()
	})
}

// Of two answers that ask to wait, the longer one counts, and no send starts
// before. Sends that were running finish.
func TestThrottledStartsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var mu sync.Mutex // sends run concurrently
		var until time.Time
		s := &fakeSink{t: t, answer: func(_ context.Context, a *processor.Alert, _ string) (_ string, err error) {
			defer func() {
				if err == nil {
					time.Sleep(time.Millisecond) // the worker hears of the throttled send first
				}
			}()
			mu.Lock()
			defer mu.Unlock()
			if until.IsZero() || a.ID == "x0001-1" && time.Now().Before(until) {
				if until.IsZero() {
					until = time.Now().Add(time.Hour)
					return "", sinks.Throttled(errors.New("429"), time.Hour)
				}
				return "", sinks.Throttled(errors.New("429"), time.Second)
			}
			if now := time.Now(); now.Before(until) && a.ID > "x0007-1" {
				t.Errorf("%s sent %s too soon", a.ID, until.Sub(now))
			}
			return "", nil
		}}
		r.start(Options{}, map[string]sinks.Sink{"a": s})
		journalAlerts(t, r.j, many(50)...)
		r.idle()
		if now := time.Now(); now.Before(until) {
			t.Error("done before it was allowed")
		}
		if v := testutil.ToFloat64(r.d.metrics.throttled); v < 3600 || v > 3602 {
			t.Errorf("throttled for %v s, want 3600", v)
		}
		r.stop()
	})
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		s := &fakeSink{t: t}
		r.start(delivery(DeliveryConfig{Rate: 2}), map[string]sinks.Sink{"a": s})
		begin := time.Now()
		journalAlerts(t, r.j, many(100)...)
		r.idle()
		if took := time.Since(begin); took < 49*time.Second || took > 52*time.Second {
			t.Errorf("100 alerts at 2 a second took %s", took)
		}
		r.stop()
	})
}

// The age of an alert that fails goes on over restarts.
func TestAgeGoesOnOverRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		s := &fakeSink{t: t, answer: func(context.Context, *processor.Alert, string) (string, error) {
			return "", sinks.Ambiguous(errors.New("the connection broke off"))
		}}
		var begin time.Time
		restarts := 0
		for letters := 0; letters == 0; restarts++ {
			r.start(Options{}, map[string]sinks.Sink{"a": s})
			if begin.IsZero() {
				begin = time.Now()
				journalAlerts(t, r.j, "x-1")
			}
			time.Sleep(time.Hour)
			dead, err := r.j.DeadLetters("a")
			if err != nil || restarts > 30 {
				t.Fatalf("%v after %d restarts", err, restarts)
			}
			if letters = len(dead); letters > 0 {
				sends, _ := s.lists()
				if d := dead[0]; !d.First.Equal(begin) || d.Attempts != len(sends) || d.Last.Sub(d.First) < 24*time.Hour {
					t.Errorf("dead letter %+v after %d sends", d, len(sends))
				}
			}
			r.stop()
		}
		if restarts < 24 || restarts > 26 {
			t.Errorf("given up after %d hours", restarts)
		}
	})
}

// A batch of which another call handled a part, and which is then throttled.
func TestPartOfABatchIsDoneByAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		s := &batchSink{fakeSink: fakeSink{t: t, answer: func(context.Context, *processor.Alert, string) (string, error) {
			time.Sleep(time.Minute) // while the rest is still in the journal alone
			return "", sinks.Throttled(errors.New("429"), time.Minute)
		}}}
		r.start(delivery(DeliveryConfig{Concurrency: 1, Timeout: time.Hour}), map[string]sinks.Sink{"a": s})
		journalAlerts(t, r.j, "w-1")
		time.Sleep(time.Second)
		journalAlerts(t, r.j, "x-1", "y-1", "z-1", "z-2")
		time.Sleep(time.Second)
		s.mu.Lock()
		s.throttle = 2
		s.mu.Unlock()
		if err := r.j.Done("a", resultOf(2), resultOf(4)); err != nil {
			t.Fatal(err)
		}
		r.idle()
		_, delivered := s.lists()
		equal(t, "delivered", delivered, []string{"w-1", "y-1", "z-2"})
		r.stop()
	})
}

// An alert that another call handled in the meantime is not sent.
func TestDoneByAnotherIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		s := &fakeSink{t: t, answer: func(_ context.Context, a *processor.Alert, _ string) (string, error) {
			time.Sleep(time.Minute)
			return "", nil
		}}
		r.start(delivery(DeliveryConfig{Timeout: time.Hour}), map[string]sinks.Sink{"a": s})
		journalAlerts(t, r.j, "x-1", "x-2", "x-3")
		time.Sleep(time.Second)
		if err := r.j.Done("a", resultOf(2)); err != nil {
			t.Fatal(err)
		}
		r.idle()
		sends, _ := s.lists()
		equal(t, "sent", sends, []string{"x-1", "x-3"})
		r.stop()
	})
}
