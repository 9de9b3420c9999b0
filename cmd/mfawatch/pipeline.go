package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"golang.org/x/sync/errgroup"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/sinks/dispatch"
)

// A pipeline is the service: everything of a configuration, built and joined in
// the order in which data flows.
type pipeline struct {
	around   surroundings
	log      *slog.Logger
	registry *prometheus.Registry
	metrics  *metrics
	journal  *journal.Journal
	counted  *countedJournal
	folding  *folding
	http     *httpServer

	changing sync.Mutex // held while parts start, change or stop
	intake   context.Context
	working  context.Context
	fail     context.CancelCauseFunc // ends Run with an error
	load     func() (*Config, error) // reads the configuration again; nil: there is none to read

	mu      sync.Mutex // guards what follows; never held for long
	config  *Config    // in effect
	sources map[string]*supervised
	sinks   map[string]*servedSink
}

// A folding is the processor as a part that is started and stopped.
type folding struct {
	processor *processor.Processor
	part
}

// newPipeline builds what c says, or nothing. It asks nobody on the network, so
// that one that is away does not keep the others from starting. The caller
// closes the pipeline.
func newPipeline(c *Config, s surroundings, reg *prometheus.Registry) (_ *pipeline, err error) {
	p := &pipeline{
		around: s, log: s.log, registry: reg, metrics: newMetrics(reg), config: c,
		sources: make(map[string]*supervised), sinks: make(map[string]*servedSink),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	p.journal, err = journal.Open(c.Journal.Path, journal.Options{Logger: s.log, Registerer: reg, Retention: c.Retention})
	if err != nil {
		return nil, err
	}
	p.counted = &countedJournal{Journal: p.journal}
	p.around.places = p.journal
	p.folding = &folding{processor: processor.New(p.journal, processor.Options{Logger: s.log, Registerer: reg, Policy: c.policy()})}
	for _, name := range slices.Sorted(maps.Keys(c.Sources)) {
		if p.sources[name], err = p.newSource(name, c); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Sinks)) {
		if p.sinks[name], err = p.newSink(name, c); err != nil {
			delete(p.sinks, name)
			return nil, err
		}
	}
	reg.MustRegister(sinkCollector{p})
	if c.HTTP.Address == httpOff {
		return p, nil
	}
	p.http, err = listenHTTP(c.HTTP.Address, prometheus.GathererFunc(p.gather), p.readiness, s.log)
	if err != nil {
		return nil, err
	}
	p.http.admit(newAdmin(p.journal, p.metrics, p.again), p.Reload, p.adminOpen)
	pages := p.pages()
	p.http.mux.Handle("GET /{$}", pages)
	p.http.mux.Handle("GET /exposures/{id}", pages)
	return p, nil
}

func (p *pipeline) newSource(name string, c *Config) (*supervised, error) {
	source, err := c.Sources[name].build(name, p.around)
	if err != nil {
		return nil, fmt.Errorf("sources.%s: %w", name, err)
	}
	return newSupervised(name, source, p.log, p.metrics), nil
}

func (p *pipeline) newSink(name string, c *Config) (*servedSink, error) {
	around := p.around
	around.wording = c.wording()
	sink, err := c.Sinks[name].build(around)
	if err != nil {
		return nil, fmt.Errorf("sinks.%s: %w", name, err)
	}
	router, err := c.router()
	if err == nil {
		err = c.tryRecipients(name, sink)
	}
	if err != nil {
		closeSink(sink)
		return nil, err
	}
	o := dispatch.Options{Logger: p.log, Drain: c.Drain, Router: router, Delivery: c.Sinks[name].delivery()}
	s, err := newServedSink(name, sink, p.counted, o, p.metrics)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sinks.%s: %w", name, err), s.Close())
	}
	return s, nil
}

// handle is the Handler of every source.
func (p *pipeline) handle(ctx context.Context, d processor.Delivery) error {
	return p.folding.processor.Handle(ctx, d)
}

// again has a source read what a message names that it gave up.
func (p *pipeline) again(ctx context.Context, source, message string) error {
	p.mu.Lock()
	s := p.sources[source]
	p.mu.Unlock()
	err := errors.New("no such source is in the configuration any more")
	if s != nil {
		if r, ok := s.source.(interface {
			Again(ctx context.Context, h processor.Handler, message string) error
		}); ok {
			err = r.Again(ctx, p.handle, message)
		}
	}
	if err != nil {
		p.log.Warn("message that was given up still cannot be read", "source", source, "err", err)
	}
	return err
}

