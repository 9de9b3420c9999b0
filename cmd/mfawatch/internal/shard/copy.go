package shard

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mfawatch/mfawatch/processor/journal"
)

// Import copies a settled journal into a cluster whose topics are new or empty.
func Import(ctx context.Context, c Config, path string, from *journal.Journal) error {
	if err := from.Settled(); err != nil {
		return err
	}
	cl, err := quiet(c, path)
	if err != nil {
		return err
	}
	defer cl.Close()
	if err := cl.alone(ctx, true); err != nil {
		return err
	}
	t := cl.topics.Load()
	ends, err := kadm.NewClient(cl.producer).ListEndOffsets(ctx, t.events, t.journal)
	if err != nil {
		return explain(err)
	}
	var used error
	ends.Each(func(o kadm.ListedOffset) {
		if o.Err != nil || o.Offset > 0 {
			used = fmt.Errorf("%w: topic %s is not empty: delete %s and %s, or choose another journal.topic", ErrRefused, o.Topic, t.events, t.journal)
		}
	})
	if used != nil {
		return used
	}
	for p := range t.partitions {
		if err := cl.importPart(ctx, p, from); err != nil {
			return fmt.Errorf("partition %d: %w", p, err)
		}
	}
	return nil
}

// importPart makes the cache of a partition, and then its change log from that.
func (c *Cluster) importPart(ctx context.Context, p int32, from *journal.Journal) error {
	path := c.cache(p)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	j, err := journal.Open(path, c.o.Journals)
	if err != nil {
		return err
	}
	err = j.Merge(from, func(name string) bool { return partitionOf(name, int32(c.Partitions())) == p })
	if err = errors.Join(err, j.Close()); err != nil {
		return err
	}
	s, _, err := (&membership{c: c, partition: p}).open(ctx)
	if err != nil {
		return err
	}
	defer s.log.close()
	return s.Journal.Close()
}

// Export copies the journals of all partitions into one. All of them are settled,
// and all events were read.
func Export(ctx context.Context, c Config, path string, to *journal.Journal) (err error) {
	o, err := OpenOffline(ctx, c, path, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	for p, j := range o.Numbered {
		if err := errors.Join(o.cluster.unread(ctx, int32(p), j), j.Settled()); err != nil {
			return fmt.Errorf("partition %d: %w", p, err)
		}
	}
	for p, j := range o.Numbered {
		if err := to.Merge(j, func(string) bool { return true }); err != nil {
			return fmt.Errorf("partition %d: %w", p, err)
		}
	}
	return nil
}

// unread reports events of a partition that the journal does not have yet.
func (c *Cluster) unread(ctx context.Context, p int32, j *journal.Journal) error {
	t := c.topics.Load()
	start, err := (&membership{c: c, partition: p}).start(&Shard{Journal: j}, t)
	if err != nil {
		return err
	}
	admin := kadm.NewClient(c.producer)
	starts, err := admin.ListStartOffsets(ctx, t.events)
	if err != nil {
		return explain(err)
	}
	ends, err := admin.ListCommittedOffsets(ctx, t.events)
	if err = errors.Join(err, starts.Error(), ends.Error()); err != nil {
		return explain(err)
	}
	first, _ := starts.Lookup(t.events, p)
	end, _ := ends.Lookup(t.events, p)
	next, events := max(first.Offset, start.EpochOffset().Offset), 0
	client, err := readCommitted(c.opts, t.events, p, kgo.NewOffset().At(next))
	if err != nil {
		return err
	}
	defer client.Close()
	for next < end.Offset && events == 0 {
		records, err := poll(ctx, client)
		if err != nil {
			return explain(fmt.Errorf("read %s at offset %d: %w", t.events, next, err))
		}
		for _, r := range records {
			next = r.Offset + 1
			if !r.Attrs.IsControl() {
				events++
			}
		}
	}
	if events > 0 {
		return fmt.Errorf("%d events or more are not journalled: start the replicas, without sources, until mfawatch_shard_lag is 0", events)
	}
	return nil
}
