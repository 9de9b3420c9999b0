package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/sinks"
)

// A sink without pending alerts is ready, however its last attempts ended; the
// next failures count again.
func TestReadyWithNothingPending(t *testing.T) {
	for _, exposures := range []int{1, 2 * circuitAfter} { // the second opens the circuit
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			s := &fakeSink{t: t, answer: func(context.Context, *processor.Alert, string) (string, error) { return "", errors.New("502") }}
			r.start(delivery(DeliveryConfig{Retry: RetryConfig{Max: time.Minute, Age: time.Hour}}), map[string]sinks.Sink{"a": s})
			for round := range 2 {
				for i := range exposures {
					journalAlerts(t, r.j, fmt.Sprintf("x%d-%d", i, round))
				}
				time.Sleep(30 * time.Minute)
				if r.d.Ready() == nil {
					t.Errorf("%d exposures: ready while the sink fails", exposures)
				}
				r.idle()
				synctest.Wait()
				if err := r.d.Ready(); err != nil {
					t.Errorf("%d exposures: with nothing pending: %v", exposures, err)
				}
			}
			r.stop()
		})
	}
}

// A misreadingStore cannot read one alert.
type misreadingStore struct {
	*journal.Journal
	number uint64
}

func (s misreadingStore) Take(sink string, number uint64) (*processor.Alert, string, error) {
	if number == s.number {
		return nil, "", errors.New("checksum mismatch")
	}
	return s.Journal.Take(sink, number)
}

// An alert that cannot be read delays its exposure alone.
func TestUnreadableAlertDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		j := openJournal(t, r.path)
		defer j.Close()
		s := &fakeSink{t: t}
		w, err := New(misreadingStore{j, 1}, "a", s, Options{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.Run(ctx) }()
		journalAlerts(t, j, "x-1", "x-2", "y-1", "z-1")
		time.Sleep(time.Second)
		_, delivered := s.lists()
		slices.Sort(delivered) // the two are sent concurrently
		equal(t, "sent", delivered, []string{"y-1", "z-1"})
		if st, err := j.Stats(); err != nil || st.Sinks["a"].Pending != 2 {
			t.Errorf("pending %+v, %v, want the exposure that cannot be read", st.Sinks, err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
