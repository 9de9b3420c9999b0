package service

import (
	"context"
	"errors"
	"io"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/dispatch"
)

// A servedSink is a sink with a dispatcher of its own, so that one may come, go
// or change while the others are told. It counts on a registry of its own, which
// goes with it.
type servedSink struct {
	supervisor
	name       string
	sink       sinks.Sink
	line       *countedJournal
	options    dispatch.Options
	prepared   bool // the dispatcher has not run yet
	registry   atomic.Pointer[prometheus.Registry]
	dispatcher atomic.Pointer[dispatch.Worker]
	part
}

// newServedSink registers the sink with the journal. It is told from where it
// was before, or else what is journalled from here on.
func newServedSink(name string, sink sinks.Sink, line *countedJournal, o dispatch.Options, m *metrics) (*servedSink, error) {
	s := &servedSink{name: name, sink: sink, line: line, options: o}
	s.kind, s.log, s.restarts = "sink", o.Logger.With("sink", name), m.sinkRestarts.WithLabelValues(name)
	return s, s.prepare()
}

func (s *servedSink) prepare() error {
	o, reg := s.options, prometheus.NewRegistry()
	o.Registerer = reg
	d, err := dispatch.New(s.line, s.name, s.sink, o)
	if err != nil {
		return err
	}
	s.registry.Store(reg)
	s.dispatcher.Store(d)
	s.prepared = true
	return nil
}

// Run tells the sink until ctx is done. Its error is that the journal is closed.
func (s *servedSink) Run(ctx context.Context) error {
	return s.run(ctx, func(ctx context.Context) error {
		if !s.prepared {
			if err := s.prepare(); err != nil {
				return err
			}
		}
		s.prepared = false
		return s.dispatcher.Load().Run(ctx)
	}, func(err error) bool { return errors.Is(err, journal.ErrClosed) })
}

// Ready is why the sink does not get its alerts told, nil if it does.
func (s *servedSink) Ready() error { return s.ready(s.dispatcher.Load()) }

// Close lets go of what the sink holds.
func (s *servedSink) Close() error {
	if c, ok := s.sink.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// reopen opens anew what is written to a file, after it was moved away.
func (s *servedSink) reopen() {
	f, ok := s.sink.(sinks.Reopener)
	if !ok {
		return
	}
	if err := f.Reopen(); err != nil {
		s.log.Error("the sink's file could not be opened anew; the old one stays in use", "err", err)
		return
	}
	s.log.Info("the sink's file was opened anew")
}
