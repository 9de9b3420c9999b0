package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/sinks"
)

// A pipeline is the service: everything of a configuration, built and joined in
// the order in which data flows.
type pipeline struct {
	journal    *journal.Journal
	processor  *processor.Processor
	sources    []*supervised
	sinks      map[string]sinks.Sink
	dispatcher *sinks.Dispatcher
	http       *httpServer
	log        *slog.Logger
}

// newPipeline builds what c says, or nothing. It asks nobody on the network, so
// that one that is away does not keep the others from starting. The caller
// closes the pipeline.
func newPipeline(c *Config, s surroundings, reg *prometheus.Registry) (_ *pipeline, err error) {
	p := &pipeline{sinks: make(map[string]sinks.Sink), log: s.log}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	p.journal, err = journal.Open(c.Journal.Path, journal.Options{Logger: s.log, Retention: c.Retention})
	if err != nil {
		return nil, err
	}
	p.processor = processor.New(p.journal, processor.Options{
		Logger: s.log, Registerer: reg,
		Policy: exposure.Policy{EscalateAfter: c.EscalateAfter, Retention: c.Retention},
	})
	m := newMetrics(reg)
	for _, name := range slices.Sorted(maps.Keys(c.Sources)) {
		source, err := c.Sources[name].build(name, s)
		if err != nil {
			return nil, fmt.Errorf("sources.%s: %w", name, err)
		}
		p.sources = append(p.sources, &supervised{name: name, source: source, log: s.log, metrics: m})
	}
	for _, name := range slices.Sorted(maps.Keys(c.Sinks)) {
		sink, err := c.Sinks[name].build(s)
		if err != nil {
			return nil, fmt.Errorf("sinks.%s: %w", name, err)
		}
		p.sinks[name] = sink
	}
	p.dispatcher, err = sinks.NewDispatcher(p.journal, p.sinks, sinks.Options{Logger: s.log, Registerer: reg, Drain: c.Drain})
	if err != nil {
		return nil, err
	}
	p.http, err = listenHTTP(c.HTTP.Address, reg, p.readiness(), s.log)
	return p, err
}

// readiness is what /readyz asks.
func (p *pipeline) readiness() []readiness {
	checks := []readiness{{"processor", p.processor.Ready}, {"sinks", p.dispatcher.Ready}}
	for _, s := range p.sources {
		checks = append(checks, readiness{"source " + s.name, s.Ready})
	}
	return checks
}

// Run runs until ctx is done. Then the sources stop and let what is being
// handled finish, sends under way get the drain time, and metrics and health are
// served to the last. What is journalled and not told by then is told by the
// next Run.
func (p *pipeline) Run(ctx context.Context) error {
	last := context.WithoutCancel(ctx)
	serving, stopServing := context.WithCancel(last)
	defer stopServing()
	working, stopWorking := context.WithCancel(last)
	defer stopWorking()
	intake, stopIntake := context.WithCancel(ctx)
	defer stopIntake()

	server := new(errgroup.Group)
	server.Go(func() error {
		defer stopIntake()
		return p.http.Run(serving)
	})
	workers := new(errgroup.Group)
	workers.Go(func() error { return p.processor.Run(working) })
	workers.Go(func() error {
		defer stopIntake() // without the journal there is no use in reading on
		return p.dispatcher.Run(working)
	})
	workers.Go(func() error { return onHangup(working, p.reopen) })
	sources := new(errgroup.Group)
	for _, s := range p.sources {
		sources.Go(func() error { return s.Run(intake, p.processor.Handle) })
	}

	<-intake.Done()
	p.log.Info("stopping: no more is read, what is under way is finished")
	err := sources.Wait()
	stopWorking()
	err = errors.Join(err, workers.Wait())
	stopServing()
	return errors.Join(err, server.Wait())
}

// reopen opens anew what is written to a file, after it was moved away.
func (p *pipeline) reopen() {
	for _, name := range slices.Sorted(maps.Keys(p.sinks)) {
		if f, ok := p.sinks[name].(interface{ Reopen() error }); ok {
			if err := f.Reopen(); err != nil {
				p.log.Error("the sink's file could not be opened anew; the old one stays in use", "sink", name, "err", err)
				continue
			}
			p.log.Info("the sink's file was opened anew", "sink", name)
		}
	}
}

// Close closes what is open, the journal last.
func (p *pipeline) Close() error {
	var errs []error
	if p.http != nil {
		errs = append(errs, p.http.Close())
	}
	for _, name := range slices.Sorted(maps.Keys(p.sinks)) {
		if c, ok := p.sinks[name].(io.Closer); ok {
			if err := c.Close(); err != nil {
				errs = append(errs, fmt.Errorf("close sink %s: %w", name, err))
			}
		}
	}
	if p.journal != nil {
		errs = append(errs, p.journal.Close())
	}
	return errors.Join(errs...)
}
