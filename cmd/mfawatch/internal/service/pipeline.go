package service

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

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"

	dto "github.com/prometheus/client_model/go"
	"golang.org/x/sync/errgroup"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/sinks/dispatch"
)

// A Pipeline is the service: everything of a configuration, built and joined in
// the order in which data flows.
type Pipeline struct {
	around   config.Deps
	log      *slog.Logger
	registry *prometheus.Registry
	metrics  *metrics
	journal  *journal.Journal
	counted  *countedJournal
	folding  *folding

	changing sync.Mutex // held while parts start, change or stop
	intake   context.Context
	working  context.Context
	fail     context.CancelCauseFunc        // ends Run with an error
	load     func() (*config.Config, error) // reads the configuration again; nil: there is none to read

	mu      sync.Mutex     // guards what follows; never held for long
	config  *config.Config // in effect
	sources map[string]*supervised
	sinks   map[string]*servedSink
}

// A folding is the processor as a part that is started and stopped.
type folding struct {
	processor *processor.Processor
	part
}

// New builds what c says, or nothing. It asks nobody on the network, so
// that one that is away does not keep the others from starting. The caller
// closes the pipeline. load reads the configuration again for a reload; nil: there
// is none to read.
func New(c *config.Config, s config.Deps, reg *prometheus.Registry, load func() (*config.Config, error)) (_ *Pipeline, err error) {
	p := &Pipeline{
		around: s, log: s.Log, registry: reg, metrics: newMetrics(reg), config: c, load: load,
		sources: make(map[string]*supervised), sinks: make(map[string]*servedSink),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	p.journal, err = journal.Open(c.Journal.Path, journal.Options{Logger: s.Log, Registerer: reg, Retention: c.Retention})
	if err != nil {
		return nil, err
	}
	p.counted = &countedJournal{Journal: p.journal}
	p.around.Places = p.journal
	p.folding = &folding{processor: processor.New(p.journal, processor.Options{Logger: s.Log, Registerer: reg, Policy: c.Policy()})}
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
	return p, nil
}

func (p *Pipeline) newSource(name string, c *config.Config) (*supervised, error) {
	source, err := c.Sources[name].Build(name, p.around)
	if err != nil {
		return nil, fmt.Errorf("sources.%s: %w", name, err)
	}
	return newSupervised(name, source, p.log, p.metrics), nil
}

func (p *Pipeline) newSink(name string, c *config.Config) (*servedSink, error) {
	around := p.around
	around.Wording = c.Wording()
	sink, err := c.Sinks[name].Build(around)
	if err != nil {
		return nil, fmt.Errorf("sinks.%s: %w", name, err)
	}
	router, err := c.Router()
	if err == nil {
		err = c.TryRecipients(name, sink)
	}
	if err != nil {
		config.CloseSink(sink)
		return nil, err
	}
	o := dispatch.Options{Logger: p.log, Drain: c.Drain, Router: router, Delivery: c.Sinks[name].Delivery()}
	s, err := newServedSink(name, sink, p.counted, o, p.metrics)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sinks.%s: %w", name, err), s.Close())
	}
	return s, nil
}

// Handle is the Handler of every source.
func (p *Pipeline) Handle(ctx context.Context, d processor.Delivery) error {
	return p.folding.processor.Handle(ctx, d)
}

// Again has a source read what a message names that it gave up.
func (p *Pipeline) Again(ctx context.Context, source, message string) error {
	p.mu.Lock()
	s := p.sources[source]
	p.mu.Unlock()
	err := errors.New("no such source is in the configuration any more")
	if s != nil {
		if r, ok := s.source.(interface {
			Again(ctx context.Context, h processor.Handler, message string) error
		}); ok {
			err = r.Again(ctx, p.Handle, message)
		}
	}
	if err != nil {
		p.log.Warn("message that was given up still cannot be read", "source", source, "err", err)
	}
	return err
}

// Config returns the configuration in effect.
func (p *Pipeline) Config() *config.Config {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.config
}

// Journal returns the journal, which is open until the pipeline is closed.
func (p *Pipeline) Journal() *journal.Journal { return p.journal }

// Stats returns what the journal holds for each sink. It may be a moment old.
func (p *Pipeline) Stats() (journal.Stats, error) { return p.counted.Stats() }

// Sinks returns the names of the sinks as they are now, sorted.
func (p *Pipeline) Sinks() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.sinks))
}

// served is the sinks as they are now, by name.
func (p *Pipeline) served() []*servedSink {
	p.mu.Lock()
	defer p.mu.Unlock()
	return inOrder(p.sinks)
}

func (p *Pipeline) read() []*supervised {
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

// Gather joins the metrics of every part.
func (p *Pipeline) Gather() ([]*dto.MetricFamily, error) {
	all := prometheus.Gatherers{p.registry}
	for _, s := range p.served() {
		all = append(all, s.registry.Load())
	}
	return all.Gather()
}

// Ready yields each part by its name, and why it is not ready; nil: it is.
func (p *Pipeline) Ready(yield func(part string, err error) bool) {
	if !yield("processor", p.folding.processor.Ready()) {
		return
	}
	for _, s := range p.served() {
		if !yield("sink "+s.name, s.Ready()) {
			return
		}
	}
	for _, s := range p.read() {
		if !yield("source "+s.name, s.Ready()) {
			return
		}
	}
}

// Run runs until ctx is done. Then the sources stop and let what is being
// handled finish, and sends under way get the drain time. What is journalled and not told by then is told by the
// next Run.
func (p *Pipeline) Run(ctx context.Context) error {
	last := context.WithoutCancel(ctx)
	working, stopWorking := context.WithCancel(last)
	defer stopWorking()
	intake, fail := context.WithCancelCause(ctx)
	defer fail(nil)

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
	return err
}

// stopSources stops sources, and does not wait for longer than the drain time:
// one that hangs on its cluster must not keep the rest from going on, or from
// ending in order. What it may still handle after the journal was closed is
// refused there, and so not acknowledged.
func (p *Pipeline) stopSources(leaving []*supervised) {
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
func (p *Pipeline) serve(s *servedSink) {
	s.start(p.working, func(ctx context.Context) {
		if err := s.Run(ctx); err != nil {
			p.fail(err)
		}
	})
}

// open starts a source.
func (p *Pipeline) open(s *supervised) {
	s.start(p.intake, func(ctx context.Context) { s.Run(ctx, p.Handle) })
}

// hangup reads the configuration again, and opens anew what is written to a
// file, after it was moved away.
func (p *Pipeline) hangup() {
	if p.load != nil {
		_, _ = p.Reload() // which logs
	}
	for _, s := range p.served() {
		s.reopen()
	}
}

// Close closes what is open, the journal last.
func (p *Pipeline) Close() error {
	var errs []error
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
