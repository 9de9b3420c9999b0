package dispatch

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/sinks"
)

// A sink learns whether an attempt before may have arrived: one whose answer
// was lost, and over a restart any that there may have been, but not one that
// was refused, nor one of an alert that came since.
func TestPerhapsArrived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var fails atomic.Pointer[error]
		var marked []string
		s := &fakeSink{t: t}
		s.answer = func(ctx context.Context, a *processor.Alert, _ string) (string, error) {
			if sinks.PerhapsArrived(ctx) {
				s.mu.Lock()
				marked = append(marked, a.ID)
				s.mu.Unlock()
			}
			if err := fails.Load(); err != nil {
				return "", *err
			}
			return "", nil
		}
		fail := func(err error) { fails.Store(&err) }
		o := delivery(DeliveryConfig{Retry: RetryConfig{Min: time.Second, Max: time.Second}})
		r.start(o, map[string]sinks.Sink{"a": s})
		fail(errors.New("connection refused"))
		journalAlerts(t, r.j, "refused-1")
		time.Sleep(5 * time.Second)
		fails.Store(nil)
		r.idle()
		fail(sinks.Ambiguous(errors.New("reset")))
		journalAlerts(t, r.j, "lost-1", "lost-2")
		time.Sleep(500 * time.Millisecond)
		fails.Store(nil)
		r.idle()
		fail(errors.New("connection refused"))
		journalAlerts(t, r.j, "left-1")
		time.Sleep(100 * time.Millisecond)
		r.stop()
		fails.Store(nil)
		r.start(o, map[string]sinks.Sink{"a": s})
		journalAlerts(t, r.j, "new-1")
		r.idle()
		r.stop()
		slices.Sort(marked)
		equal(t, "marked", slices.Compact(marked), []string{"left-1", "lost-1"})
	})
}
