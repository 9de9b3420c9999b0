package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
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

// A Pipeline is the service: the journal, the processor, the sources and the
// sinks of one configuration.
type Pipeline struct {
	deps     config.Deps
	log      *slog.Logger
	registry *prometheus.Registry
	metrics  *metrics
	journal  *journal.Journal
	cached   *cachedJournal
	folding  *folding

	changing sync.Mutex // held while tasks start, change or stop
	intake   context.Context
	working  context.Context
	fail     context.CancelCauseFunc        // ends Run with an error
	load     func() (*config.Config, error) // reads the configuration again; nil: no reload

	mu      sync.Mutex     // guards what follows; never held for long
	config  *config.Config // in effect
	sources map[string]*supervised
	sinks   map[string]*servedSink
}

// A folding is the processor as a task.
type folding struct {
	processor *processor.Processor
	task
}

// New builds the pipeline of c, or nothing. It sends nothing over the network, so
// that a server that is down does not keep the rest from starting. The caller
// closes the pipeline. A reload calls load to read the configuration again; nil:
// reloads are refused.
func New(c *config.Config, d config.Deps, reg *prometheus.Registry, load func() (*config.Config, error)) (_ *Pipeline, err error) {
	p := &Pipeline{
		deps: d, log: d.Log, registry: reg, metrics: newMetrics(reg), config: c, load: load,
		sources: make(map[string]*supervised), sinks: make(map[string]*servedSink),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	if folder := filepath.Dir(c.Journal.Path); !isFolder(folder) {
		return nil, config.Refuse("journal.path", config.Mistake{Problem: fmt.Sprintf("there is no folder %q; create it, or name another file", folder)})
	}
	p.journal, err = journal.Open(c.Journal.Path, journal.Options{Logger: d.Log, Registerer: reg, Retention: c.Retention})
	if err != nil {
		return nil, err
	}
	p.cached = &cachedJournal{Journal: p.journal}
	p.deps.Offsets = p.journal
	p.folding = &folding{processor: processor.New(p.journal, processor.Options{Logger: d.Log, Registerer: reg, Policy: c.Policy()})}
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

// isFolder reports whether path is a folder. A journal in a folder that a typing
// error made would start empty, and every alert would be sent again.
func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func (p *Pipeline) newSource(name string, c *config.Config) (*supervised, error) {
	source, err := c.Sources[name].Build(name, p.deps)
	if err != nil {
		return nil, fmt.Errorf("sources.%s: %w", name, err)
	}
	p.folding.processor.AddSource(name)
	return newSupervised(name, source, p.log, p.metrics), nil
}

func (p *Pipeline) newSink(name string, c *config.Config) (*servedSink, error) {
	deps := p.deps
	deps.Wording = c.Wording()
	sink, err := c.Sinks[name].Build(deps)
	if err != nil {
		return nil, fmt.Errorf("sinks.%s: %w", name, err)
	}
	router, err := c.Router()
	if err == nil {
		err = c.TryRecipients(name, sink)
	}
	if err != nil {
		return nil, errors.Join(err, config.CloseSink(sink))
	}
	o := dispatch.Options{Logger: p.log, Drain: c.ShutdownTimeout, Router: router, Delivery: c.Sinks[name].Delivery()}
	s, err := newServedSink(name, sink, p.cached, o, p.metrics)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sinks.%s: %w", name, err), s.Close())
	}
	return s, nil
}

// Handle is the Handler of every source.
func (p *Pipeline) Handle(ctx context.Context, d processor.Delivery) error {
	return p.folding.processor.Handle(ctx, d)
}

// Again has a source read the objects of a quarantined message.
func (p *Pipeline) Again(ctx context.Context, source, message string) error {
	p.mu.Lock()
	s := p.sources[source]
	p.mu.Unlock()
	err := errors.New("the configuration has no such source any more")
	if s != nil {
		if r, ok := s.source.(interface {
			Again(ctx context.Context, h processor.Handler, message string) error
		}); ok {
			err = r.Again(ctx, p.Handle, message)
		}
	}
	if err != nil {
		p.log.Warn("quarantined message still cannot be read", "source", source, "err", err)
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

// Stats returns the journal's stats of at most 200 ms ago.
func (p *Pipeline) Stats() (journal.Stats, error) { return p.cached.Stats() }

// Sinks returns the names of the sinks as they are now, sorted.
func (p *Pipeline) Sinks() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.sinks))
}

// served returns the sinks as they are now, sorted by name.
func (p *Pipeline) served() []*servedSink {
	p.mu.Lock()
	defer p.mu.Unlock()
	return inOrder(p.sinks)
}

// supervised returns the sources as they are now, sorted by name.
func (p *Pipeline) supervised() []*supervised {
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

// Gather returns the metrics of the pipeline and of every sink.
func (p *Pipeline) Gather() ([]*dto.MetricFamily, error) {
	all := prometheus.Gatherers{p.registry}
	for _, s := range p.served() {
		all = append(all, s.registry.Load())
	}
	return all.Gather()
}

// Ready yields each part by name with why it is not ready, nil if it is.
func (p *Pipeline) Ready(yield func(part string, err error) bool) {
	if !yield("processor", p.folding.processor.Ready()) {
		return
	}
	for _, s := range p.served() {
		if !yield("sink "+s.name, s.Ready()) {
			return
		}
	}
	for _, s := range p.supervised() {
		if !yield("source "+s.name, s.Ready()) {
			return
		}
	}
}

// Run runs until ctx is done. Then the sources stop, deliveries in progress
// finish, and sends in flight get the shutdown timeout. The next Run delivers the
// alerts that are left.
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
	for _, s := range p.supervised() {
		p.open(s)
	}
	p.changing.Unlock()
	signals := new(errgroup.Group)
	signals.Go(func() error { return onHangup(intake, p.hangup) })
	signals.Go(func() error { p.pollPlannedChanges(intake); return nil })

	<-intake.Done()
	p.log.Info("stopping: sources stop, sends in flight finish")
	p.changing.Lock()
	p.stopSources(p.supervised())
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

// stopSources stops sources, and waits for at most the shutdown timeout, so that
// a source that hangs cannot hold up the rest. A delivery that it handles after
// the journal was closed is refused, and not acknowledged.
func (p *Pipeline) stopSources(leaving []*supervised) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		stopAll(leaving)
	}()
	limit := time.NewTimer(p.config.ShutdownTimeout)
	defer limit.Stop()
	select {
	case <-ended:
	case <-limit.C:
		p.log.Warn("a source did not stop within shutdown_timeout; deliveries it has not acknowledged are offered again")
	}
}

// serve starts a sink. If the journal is closed under it, the pipeline stops.
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

// hangup reloads the configuration, and reopens the files of sinks after they
// were moved away.
func (p *Pipeline) hangup() {
	if p.load != nil {
		_, _ = p.Reload() // which logs
	}
	for _, s := range p.served() {
		s.reopen()
	}
}

// Close closes the sinks, then the journal.
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
