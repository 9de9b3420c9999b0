package shard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/twmb/franz-go/pkg/kadm"
	"golang.org/x/sync/errgroup"

	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// An Offline is a shared journal as the cluster has it, without a replica.
type Offline struct {
	cluster *Cluster
	shards  []*Shard // by partition; nil: it was never used
}

// OpenOffline restores the journals of all partitions below path, an empty folder.
// The number of partitions is that of the topics. Without change it reads what was
// committed, whether or not replicas run, and changes nothing in the cluster. With
// change it becomes the owner of all, if no replica runs. The caller closes it.
func OpenOffline(ctx context.Context, c Config, path string, change bool) (_ *Offline, err error) {
	cl, err := quiet(c, path)
	if err != nil {
		return nil, err
	}
	o := &Offline{cluster: cl}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.Close())
		}
	}()
	admin := kadm.NewClient(cl.producer)
	found, err := c.describe(ctx, admin)
	if err != nil {
		return nil, fmt.Errorf("ask the cluster for the topics of the journal: %w", err)
	}
	if len(found) < 2 {
		return nil, fmt.Errorf("%w: there are no topics %s and %s", ErrRefused, c.events(), c.journal())
	}
	cl.config.Partitions = len(found[c.journal()].Partitions)
	var ends kadm.ListedOffsets
	if change {
		err = cl.alone(ctx, false)
	} else {
		ends, err = offsets(ctx, admin.ListCommittedOffsets, c.journal())
	}
	if err != nil {
		return nil, err
	}
	o.shards = make([]*Shard, cl.Partitions())
	restoring, restore := errgroup.WithContext(ctx)
	restoring.SetLimit(concurrentOpens)
	for p := range int32(cl.Partitions()) {
		restoring.Go(func() (err error) {
			if change {
				o.shards[p], err = (&membership{c: cl, partition: p}).open(restore)
			} else {
				end, _ := ends.Lookup(c.journal(), p)
				o.shards[p], err = cl.read(restore, c.ids(found), p, end.Offset)
			}
			if err != nil {
				return fmt.Errorf("partition %d: %w", p, err)
			}
			return nil
		})
	}
	return o, restoring.Wait()
}

// quiet returns a cluster for a command.
func quiet(c Config, path string) (*Cluster, error) {
	log := slog.New(slog.DiscardHandler)
	return New(c, Options{Path: path, Logger: log, Journals: journal.Options{Logger: log}})
}

// alone prepares the topics, and refuses if a replica runs.
func (c *Cluster) alone(ctx context.Context, create bool) error {
	if _, err := c.prepare(ctx, create); err != nil {
		return err
	}
	running, err := c.groupMembers(ctx)
	if err != nil {
		return err
	}
	if n := len(running); n > 0 {
		return fmt.Errorf("%w: %d replicas run: stop them first", ErrRefused, n)
	}
	close(c.begun)
	return nil
}

// offsets lists offsets of all partitions, or none.
func offsets(ctx context.Context, list func(context.Context, ...string) (kadm.ListedOffsets, error), topics ...string) (kadm.ListedOffsets, error) {
	listed, err := list(ctx, topics...)
	if err == nil {
		err = listed.Error()
	}
	return listed, explain(err)
}

// read restores a shard up to an offset, without being its owner. It returns nil if
// nothing was ever committed.
func (c *Cluster) read(ctx context.Context, ids topicIDs, p int32, end int64) (*Shard, error) {
	l := &changeLog{c: c, ids: ids, partition: p, own: end - 1, ctx: ctx}
	j, err := l.openJournal()
	switch {
	case errors.Is(err, errReadOnly):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return &Shard{p, j, l}, nil
}

// Numbered yields the journals that were ever used, with their partitions.
func (o *Offline) Numbered(yield func(partition int, j *journal.Journal) bool) {
	for p, s := range o.shards {
		if s != nil && !yield(p, s.Journal) {
			return
		}
	}
}

// Journals returns the same without their partitions.
func (o *Offline) Journals() (all []*journal.Journal) {
	for _, j := range o.Numbered {
		all = append(all, j)
	}
	return all
}

// Append is [Cluster.Append].
func (o *Offline) Append(ctx context.Context, events []*trail.Event) (int, error) {
	return o.cluster.Append(ctx, events)
}

// Close closes the journals.
func (o *Offline) Close() error {
	var errs []error
	for _, s := range o.shards {
		if s != nil {
			errs = append(errs, s.Journal.Close())
			s.log.close()
		}
	}
	o.cluster.Close()
	return errors.Join(errs...)
}