// served is the sinks as they are now, by name.
func (p *pipeline) served() []*servedSink {
	p.mu.Lock()
	defer p.mu.Unlock()
	return inOrder(p.sinks)
}

func (p *pipeline) read() []*supervised {
	p.mu.Lock()
	defer p.mu.Unlock()
	return inOrder(p.sources)
}

func inOrder[T any](parts map[string]T) []T {
	var all []T
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		all = append(all, parts[name])
	}
	return all
}

// gather joins what every part counts.
func (p *pipeline) gather() ([]*dto.MetricFamily, error) {
	all := prometheus.Gatherers{p.registry}
	for _, s := range p.served() {
		all = append(all, s.registry.Load())
	}
	return all.Gather()
}

// readiness is what /readyz asks.
func (p *pipeline) readiness() []readiness {
	checks := []readiness{{"processor", func() error { return p.folding.processor.Ready() }}}
	for _, s := range p.served() {
		checks = append(checks, readiness{"sink " + s.name, s.Ready})
	}
	for _, s := range p.read() {
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
	intake, fail := context.WithCancelCause(ctx)
	defer fail(nil)

	server := new(errgroup.Group)
	server.Go(func() error {
		if p.http == nil {
			return nil
		}
		err := p.http.Run(serving)
		fail(err)
		return err
	})
	p.changing.Lock()
	p.intake, p.working, p.fail = intake, working, fail
	f := p.folding
	f.start(working, func(ctx context.Context) { _ = f.processor.Run(ctx) })
	for _, s := range p.served() {
		p.serve(s)
	}
	for _, s := range p.read() {
		p.open(s)
	}
	p.changing.Unlock()
	signals := new(errgroup.Group)
	signals.Go(func() error { return onHangup(intake, p.hangup) })
	signals.Go(func() error { p.watchAnnounced(intake); return nil })

	<-intake.Done()
	p.log.Info("stopping: no more is read, what is under way is finished")
	p.changing.Lock() // for good: nothing changes from here on
	p.stopSources(p.read())
	stopWorking()
	p.folding.stop()
	for _, s := range p.served() {
		s.stop()
	}
	p.changing.Unlock()
	err := signals.Wait()
	if cause := context.Cause(intake); errors.Is(cause, journal.ErrClosed) {
		err = errors.Join(err, cause)
	}
	stopServing()
	return errors.Join(err, server.Wait())
}

// stopSources stops sources, and does not wait for longer than the drain time:
// one that hangs on its cluster must not keep the rest from going on, or from
// ending in order. What it may still handle after the journal was closed is
// refused there, and so not acknowledged.
func (p *pipeline) stopSources(leaving []*supervised) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		stopAll(leaving)
	}()
	limit := time.NewTimer(p.config.Drain)
	defer limit.Stop()
	select {
	case <-ended:
	case <-limit.C:
		p.log.Warn("a source did not end within the drain time and is left behind; what it has not acknowledged is offered again")
	}
}

// serve starts a sink. Without the journal there is no use in going on.
func (p *pipeline) serve(s *servedSink) {
	s.start(p.working, func(ctx context.Context) {
		if err := s.Run(ctx); err != nil {
			p.fail(err)
		}
	})
}

// open starts a source.
func (p *pipeline) open(s *supervised) {
	s.start(p.intake, func(ctx context.Context) { s.Run(ctx, p.handle) })
}

// hangup reads the configuration again, and opens anew what is written to a
// file, after it was moved away.
func (p *pipeline) hangup() {
	if p.load != nil {
		_, _ = p.Reload() // which logs
	}
	for _, s := range p.served() {
		s.reopen()
	}
}

// Close closes what is open, the journal last.
func (p *pipeline) Close() error {
	var errs []error
	if p.http != nil {
		errs = append(errs, p.http.Close())
	}
	for _, s := range p.served() {
		if err := s.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close sink %s: %w", s.name, err))
		}
	}
	if p.journal != nil {
		errs = append(errs, p.journal.Close())
	}
	return errors.Join(errs...)
}
