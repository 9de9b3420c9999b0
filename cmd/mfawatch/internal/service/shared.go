package service

import (
	"context"
	"errors"
	"maps"
	"path/filepath"

	kafkashard "github.com/mfawatch/mfawatch/cmd/mfawatch/internal/shard"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal"
)

// cacheBytes bounds the decoded accounts of all shards together.
const cacheBytes = 64 << 20

// openShared builds this replica's part of the shared journal. Offsets of followed
// files are of this machine, and stay on it.
func (p *Pipeline) openShared() (err error) {
	c := p.config
	o := kafkashard.Options{
		Path:     c.Journal.Path,
		Journals: journal.Options{Logger: p.log, Retention: c.Retention, CacheBytes: max(1<<20, cacheBytes/c.Journal.Shared.Partitions), Registerer: p.registry},
		Drain:    c.ShutdownTimeout, Logger: p.log, Registerer: p.registry, Changed: p.shareRates,
	}
	if p.cluster, err = kafkashard.New(c.Journal.Shared, o); err != nil {
		return err
	}
	p.local, err = journal.Open(filepath.Join(c.Journal.Path, "files.db"), journal.Options{Logger: p.log})
	p.deps.Offsets, p.deps.Shared = p.local, c.Journal.Shared.Brokers
	return err
}

// runShared serves the shards that are assigned to this replica, until ctx is done.
func (p *Pipeline) runShared(ctx context.Context) {
	err := p.cluster.Run(ctx, func(ctx context.Context, s *kafkashard.Shard) error {
		return p.serveShard(ctx, newShard(int(s.Partition), s.Journal, s.Lease))
	})
	if err != nil {
		p.fail(err)
	}
}

// Announce sets the address of the HTTP server, for the other replicas that share
// the journal.
func (p *Pipeline) Announce(address string) {
	if p.cluster != nil {
		p.cluster.Announce(address)
	}
}

// Replicas returns the replicas that share the journal; none: it is a file.
func (p *Pipeline) Replicas(ctx context.Context) ([]kafkashard.Replica, error) {
	if p.cluster == nil {
		return nil, nil
	}
	return p.cluster.Replicas(ctx)
}

// ShardStatuses returns the statuses of the shards that are assigned to this replica.
func (p *Pipeline) ShardStatuses() []kafkashard.Status {
	if p.cluster == nil {
		return nil
	}
	return p.cluster.Statuses()
}

// shareRates gives each sink the part of its rate that belongs to the shards of this
// replica.
func (p *Pipeline) shareRates() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.channels {
		c.share(len(p.cluster.Shards()), p.cluster.Partitions())
	}
}

// An intake is the shared journal as the processor calls it: events go to the
// owners of their shards, and the rest is that of this replica's own shards.
type intake struct {
	*kafkashard.Cluster
	p *Pipeline
}

// Stats sums up this replica's shards.
func (i intake) Stats() (journal.Stats, error) { return i.p.Stats() }

// Open returns the open exposures of this replica's shards.
func (i intake) Open() (open []exposure.Open) {
	for _, j := range i.p.Journals() {
		open = append(open, j.Open()...)
	}
	return open
}

// PlannedUsed returns the planned changes that alerts of this replica's shards name.
func (i intake) PlannedUsed() (map[string]bool, error) {
	all := map[string]bool{}
	var errs []error
	for _, j := range i.p.Journals() {
		used, err := j.PlannedUsed()
		errs = append(errs, err)
		maps.Copy(all, used)
	}
	return all, errors.Join(errs...)
}

// Refold makes every shard fold its open exposures again.
func (i intake) Refold() {
	for _, j := range i.p.Journals() {
		j.Refold()
	}
}
