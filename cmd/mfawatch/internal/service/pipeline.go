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
	kafkashard "github.com/mfawatch/mfawatch/cmd/mfawatch/internal/shard"

	dto "github.com/prometheus/client_model/go"
	"golang.org/x/sync/errgroup"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/journal/store"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/sinks/dispatch"
)

// A Pipeline is the service: the journal, the processor, the sources and the
// sinks of one configuration.
type Pipeline struct {
	deps      config.Deps
	log       *slog.Logger
	registry  *prometheus.Registry
	metrics   *metrics
	processor *processor.Processor
	cluster   *kafkashard.Cluster // nil: the journal is a file
	local     *journal.Journal    // the file; with a cluster, offsets of followed files

	changing sync.Mutex // held while tasks start, change or stop
	intake   context.Context
	fail     context.CancelCauseFunc        // ends Run with an error
	load     func() (*config.Config, error) // reads the configuration again; nil: no reload

	mu       sync.Mutex     // guards what follows; never held for long
	config   *config.Config // in effect
	sources  map[string]*supervised
	channels map[string]*channel
	shards   []*shard
}

// New builds the pipeline of c, or nothing. It sends nothing over the network, so
// that a server that is down does not keep the rest from starting. The caller
// closes the pipeline. A reload calls load to read the configuration again; nil:
// reloads are refused.
func New(c *config.Config, d config.Deps, reg *prometheus.Registry, load func() (*config.Config, error)) (_ *Pipeline, err error) {
	p := &Pipeline{
		deps: d, log: d.Log, registry: reg, metrics: newMetrics(reg), config: c, load: load,
		sources: make(map[string]*supervised), channels: make(map[string]*channel),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	if folder := filepath.Dir(c.Journal.Path); !isFolder(folder) {
		return nil, config.Refuse("journal.path", config.Mistake{Problem: fmt.Sprintf("there is no folder %q; create it, or name another file", folder)})
	}
	o := processor.Options{Logger: d.Log, Registerer: reg, Policy: c.Policy()}
	if c.Journal.Type == config.JournalKafka {
		if err := p.openShared(); err != nil {
			return nil, err
		}
		p.processor = processor.NewIntake(intake{p.cluster, p}, o)
	} else {
		p.local, err = journal.Open(c.Journal.Path, journal.Options{Logger: d.Log, Registerer: reg, Retention: c.Retention})
		if err != nil {
			return nil, err
		}
		p.deps.Offsets = p.local
		p.shards = []*shard{newShard(-1, p.local, nil)}
		p.processor = processor.New(p.local, o)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Sources)) {
		if p.sources[name], err = p.newSource(name, c); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Sinks)) {
		ch, err := p.newChannel(name, c)
		if err != nil {
			return nil, err
		}
		p.channels[name] = ch
		for _, s := range p.shards {
			if err := p.addWorker(s, ch); err != nil {
				return nil, err
			}
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
	p.processor.AddSource(name)
	return newSupervised(name, source, p.log, p.metrics), nil
}

func (p *Pipeline) newChannel(name string, c *config.Config) (*channel, error) {
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
	return newChannel(name, sink, o), nil
}

// Handle is the Handler of every source.
func (p *Pipeline) Handle(ctx context.Context, d processor.Delivery) error {
	return p.processor.Handle(ctx, d)
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

// Append makes events durable, and returns how many are new.
func (p *Pipeline) Append(ctx context.Context, events []*trail.Event) (fresh int, err error) {
	if p.cluster != nil {
		return p.cluster.Append(ctx, events)
	}
	return p.local.Append(ctx, events)
}

// Journal returns the journal file, which is open until the pipeline is closed.
func (p *Pipeline) Journal() *journal.Journal { return p.local }

// Journals returns the journals that this replica serves now: the file, or those
// of its shards.
func (p *Pipeline) Journals() (all []*journal.Journal) {
	for _, s := range p.shardsInOrder() {
		all = append(all, s.journal)
	}
	return all
}

// Numbered yields the same journals with their partitions; -1: the journal is a file.
func (p *Pipeline) Numbered(yield func(partition int, j *journal.Journal) bool) {
	for _, s := range p.shardsInOrder() {
		if !yield(s.partition, s.journal) {
			return
		}
	}
}

// Stats sums up the stats of the journals, of at most 200 ms ago.
func (p *Pipeline) Stats() (journal.Stats, error) {
	all := journal.Stats{Sinks: map[string]journal.SinkStats{}}
	var errs []error
	for _, s := range p.shardsInOrder() {
		st, err := s.cached.Stats()
		errs = append(errs, err)
		all.Add(st)
	}
	return all, errors.Join(errs...)
}

// Sinks returns the names of the sinks as they are now, sorted.
func (p *Pipeline) Sinks() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.channels))
}

// served returns the workers as they are now, sorted by shard and name.
func (p *Pipeline) served() (all []*servedSink) {
	for _, s := range p.shardsInOrder() {
		p.mu.Lock()
		all = append(all, inOrder(s.sinks)...)
		p.mu.Unlock()
	}
	return all
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
	if !yield("processor", p.processor.Ready()) {
		return
	}
	for _, s := range p.served() {
		if !yield(s.shard.label("sink "+s.name), s.Ready()) {
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
	p.intake, p.fail = intake, fail
	for _, s := range p.supervised() {
		p.open(s)
	}
	p.changing.Unlock()
	var serving task
	if p.cluster != nil {
		serving.start(working, p.runShared)
	} else {
		shard := p.shards[0]
		serving.start(working, func(ctx context.Context) {
			if err := p.serveShard(ctx, shard); err != nil {
				p.fail(err)
			}
		})
	}
	signals := new(errgroup.Group)
	signals.Go(func() error { return onHangup(intake, p.hangup) })
	signals.Go(func() error { p.pollPlannedChanges(intake); return nil })

	<-intake.Done()
	p.log.Info("stopping: sources stop, sends in flight finish")
	p.changing.Lock()
	p.stopSources(p.supervised())
	p.changing.Unlock()
	serving.stop()
	err := signals.Wait()
	if cause := context.Cause(intake); errors.Is(cause, store.ErrClosed) || errors.Is(cause, kafkashard.ErrRefused) {
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

// serve starts a worker, except that of a shard that is yet to start. If the
// journal file is closed under it, the pipeline stops.
func (p *Pipeline) serve(s *servedSink) {
	if s.shard.working == nil {
		return
	}
	s.start(s.shard.working, func(ctx context.Context) {
		if err := s.Run(ctx); err != nil && s.shard.lease == nil {
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
	for _, c := range p.built() {
		c.reopen(p.log)
	}
}

// built returns the sinks as they are now, sorted by name.
func (p *Pipeline) built() []*channel {
	p.mu.Lock()
	defer p.mu.Unlock()
	return inOrder(p.channels)
}

// Close closes the sinks, then the journal.
func (p *Pipeline) Close() error {
	var errs []error
	for _, c := range p.built() {
		if err := c.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close sink %s: %w", c.name, err))
		}
	}
	if p.cluster != nil {
		p.cluster.Close()
	}
	if p.local != nil {
		errs = append(errs, p.local.Close())
	}
	return errors.Join(errs...)
}
