package service

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/sources"
)

// soundAfter is how long a part has to run for its next failure to count as
// the first again.
const soundAfter = 5 * time.Minute

// A supervisor starts a source or a sink again when it fails, later each time,
// so that one that is down leaves the rest of the program alone.
type supervisor struct {
	kind     string // source or sink
	log      *slog.Logger
	restarts prometheus.Counter
	failure  atomic.Pointer[error] // nil while it runs
}

// run calls once until ctx is done, until once returns nil, or until it returns
// an error that fatal picks, which is returned.
func (s *supervisor) run(ctx context.Context, once func(context.Context) error, fatal func(error) bool) error {
	delays := backoff.NewExponentialBackOff()
	delays.InitialInterval, delays.MaxInterval = time.Second, 2*time.Minute
	for {
		started := time.Now()
		err := once(ctx)
		switch {
		case err == nil && ctx.Err() == nil:
			s.log.Info("the " + s.kind + " has come to its end")
			return nil
		case err == nil:
			return nil
		case fatal(err):
			return err
		case ctx.Err() != nil:
			if !errors.Is(err, context.Canceled) {
				s.log.Warn("the "+s.kind+" did not end well", "err", err)
			}
			return nil
		}
		if time.Since(started) > soundAfter {
			delays.Reset()
		}
		wait := delays.NextBackOff()
		s.failure.Store(&err)
		s.log.Error("the "+s.kind+" failed and will be started again", "in", wait.Round(time.Millisecond), "err", err)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		s.restarts.Inc()
		s.failure.Store(nil)
	}
}

// ready is why the part does not run or cannot work, nil if it can; asked is
// what runs.
func (s *supervisor) ready(asked any) error {
	if err := s.failure.Load(); err != nil {
		return *err
	}
	if r, ok := asked.(interface{ Ready() error }); ok {
		return r.Ready()
	}
	return nil
}

// A supervised source is one that is started again when it fails.
type supervised struct {
	supervisor
	name    string
	source  sources.Source
	metrics *metrics
	part
}

func newSupervised(name string, source sources.Source, log *slog.Logger, m *metrics) *supervised {
	s := &supervised{name: name, source: source, metrics: m}
	s.kind, s.log, s.restarts = "source", log.With("source", name), m.sourceRestarts.WithLabelValues(name)
	return s
}

// Run runs the source until ctx is done or the source has come to its end.
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

// Ready is why the source does not run or cannot read, nil if it can.
func (s *supervised) Ready() error { return s.ready(s.source) }

// A part is something that runs in the background.
type part struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// start runs f until ctx is done or the part is stopped.
func (p *part) start(ctx context.Context, f func(context.Context)) {
	ctx, p.cancel = context.WithCancel(ctx)
	p.done = make(chan struct{})
	go func() {
		defer close(p.done)
		f(ctx)
	}()
}

// stop ends the part and waits for its end. A part that was never started has
// ended.
func (p *part) stop() {
	if p.cancel != nil {
		p.cancel()
		<-p.done
	}
}
