package shard

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mfawatch/mfawatch/processor/journal"
)

// A copying is a cluster that no replica uses meanwhile.
type copying struct {
	*Cluster
	admin *kadm.Client
	t     topics
}

// stopped returns the cluster, if its group has no member.
func stopped(ctx context.Context, c Config, path string, create bool) (*copying, error) {
	quiet := slog.New(slog.DiscardHandler)
	cl, err := New(c, Options{Path: path, Logger: quiet, Journals: journal.Options{Logger: quiet}})
	if err != nil {
		return nil, err
	}
	k := &copying{Cluster: cl, admin: kadm.NewClient(cl.producer)}
	k.t, err = prepare(ctx, c, cl.producer, create)
	if err == nil && k.t.journalID == (kadm.TopicID{}) {
		err = fmt.Errorf("%w: there are no topics %s and %s", ErrRefused, k.t.events, k.t.journal)
	}
	if err == nil {
		var groups kadm.DescribedGroups
		if groups, err = k.admin.DescribeGroups(ctx, c.Topic); err == nil && len(groups[c.Topic].Members) > 0 {
			err = fmt.Errorf("%w: %d replicas run: stop them first", ErrRefused, len(groups[c.Topic].Members))
		}
	}
	if err != nil {
		cl.Close()
		return nil, explain(err)
	}
	return k, nil
}

// Import copies a settled journal into a cluster whose topics are new or empty.
func Import(ctx context.Context, c Config, path string, from *journal.Journal) error {
	if err := from.Settled(); err != nil {
		return err
	}
	k, err := stopped(ctx, c, path, true)
	if err != nil {
		return err
	}
	defer k.Close()
	ends, err := k.admin.ListEndOffsets(ctx, k.t.events, k.t.journal)
	if err != nil {
		return explain(err)
	}
	var used error
	ends.Each(func(o kadm.ListedOffset) {
		if o.Err != nil || o.Offset > 0 {
			used = fmt.Errorf("%w: topic %s is not empty: delete %s and %s, or choose another journal.topic", ErrRefused, o.Topic, k.t.events, k.t.journal)
		}
	})
	if used != nil {
		return used
	}
	for p := range k.t.partitions {
		if err := k.importPart(ctx, p, from); err != nil {
			return fmt.Errorf("partition %d: %w", p, err)
		}
	}
	return nil
}

// importPart makes the cache of a partition, and then its change log from that.
func (k *copying) importPart(ctx context.Context, p int32, from *journal.Journal) error {
	path := filepath.Join(k.path, strconv.Itoa(int(p))+".db")
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	j, err := journal.Open(path, k.journals)
	if err != nil {
		return err
	}
	err = j.Merge(from, func(name string) bool { return partitionOf(name, k.t.partitions) == p })
	if err = errors.Join(err, j.Close()); err != nil {
		return err
	}
	return k.with(ctx, p, func(*journal.Journal) error { return nil })
}

// with opens the journal of a partition for f.
func (k *copying) with(ctx context.Context, p int32, f func(*journal.Journal) error) error {
	m := &membership{c: k.Cluster, partition: p}
	s, _, err := m.open(ctx)
	if err != nil {
		return err
	}
	defer s.log.close()
	return errors.Join(f(s.Journal), s.Journal.Close())
}

// Export copies the journals of all partitions into one. All of them are settled,
// and all events were read.
func Export(ctx context.Context, c Config, path string, to *journal.Journal) error {
	k, err := stopped(ctx, c, path, false)
	if err != nil {
		return err
	}
	defer k.Close()
	for _, f := range []func(p int32, j *journal.Journal) error{
		func(p int32, j *journal.Journal) error { return errors.Join(k.read(ctx, p, j), j.Settled()) },
		func(_ int32, j *journal.Journal) error { return to.Merge(j, func(string) bool { return true }) },
	} {
		for p := range k.t.partitions {
			if err := k.with(ctx, p, func(j *journal.Journal) error { return f(p, j) }); err != nil {
				return fmt.Errorf("partition %d: %w", p, err)
			}
		}
	}
	return nil
}

// read reports events of the partition that the journal does not have yet.
func (k *copying) read(ctx context.Context, p int32, j *journal.Journal) error {
	m := &membership{c: k.Cluster, partition: p}
	start, err := m.start(&Shard{Journal: j}, &k.t)
	if err != nil {
		return err
	}
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{k.t.events: {p: start}}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.DisableClientMetrics(),
	}, k.opts...)...)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	if n := client.PollFetches(ctx).NumRecords(); n > 0 {
		return fmt.Errorf("%d events or more are not journalled: start the replicas, without sources, until mfawatch_shard_lag is 0", n)
	}
	return nil
}

// readTime is how long an event that is there takes to be read.
const readTime = 2 * time.Second
