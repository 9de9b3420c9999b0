package shard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"golang.org/x/sync/errgroup"

	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/journal/store"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// An Offline is a shared journal as the cluster has it, without a replica.
type Offline struct {
	cluster  *Cluster
	journals []*journal.Journal // by partition; nil: it was never used
	logs     []*changeLog       // of the owner; nil: the journals cannot be changed
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
	found, err := describe(ctx, kadm.NewClient(cl.producer), c.events(), c.journal())
	if err != nil {
		return nil, fmt.Errorf("ask the cluster for the topics of the journal: %w", err)
	}
	if len(found) < 2 {
		return nil, fmt.Errorf("%w: there are no topics %s and %s", ErrRefused, c.events(), c.journal())
	}
	cl.config.Partitions = len(found[c.journal()].Partitions)
	o.journals = make([]*journal.Journal, cl.Partitions())
	if change {
		return o, o.own(ctx)
	}
	t := topics{events: c.events(), journal: c.journal(), eventsID: found[c.events()].ID, journalID: found[c.journal()].ID, partitions: int32(cl.Partitions())}
	return o, o.read(ctx, t)
}

// quiet returns a cluster for a command.
func quiet(c Config, path string) (*Cluster, error) {
	log := slog.New(slog.DiscardHandler)
	return New(c, Options{Path: path, Logger: log, Journals: journal.Options{Logger: log}})
}

// alone prepares the topics, and refuses if a replica runs.
func (c *Cluster) alone(ctx context.Context, create bool) error {
	t, err := prepare(ctx, c.config, c.producer, create)
	if err != nil {
		return err
	}
	running, err := c.groupMembers(ctx)
	if err != nil {
		return err
	}
	if n := len(running); n > 0 {
		return fmt.Errorf("%w: %d replicas run: stop them first", ErrRefused, n)
	}
	c.topics.Store(&t)
	close(c.begun)
	return nil
}

// read restores what was committed.
func (o *Offline) read(ctx context.Context, t topics) error {
	ends, err := kadm.NewClient(o.cluster.producer).ListCommittedOffsets(ctx, t.journal)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return explain(err)
	}
	restoring, ctx := errgroup.WithContext(ctx)
	restoring.SetLimit(concurrentOpens)
	for p := range t.partitions {
		restoring.Go(func() error {
			end, _ := ends.Lookup(t.journal, p)
			opts := o.cluster.o.Journals
			l := &changeLog{topics: t, partition: p, opts: o.cluster.opts, own: end.Offset - 1, ctx: ctx}
			opts.ChangeLog = reading{l}
			j, err := l.openJournal(o.cluster.cache(p), opts)
			if errors.Is(err, errReadOnly) {
				return nil // nothing was ever committed
			}
			if err != nil {
				return fmt.Errorf("partition %d: %w", p, err)
			}
			o.journals[p] = j
			return nil
		})
	}
	return restoring.Wait()
}

var errReadOnly = errors.New("the journal is read only")

// A reading change log is that of another owner.
type reading struct{ *changeLog }

// Commit implements [store.ChangeLog].
func (reading) Commit(store.Batch) ([]byte, error) {
	return nil, fmt.Errorf("%w: %w", store.ErrRefused, errReadOnly)
}

// own becomes the owner of all partitions.
func (o *Offline) own(ctx context.Context) error {
	if err := o.cluster.alone(ctx, false); err != nil {
		return err
	}
	o.logs = make([]*changeLog, len(o.journals))
	restoring, restore := errgroup.WithContext(ctx)
	for p := range o.journals {
		restoring.Go(func() error {
			s, _, err := (&membership{c: o.cluster, partition: int32(p)}).open(restore)
			if err != nil {
				return fmt.Errorf("partition %d: %w", p, err)
			}
			o.journals[p], o.logs[p] = s.Journal, s.log
			return nil
		})
	}
	return restoring.Wait()
}

// Journals returns the journals that were ever used.
func (o *Offline) Journals() []*journal.Journal {
	return slices.DeleteFunc(slices.Clone(o.journals), func(j *journal.Journal) bool { return j == nil })
}

// Numbered yields the same with their partitions.
func (o *Offline) Numbered(yield func(partition int, j *journal.Journal) bool) {
	for p, j := range o.journals {
		if j != nil && !yield(p, j) {
			return
		}
	}
}

// Append is [Cluster.Append].
func (o *Offline) Append(ctx context.Context, events []*trail.Event) (int, error) {
	return o.cluster.Append(ctx, events)
}

// Close closes the journals.
func (o *Offline) Close() error {
	var errs []error
	for _, j := range o.Journals() {
		errs = append(errs, j.Close())
	}
	for _, l := range o.logs {
		if l != nil {
			l.close()
		}
	}
	o.cluster.Close()
	return errors.Join(errs...)
}
