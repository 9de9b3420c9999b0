package shard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// The header that says what a record of the events topic is.
const (
	kindHeader     = "mfawatch"
	kindEvent      = "event/1"
	kindQuarantine = "quarantine/1"
)

// foreignRecord is the reason of quarantined records that another program wrote.
const foreignRecord = "foreign"

// Append makes the events durable for the owners of their lanes, and returns their
// number. Owners skip those that they know. They may fold before all have arrived,
// so the events are sent in the order of time: each is judged by those before it.
func (c *Cluster) Append(ctx context.Context, events []*trail.Event) (int, error) {
	inOrder := slices.SortedStableFunc(slices.Values(events), func(a, b *trail.Event) int { return a.Time.Compare(b.Time) })
	records, err := c.config.eventRecords(inOrder)
	if err != nil {
		return 0, err
	}
	return len(events), c.produce(ctx, records)
}

// eventRecords returns the records of events, each for the owner of its lane.
func (c Config) eventRecords(events []*trail.Event) (records []*kgo.Record, err error) {
	for _, e := range events {
		value, err := journal.EncodeEvent(e)
		if err != nil {
			return nil, fmt.Errorf("event %q: %w", e.ID, err)
		}
		records = append(records, c.record(kindEvent, journal.Lane(e), value))
	}
	return records, nil
}

// Quarantine makes the records durable for the shards that quarantine them. Whether
// there is capacity is known to those alone, so messages go to a shard of this
// replica: their sources delete them only if they are kept. A replica without a shard
// sends them to the others, since a message that stays may hold up its partition.
func (c *Cluster) Quarantine(ctx context.Context, records []journal.Quarantined) (left int, err error) {
	var all []*kgo.Record
	own := c.Shards()
	for _, r := range records {
		if r.Message && len(own) > 0 {
			full, err := own[partitionOf(r.Origin, int32(len(own)))].Journal.Quarantine(ctx, []journal.Quarantined{r})
			if err != nil {
				return left, err
			}
			left += full
			continue
		}
		value, err := json.Marshal(r)
		if err != nil {
			return left, fmt.Errorf("quarantine a record of %s: %w", r.Origin, err)
		}
		all = append(all, c.config.record(kindQuarantine, r.Origin, value))
	}
	return left, c.produce(ctx, all)
}

// record returns a record of the events topic.
func (c Config) record(kind, key string, value []byte) *kgo.Record {
	return &kgo.Record{Topic: c.events(), Partition: c.partition(key), Key: []byte(key), Value: value,
		Headers: []kgo.RecordHeader{{Key: kindHeader, Value: []byte(kind)}}}
}

// produce sends records to the events topic, as soon as the cluster is reached.
func (c *Cluster) produce(ctx context.Context, records []*kgo.Record) error {
	if len(records) == 0 {
		return ctx.Err()
	}
	select {
	case <-c.begun:
	case <-ctx.Done():
		return fmt.Errorf("the shared journal is not reached yet: %w", ctx.Err())
	}
	answered := make(chan error, 1)
	go func() { answered <- c.producer.ProduceSync(ctx, records...).FirstErr() }()
	var err error
	select {
	case err = <-answered:
	case <-ctx.Done():
		err = ctx.Err() // records under way cannot be recalled
	}
	if errors.Is(err, kerr.UnknownTopicID) { // it was made again, which a producer does not follow
		c.producer.PurgeTopicsFromProducing(c.config.events())
	}
	if err != nil {
		return fmt.Errorf("produce to topic %s: %w", c.config.events(), explain(err))
	}
	return nil
}

// receive reads a record of the events topic: an event, or a record to quarantine. A
// record of a newer version is an error: this replica must not pass it over.
func (c Config) receive(r *kgo.Record) (*trail.Event, *journal.Quarantined, error) {
	kind := ""
	for _, h := range r.Headers {
		if h.Key == kindHeader {
			kind = string(h.Value)
		}
	}
	var foreign error
	switch kind {
	case kindEvent:
		e, err := journal.DecodeEvent(r.Value)
		if err == nil && c.partition(journal.Lane(e)) != r.Partition {
			err = errors.New("the event belongs to another partition")
		}
		if err == nil {
			return e, nil, nil
		}
		foreign = err
	case kindQuarantine:
		var q journal.Quarantined
		if err := json.Unmarshal(r.Value, &q); err == nil {
			return nil, &q, nil
		}
		foreign = errors.New("not a quarantined record")
	default:
		if strings.HasPrefix(kind, "event/") || strings.HasPrefix(kind, "quarantine/") {
			return nil, nil, fmt.Errorf("%w: offset %d of partition %d of %s was written by another version (%.30q): run the same version on every replica", ErrRefused, r.Offset, r.Partition, r.Topic, kind)
		}
		foreign = errors.New("mfawatch did not write this record")
	}
	return nil, &journal.Quarantined{
		Origin: fmt.Sprintf("kafka://%s/%d", r.Topic, r.Partition), Offset: r.Offset, Reason: foreignRecord, Err: foreign.Error(), Raw: r.Value,
	}, nil
}
