package service

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/dispatch"
)

// A servedSink is a sink with its worker, so that sinks can be added, removed
// or changed while the others deliver. Its metrics are in a registry of its own,
// and go with it.
type servedSink struct {
	supervisor
	name     string
	sink     sinks.Sink
	journal  *cachedJournal
	options  dispatch.Options
	prepared bool // the worker has not run yet
	registry atomic.Pointer[prometheus.Registry]
	worker   atomic.Pointer[dispatch.Worker]
	task
}

// newServedSink registers the sink with the journal. Delivery continues at the
// sink's cursor; a new sink starts at the end of the journal.
func newServedSink(name string, sink sinks.Sink, j *cachedJournal, o dispatch.Options, m *metrics) (*servedSink, error) {
	s := &servedSink{name: name, sink: sink, journal: j, options: o}
	s.log, s.restarts = o.Logger.With("sink", name), m.sinkRestarts.WithLabelValues(name)
	return s, s.prepare()
}

func (s *servedSink) prepare() error {
	o, reg := s.options, prometheus.NewRegistry()
	o.Registerer = reg
	d, err := dispatch.New(s.journal, s.name, s.sink, o)
	if err != nil {
		return err
	}
	s.registry.Store(reg)
	s.worker.Store(d)
	s.prepared = true
	return nil
}

// Run delivers to the sink until ctx is done. It fails only when the journal is
// closed.
func (s *servedSink) Run(ctx context.Context) error {
	return s.run(ctx, func(ctx context.Context) error {
		if !s.prepared {
			if err := s.prepare(); err != nil {
				return err
			}
		}
		s.prepared = false
		return s.worker.Load().Run(ctx)
	}, func(err error) bool { return errors.Is(err, journal.ErrClosed) })
}

// Ready returns why the sink's alerts are not delivered, nil if they are.
func (s *servedSink) Ready() error { return s.ready(s.worker.Load()) }

// Close releases the sink's files and connections.
func (s *servedSink) Close() error { return config.CloseSink(s.sink) }

// reopen opens the sink's file again after it was moved away.
func (s *servedSink) reopen() {
	f, ok := s.sink.(sinks.Reopener)
	if !ok {
		return
	}
	if err := f.Reopen(); err != nil {
		s.log.Error("the sink's file could not be reopened; the old one stays in use", "err", err)
		return
	}
	s.log.Info("the sink's file was reopened")
}
