package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/journal/store"
	"github.com/mfawatch/mfawatch/processor/route"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/dispatch"
)

// A channel is a sink that was built, for the workers of all shards.
type channel struct {
	name    string
	sink    sinks.Sink
	options dispatch.Options
	rate    float64
	limiter *rate.Limiter // nil: no rate
	slots   chan struct{} // holds one for each send that runs
	urgent  chan struct{} // likewise for urgent sends, beside slots; nil: there are none
}

func newChannel(name string, sink sinks.Sink, o dispatch.Options) *channel {
	c := &channel{name: name, sink: sink, options: o, rate: o.Delivery.Rate, limiter: route.NewLimiter(o.Delivery.Rate)}
	c.slots = make(chan struct{}, max(1, o.Delivery.Concurrency))
	if o.Delivery.People {
		c.urgent = make(chan struct{}, cap(c.slots))
	}
	return c
}

// share limits the rate to the share of the partitions that this replica owns.
func (c *channel) share(owned, partitions int) {
	if c.limiter != nil && owned > 0 {
		c.limiter.SetLimit(rate.Limit(c.rate * float64(owned) / float64(partitions)))
	}
}

// Close releases the sink's files and connections.
func (c *channel) Close() error { return config.CloseSink(c.sink) }

// reopen opens the sink's file again after it was moved away.
func (c *channel) reopen(log *slog.Logger) {
	f, ok := c.sink.(sinks.Reopener)
	if !ok {
		return
	}
	log = log.With("sink", c.name)
	if err := f.Reopen(); err != nil {
		log.Error("the sink's file could not be reopened; the old one stays in use", "err", err)
		return
	}
	log.Info("the sink's file was reopened")
}

// A shard is a journal with its fold and a worker for each sink. The journal file
// of one replica is one shard.
type shard struct {
	partition int // of the shared journal; -1: the journal is a file
	journal   *journal.Journal
	cached    *cachedJournal
	lease     func() error // before each send; nil: none is needed
	sinks     map[string]*servedSink
	folding   task
	working   context.Context // nil: it does not run
}

func newShard(partition int, j *journal.Journal, lease func() error) *shard {
	return &shard{partition: partition, journal: j, cached: &cachedJournal{Journal: j}, lease: lease, sinks: map[string]*servedSink{}}
}

// label names the shard after a noun.
func (s *shard) label(noun string) string {
	if s.partition < 0 {
		return noun
	}
	return noun + " of shard " + strconv.Itoa(s.partition)
}

// registerer adds the shard's label to metrics.
func (s *shard) registerer(reg prometheus.Registerer) prometheus.Registerer {
	if s.partition < 0 {
		return reg
	}
	return prometheus.WrapRegistererWith(prometheus.Labels{"partition": strconv.Itoa(s.partition)}, reg)
}

// worker makes the worker of a channel, which registers the sink with the journal.
func (s *shard) worker(c *channel, m *metrics) (*servedSink, error) {
	o := c.options
	if s.lease != nil {
		o.Limiter, o.Admit = c.limiter, s.admit(c)
	}
	return newServedSink(c, s, o, m)
}

// admit lets a send start if this replica is the owner of the shard, and no more
// at one time than the sink's concurrency in all shards together. Human sinks have
// as many again for urgent sends: others that hang do not delay them.
func (s *shard) admit(c *channel) func(context.Context, bool) (func(), error) {
	return func(ctx context.Context, urgent bool) (func(), error) {
		slots, reserved := c.slots, c.urgent
		if !urgent {
			reserved = nil
		}
		select {
		case slots <- struct{}{}:
		case reserved <- struct{}{}:
			slots = reserved
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		release := func() { <-slots }
		if err := s.lease(); err != nil {
			release()
			return nil, err
		}
		return release, nil
	}
}

// stop ends the fold, and then the workers concurrently.
func (s *shard) stop() {
	s.folding.stop()
	stopAll(inOrder(s.sinks))
}

// shardsInOrder returns the shards as they are now, by partition.
func (p *Pipeline) shardsInOrder() []*shard {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := slices.Clone(p.shards)
	slices.SortFunc(all, func(a, b *shard) int { return cmp.Compare(a.partition, b.partition) })
	return all
}

// addWorker adds the worker of a channel to a shard.
func (p *Pipeline) addWorker(s *shard, c *channel) error {
	w, err := s.worker(c, p.metrics)
	if err != nil {
		return fmt.Errorf("sinks.%s: %w", c.name, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s.sinks[c.name] = w
	return nil
}

// removeShard takes a shard of the shared journal out of those that are served.
func (p *Pipeline) removeShard(s *shard) {
	if s.lease == nil {
		return
	}
	p.changing.Lock()
	defer p.changing.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shards = slices.DeleteFunc(p.shards, func(other *shard) bool { return other == s })
}

// serveShard serves a shard until ctx is done. Sends in flight finish.
func (p *Pipeline) serveShard(ctx context.Context, s *shard) error {
	err := p.startShard(ctx, s)
	if err == nil {
		<-ctx.Done()
	}
	p.removeShard(s)
	s.stop()
	return err
}

// startShard starts the fold, and a worker for each sink.
func (p *Pipeline) startShard(ctx context.Context, s *shard) error {
	p.changing.Lock()
	defer p.changing.Unlock()
	for _, c := range inOrder(p.channels) {
		if s.sinks[c.name] != nil {
			continue
		}
		if err := p.addWorker(s, c); err != nil {
			return err
		}
	}
	s.working = ctx
	s.folding.start(ctx, func(ctx context.Context) { _ = p.processor.RunFor(ctx, s.journal) })
	for _, w := range inOrder(s.sinks) {
		p.serve(w)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Contains(p.shards, s) {
		p.shards = append(p.shards, s)
	}
	return nil
}

// ended reports whether an error says that the journal is closed.
func ended(err error) bool {
	return errors.Is(err, store.ErrClosed) || errors.Is(err, store.ErrLost)
}
