package shard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"

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
	quiet := slog.New(slog.DiscardHandler)
	cl, err := New(c, Options{Path: path, Logger: quiet, Journals: journal.Options{Logger: quiet}})
	if err != nil {
		return nil, err
	}
	o := &Offline{cluster: cl}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.Close())
		}
	}()
	found, err := describe(ctx, cl.producer, c.events(), c.journal())
	if err != nil {
		return nil, fmt.Errorf("ask the cluster for the topics of the journal: %w", err)
	}
	if len(found) < 2 {
		return nil, fmt.Errorf("%w: there are no topics %s and %s", ErrRefused, c.events(), c.journal())
	}
	c.Partitions = len(found[c.journal()].Partitions)
	o.journals = make([]*journal.Journal, c.Partitions)
	if change {
		return o, o.own(ctx, c, path)
	}
	t := topics{events: c.events(), journal: c.journal(), eventsID: found[c.events()].TopicID, journalID: found[c.journal()].TopicID, partitions: int32(c.Partitions)}
	return o, o.read(ctx, t)
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
			opts := o.cluster.journals
			opts.ChangeLog = reading{&changeLog{topics: t, partition: p, opts: o.cluster.opts, own: end.Offset - 1, ctx: ctx}}
			j, err := journal.Open(filepath.Join(o.cluster.path, strconv.Itoa(int(p))+".db"), opts)
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
func (o *Offline) own(ctx context.Context, c Config, path string) error {
	k, err := stopped(ctx, c, path, false)
	if err != nil {
		return err
	}
	o.cluster.Close()
	o.cluster = k.Cluster
	o.cluster.topics.Store(&k.t)
	close(o.cluster.begun)
	o.logs = make([]*changeLog, c.Partitions)
	restoring, restore := errgroup.WithContext(ctx)
	for p := range k.t.partitions {
		restoring.Go(func() error {
			m := &membership{c: k.Cluster, partition: p}
			s, _, err := m.open(restore)
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
