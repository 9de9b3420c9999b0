package service

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/status"
	"github.com/mfawatch/mfawatch/sources"
)

// soundAfter is how long a task must run for the backoff to start over.
const soundAfter = 5 * time.Minute

// A supervisor restarts a source or a sink that fails, with a growing delay, so
// that one failure leaves the rest of the program alone.
type supervisor struct {
	log      *slog.Logger // names the source or sink
	restarts prometheus.Counter
	failure  status.Status // none while it runs
}

// run calls once until ctx is done, once returns nil, or once returns an error
// that fatal reports. It returns that error.
func (s *supervisor) run(ctx context.Context, once func(context.Context) error, fatal func(error) bool) error {
	delays := backoff.NewExponentialBackOff()
	delays.InitialInterval, delays.MaxInterval = time.Second, 2*time.Minute
	for {
		started := time.Now()
		err := once(ctx)
		switch {
		case err == nil && ctx.Err() == nil:
			s.log.Info("finished")
			return nil
		case err == nil:
			return nil
		case fatal(err):
			return err
		case ctx.Err() != nil:
			if !errors.Is(err, context.Canceled) {
				s.log.Warn("stopped with an error", "err", err)
			}
			return nil
		}
		if time.Since(started) > soundAfter {
			delays.Reset()
		}
		wait := delays.NextBackOff()
		s.failure.Set(err)
		s.log.Error("failed; restarting", "in", wait.Round(time.Millisecond), "err", err)
		if sources.Sleep(ctx, wait) != nil {
			return nil
		}
		s.restarts.Inc()
		s.failure.Set(nil)
	}
}

// ready returns why the task does not run or does not work, nil if it does.
func (s *supervisor) ready(running any) error {
	if err := s.failure.Err(); err != nil {
		return err
	}
	if r, ok := running.(interface{ Ready() error }); ok {
		return r.Ready()
	}
	return nil
}

// A supervised source is restarted when it fails.
type supervised struct {
	supervisor
	name    string
	source  sources.Source
	metrics *metrics
	task
}

func newSupervised(name string, source sources.Source, log *slog.Logger, m *metrics) *supervised {
	s := &supervised{name: name, source: source, metrics: m}
	s.log, s.restarts = log.With("source", name), m.sourceRestarts.WithLabelValues(name)
	return s
}

// Run runs the source until ctx is done or the source is finished.
func (s *supervised) Run(ctx context.Context, h processor.Handler) {
	up := s.metrics.sourceUp.WithLabelValues(s.name)
	defer up.Set(0)
	_ = s.run(ctx, func(ctx context.Context) error {
		up.Set(1)
		err := s.source.Run(ctx, h)
		if err != nil {
			up.Set(0)
		}
		return err
	}, func(error) bool { return false })
}

// Ready returns why the source does not run or cannot read, nil if it can.
func (s *supervised) Ready() error { return s.ready(s.source) }

// A task runs in the background.
type task struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// start runs f until ctx is done or the task is stopped.
func (t *task) start(ctx context.Context, f func(context.Context)) {
	ctx, t.cancel = context.WithCancel(ctx)
	t.done = make(chan struct{})
	go func() {
		defer close(t.done)
		f(ctx)
	}()
}

// stop ends the task and waits for its end. A task that was never started has
// ended.
func (t *task) stop() {
	if t.cancel != nil {
		t.cancel()
		<-t.done
	}
}
