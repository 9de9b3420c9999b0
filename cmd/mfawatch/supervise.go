package main

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/sources"
)

// soundAfter is how long a source has to run for its next failure to count as
// the first again.
const soundAfter = 5 * time.Minute

// A supervised source is started again when it fails, later each time, so that
// one source that is down leaves the rest of the program alone.
type supervised struct {
	name    string
	source  sources.Source
	log     *slog.Logger
	metrics *metrics
	failure atomic.Pointer[error] // nil while it runs
}

// Run runs the source until ctx is done or the source has come to its end. It
// always returns nil.
func (s *supervised) Run(ctx context.Context, h processor.Handler) error {
	delays := backoff.NewExponentialBackOff()
	delays.InitialInterval, delays.MaxInterval = time.Second, 2*time.Minute
	up := s.metrics.sourceUp.WithLabelValues(s.name)
	restarts := s.metrics.sourceRestarts.WithLabelValues(s.name)
	defer up.Set(0)
	for {
		up.Set(1)
		started := time.Now()
		err := s.source.Run(ctx, h)
		if ctx.Err() != nil {
			if err != nil && !errors.Is(err, context.Canceled) {
				s.log.Warn("the source did not end well", "source", s.name, "err", err)
			}
			return nil
		}
		if err == nil {
			s.log.Info("the source has come to its end", "source", s.name)
			return nil
		}
		if time.Since(started) > soundAfter {
			delays.Reset()
		}
		wait := delays.NextBackOff()
		s.failure.Store(&err)
		up.Set(0)
		s.log.Error("the source failed and will be started again", "source", s.name, "in", wait.Round(time.Millisecond), "err", err)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		restarts.Inc()
		s.failure.Store(nil)
	}
}

// Ready is why the source does not run or cannot read, nil if it can.
func (s *supervised) Ready() error {
	if err := s.failure.Load(); err != nil {
		return *err
	}
	if r, ok := s.source.(interface{ Ready() error }); ok {
		return r.Ready()
	}
	return nil
}
