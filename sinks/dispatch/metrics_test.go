package dispatch

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/sinks"
)

// gathered returns the count and the sum of a histogram of one series, or the
// value of a counter as both.
func gathered(t *testing.T, reg *prometheus.Registry, name string) (count uint64, sum float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name || len(f.GetMetric()) != 1 {
			continue
		}
		m := f.GetMetric()[0]
		if c := m.GetCounter(); c != nil {
			return uint64(c.GetValue()), c.GetValue()
		}
		return m.GetHistogram().GetSampleCount(), m.GetHistogram().GetSampleSum()
	}
	t.Fatalf("no single series of %s", name)
	return 0, 0
}

// From the event's being journalled, retries included.
func TestTimeToDoneAndRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		reg := prometheus.NewPedanticRegistry()
		slow := true
		s := sendFunc(func(context.Context, *processor.Alert, string) (string, error) {
			if slow {
				slow = false
				time.Sleep(10 * time.Second)
				return "", errors.New("502")
			}
			time.Sleep(20 * time.Second)
			return "", nil
		})
		r.start(Options{Registerer: reg}, map[string]sinks.Sink{"a": s})
		time.Sleep(300 * time.Millisecond) // into a second
		journalAlerts(t, r.j, "x-1")
		r.idle()
		synctest.Wait() // the worker hears of it after the journal
		if n, sum := gathered(t, reg, "mfawatch_sink_delivery_latency_seconds"); n != 1 || sum < 30 || sum > 31.1 {
			t.Errorf("done after %v s, %d times, want 30 and up to a second of backoff", sum, n)
		}
		if at := testutil.ToFloat64(r.workers["a"].metrics.last); at != float64(time.Now().Unix()) {
			t.Errorf("the last delivery was at %v, now it is %v", at, time.Now().Unix())
		}
		if n, _ := gathered(t, reg, "mfawatch_sink_retries_total"); n != 1 {
			t.Errorf("%v retries, want 1", n)
		}
		r.stop()
	})
}

// The wait for a group window is no lateness of the sink; what the channel takes
// after it is.
func TestGroupWindowIsNoLateness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		reg := prometheus.NewPedanticRegistry()
		slow := &groupSink{fakeSink: fakeSink{t: t}}
		slow.refuse = func([]*processor.Alert) error {
			time.Sleep(7 * time.Second)
			return nil
		}
		o := grouping(GroupConfig{Wait: time.Minute})
		o.Registerer = reg
		r.start(o, map[string]sinks.Sink{"a": slow})
		journalAlerts(t, r.j, "x-1")
		time.Sleep(time.Second)
		journalAlerts(t, r.j, "t-1", "u-1", "y-1")
		r.idle()
		synctest.Wait()
		if n, sum := gathered(t, reg, "mfawatch_sink_delivery_latency_seconds"); n != 4 || sum < 21 || sum > 25 {
			t.Errorf("%v s over %d alerts, want 7 for each of three: %v", sum, n, slow.list())
		}
		r.stop()
	})
}
