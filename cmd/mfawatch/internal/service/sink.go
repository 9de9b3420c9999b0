package service

import (
	"context"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mfawatch/mfawatch/sinks/dispatch"
)

// A servedSink is the worker of a sink in a shard, so that sinks can be added,
// removed or changed while the others deliver. Its metrics are in a registry of
// its own, and go with it.
type servedSink struct {
	supervisor
	*channel
	shard    *shard
	options  dispatch.Options
	prepared bool // the worker has not run yet
	registry atomic.Pointer[prometheus.Registry]
	worker   atomic.Pointer[dispatch.Worker]
	task
}

// newServedSink registers the sink with the journal. Delivery continues at the
// sink's cursor; a new sink starts at the end of the journal.
func newServedSink(c *channel, sh *shard, o dispatch.Options, m *metrics) (*servedSink, error) {
	s := &servedSink{channel: c, shard: sh, options: o}
	s.log, s.restarts = o.Logger.With("sink", c.name), m.sinkRestarts.WithLabelValues(c.name)
	if sh.partition >= 0 {
		s.log = s.log.With("partition", sh.partition)
		s.options.Logger = o.Logger.With("partition", sh.partition)
	}
	return s, s.prepare()
}

func (s *servedSink) prepare() error {
	o, reg := s.options, prometheus.NewRegistry()
	o.Registerer = s.shard.registerer(reg)
	d, err := dispatch.New(s.store(), s.name, s.sink, o)
	if err != nil {
		return err
	}
	s.registry.Store(reg)
	s.worker.Store(d)
	s.prepared = true
	return nil
}

// Run delivers to the sink until ctx is done. It fails only when the journal is
// closed, or lost.
func (s *servedSink) Run(ctx context.Context) error {
	return s.run(ctx, func(ctx context.Context) error {
		if !s.prepared {
			if err := s.prepare(); err != nil {
				return err
			}
		}
		s.prepared = false
		return s.worker.Load().Run(ctx)
	}, ended)
}

// Ready returns why the sink's alerts are not delivered, nil if they are.
func (s *servedSink) Ready() error { return s.ready(s.worker.Load()) }
