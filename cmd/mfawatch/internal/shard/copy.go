package shard

import (
	"context"
	"errors"
	"fmt"
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
	ends, err := offsets(ctx, kadm.NewClient(cl.producer).ListEndOffsets, c.Topics()...)
	if err != nil {
		return err
	}
	for topic, partitions := range ends {
		for _, end := range partitions {
			if end.Offset > 0 {
				return fmt.Errorf("%w: topic %s is not empty: delete %s and %s, or choose another journal.topic", ErrRefused, topic, c.events(), c.journal())
			}
		}
	}
	for p := range int32(cl.Partitions()) {
		if err := cl.importPart(ctx, p, from); err != nil {
			return fmt.Errorf("partition %d: %w", p, err)
		}
	}
	return nil
}

// importPart makes the cache of a partition, and then its change log from that.
func (c *Cluster) importPart(ctx context.Context, p int32, from *journal.Journal) error {
	path := c.cache(p)
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	j, err := journal.Open(path, c.o.Journals)
	if err != nil {
		return err
	}
	err = j.Merge(from, func(name string) bool { return c.config.partition(name) == p })
	if err = errors.Join(err, j.Close()); err != nil {
		return err
	}
	s, err := (&membership{c: c, partition: p}).open(ctx)
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
	for p, s := range o.shards {
		if err := errors.Join(s.unread(ctx), s.Journal.Settled()); err != nil {
			return fmt.Errorf("partition %d: %w", p, err)
		}
	}
	for p, s := range o.shards {
		if err := to.Merge(s.Journal, func(string) bool { return true }); err != nil {
			return fmt.Errorf("partition %d: %w", p, err)
		}
	}
	return nil
}

// unread reports events that the journal does not have yet.
func (s *Shard) unread(ctx context.Context) error {
	c, topic := s.log.c, s.log.c.config.events()
	start, err := s.start()
	if err != nil {
		return err
	}
	admin := kadm.NewClient(c.producer)
	starts, err := offsets(ctx, admin.ListStartOffsets, topic)
	if err != nil {
		return err
	}
	ends, err := offsets(ctx, admin.ListCommittedOffsets, topic)
	if err != nil {
		return err
	}
	first, _ := starts.Lookup(topic, s.Partition)
	end, _ := ends.Lookup(topic, s.Partition)
	next, events := max(first.Offset, start.EpochOffset().Offset), 0
	err = c.readCommitted(ctx, topic, s.Partition, kgo.NewOffset().At(next), end.Offset, func(records []*kgo.Record) error {
		for _, r := range records {
			if !r.Attrs.IsControl() {
				events++
			}
		}
		return nil
	})
	if events > 0 {
		return fmt.Errorf("%d events or more are not journalled: start the replicas, without sources, until mfawatch_shard_lag is 0", events)
	}
	return err
}
