package service

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mfawatch/mfawatch/processor"
)

// A brokenSource fails for so many runs, then runs until it is asked to end.
type brokenSource struct{ failures, runs int }

func (s *brokenSource) Run(ctx context.Context, _ processor.Handler) error {
	s.runs++
	if s.runs <= s.failures {
		return errors.New("no such luck")
	}
	<-ctx.Done()
	return nil
}

func TestSupervisedSourceIsStartedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMetrics(prometheus.NewRegistry())
		source := &brokenSource{failures: 3}
		s := newSupervised("trail", source, slog.New(slog.DiscardHandler), m)
		ctx, cancel := context.WithCancel(t.Context())
		s.start(ctx, func(ctx context.Context) { s.Run(ctx, nil) })

		synctest.Wait()
		if err := s.Ready(); err == nil || err.Error() != "no such luck" {
			t.Errorf("after the first failure: ready says %v", err)
		}
		if up := testutil.ToFloat64(m.sourceUp.WithLabelValues("trail")); up != 0 {
			t.Errorf("after the first failure: up is %v", up)
		}
		time.Sleep(time.Minute) // of the bubble's clock: more than three delays
		synctest.Wait()
		if source.runs != 4 || s.Ready() != nil {
			t.Errorf("after a minute: %d runs, ready says %v", source.runs, s.Ready())
		}
		if up := testutil.ToFloat64(m.sourceUp.WithLabelValues("trail")); up != 1 {
			t.Errorf("while it runs: up is %v", up)
		}
		if n := testutil.ToFloat64(m.sourceRestarts.WithLabelValues("trail")); n != 3 {
			t.Errorf("%v restarts counted, want 3", n)
		}
		cancel()
		<-s.done
	})
}

func TestSupervisedSourceThatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSupervised("files", endingSource{}, slog.New(slog.DiscardHandler), newMetrics(prometheus.NewRegistry()))
		s.Run(t.Context(), nil)
		if s.Ready() != nil {
			t.Errorf("ready says %v", s.Ready())
		}
	})
}

type endingSource struct{}

func (endingSource) Run(context.Context, processor.Handler) error { return nil }

// While it waits to start a source again, it ends immediately.
func TestSupervisedSourceEndsWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSupervised("trail", &brokenSource{failures: 1 << 30}, slog.New(slog.DiscardHandler), newMetrics(prometheus.NewRegistry()))
		s.start(t.Context(), func(ctx context.Context) { s.Run(ctx, nil) })
		time.Sleep(time.Hour)
		synctest.Wait()
		before := time.Now()
		s.stop()
		if time.Since(before) != 0 {
			t.Errorf("ended after %v", time.Since(before))
		}
	})
}
