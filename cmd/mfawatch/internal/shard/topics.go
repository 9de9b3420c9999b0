package shard

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ErrRefused marks errors that only an operator can mend.
var ErrRefused = errors.New("the shared journal cannot be used")

// maxBatchBytes bounds a batch of records, and so a record. All that is remembered of
// a user is one record: about 150 bytes for each exposure.
const maxBatchBytes = 16 << 20

// topicBatchBytes is max.message.bytes of the topics.
const topicBatchBytes = maxBatchBytes + 1<<20

// keepDeleted is how long deletions stay in the journal topic, for caches of
// replicas that were away. An older cache is found to be wrong, and discarded.
const keepDeleted = 7 * 24 * time.Hour

// topicsTogether is how long after the first topic the second one appears.
const topicsTogether = 5 * time.Second

// topicIDs are those of the topics. A topic that was deleted and made again has
// another.
type topicIDs struct{ events, journal kadm.TopicID }

// errMissing is returned for topics that were deleted, or are not made yet.
var errMissing = errors.New("the topics of the shared journal do not exist: restore them, or restart a replica, which makes them with no memory of open exposures")

// prepare checks the brokers and the topics. With create it makes topics that are
// missing.
func (c *Cluster) prepare(ctx context.Context, create bool) (ids topicIDs, err error) {
	admin := kadm.NewClient(c.producer)
	if err := checkVersion(ctx, admin); err != nil {
		return ids, err
	}
	found, err := c.config.describe(ctx, admin)
	missing := err == nil && len(found) == 0
	if missing && !create {
		return ids, errMissing
	}
	if missing {
		err = c.config.makeTopics(ctx, admin)
	}
	for started := time.Now(); err == nil && len(found) < 2; { // another replica makes them, or brokers hear of them a little later
		if !missing && time.Since(started) > topicsTogether {
			return ids, fmt.Errorf("%w: only one of the topics %s and %s exists: restore the other, or delete both to start with no memory of open exposures", ErrRefused, c.config.events(), c.config.journal())
		}
		pause(ctx, minPause/5)
		found, err = c.config.describe(ctx, admin)
	}
	if err != nil {
		return ids, err
	}
	for name, topic := range found {
		if n := len(topic.Partitions); n != c.Partitions() {
			return ids, fmt.Errorf("%w: topic %s has %d partitions, and journal.partitions is %d: set it to %d; their number never changes, since events of one lane would be in two partitions", ErrRefused, name, n, c.Partitions(), n)
		}
	}
	return c.config.ids(found), c.config.checkConfigs(ctx, admin)
}

// describe returns those of the topics that exist.
func (c Config) describe(ctx context.Context, admin *kadm.Client) (kadm.TopicDetails, error) {
	found, err := admin.ListTopics(ctx, c.Topics()...)
	if err != nil {
		return nil, explain(err)
	}
	for name, topic := range found {
		switch {
		case errors.Is(topic.Err, kerr.UnknownTopicOrPartition):
			delete(found, name)
		case topic.Err != nil:
			return nil, explain(fmt.Errorf("topic %s: %w", name, topic.Err))
		}
	}
	return found, nil
}

func (c Config) ids(found kadm.TopicDetails) topicIDs {
	return topicIDs{found[c.events()].ID, found[c.journal()].ID}
}

// checkVersion refuses brokers before 2.5, whose transactions can lose a fence.
func checkVersion(ctx context.Context, admin *kadm.Client) error {
	versions, err := admin.ApiVersions(ctx)
	if err != nil {
		return explain(err)
	}
	for _, v := range versions {
		if v.Err != nil {
			continue
		}
		if newest, ok := v.KeyMaxVersion(int16(kmsg.InitProducerID)); !ok || newest < 3 {
			return fmt.Errorf("%w: broker %d is older than Kafka 2.5: upgrade the brokers, or use journal.type bbolt with one replica", ErrRefused, v.NodeID)
		}
	}
	return nil
}

func (c Config) makeTopics(ctx context.Context, admin *kadm.Client) error {
	text := func(n int64) *string { return kadm.StringPtr(strconv.FormatInt(n, 10)) }
	batch := text(topicBatchBytes) // a segment holds one, or brokers reject it
	both := map[string]*string{
		"max.message.bytes": batch, "min.insync.replicas": text(int64(min(2, c.Replication))),
		"message.timestamp.type": kadm.StringPtr("LogAppendTime"), // retention is by the clocks of the brokers
	}
	journal := map[string]*string{
		"cleanup.policy": kadm.StringPtr("compact"), "delete.retention.ms": text(keepDeleted.Milliseconds()),
		"segment.bytes": batch, "segment.ms": text(time.Hour.Milliseconds()), "min.cleanable.dirty.ratio": kadm.StringPtr("0.1"),
	}
	events := map[string]*string{"cleanup.policy": kadm.StringPtr("delete"), "retention.ms": text(keepDeleted.Milliseconds()), "retention.bytes": kadm.StringPtr("-1")}
	for _, t := range []struct {
		name    string
		configs map[string]*string
	}{{c.events(), events}, {c.journal(), journal}} {
		for k, v := range both {
			t.configs[k] = v
		}
		_, err := admin.CreateTopic(ctx, int32(c.Partitions), int16(c.Replication), t.configs, t.name)
		if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) { // another replica was first
			return explain(fmt.Errorf("make topic %s: %w", t.name, err))
		}
	}
	return nil
}

// checkConfigs refuses a journal topic that forgets, an events topic that is
// compacted, and topics that do not accept the greatest records.
func (c Config) checkConfigs(ctx context.Context, admin *kadm.Client) error {
	configs, err := admin.DescribeTopicConfigs(ctx, c.Topics()...)
	if err != nil {
		return nil // not allowed to look
	}
	for _, t := range configs {
		want := map[string]string{c.events(): "delete", c.journal(): "compact"}[t.Name]
		for _, kv := range t.Configs {
			if t.Err == nil && kv.Key == "cleanup.policy" && kv.MaybeValue() != want {
				return fmt.Errorf("%w: topic %s has cleanup.policy %s: set it to %s, or records are lost", ErrRefused, t.Name, kv.MaybeValue(), want)
			}
			if n, err := strconv.Atoi(kv.MaybeValue()); kv.Key == "max.message.bytes" && err == nil && n < maxBatchBytes {
				return fmt.Errorf("%w: topic %s has max.message.bytes %d: set it to %d, or large records stop a shard", ErrRefused, t.Name, n, topicBatchBytes)
			}
		}
	}
	return nil
}

// explain adds the operator's next step to an error of the cluster.
func explain(err error) error {
	hint := ""
	switch {
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		hint = "allow the user to READ, WRITE, DESCRIBE, CREATE and DESCRIBE_CONFIGS the topics that begin with journal.topic"
	case errors.Is(err, kerr.GroupAuthorizationFailed):
		hint = "allow the user to READ and DESCRIBE the group that is named journal.topic and -shards"
	case errors.Is(err, kerr.TransactionalIDAuthorizationFailed):
		hint = "allow the user to WRITE and DESCRIBE the transactional ids that begin with journal.topic"
	case errors.Is(err, kerr.ClusterAuthorizationFailed):
		hint = "allow the user IDEMPOTENT_WRITE on the cluster, and CREATE unless the topics exist"
	case errors.Is(err, kerr.InvalidReplicationFactor):
		hint = "set journal.replication to the number of brokers at most"
	case errors.Is(err, kerr.PolicyViolation), errors.Is(err, kerr.InvalidConfig):
		hint = "make the topics as the documentation says"
	case errors.Is(err, kerr.SaslAuthenticationFailed), errors.Is(err, kerr.UnsupportedSaslMechanism):
		hint = "check journal.sasl: mechanism, username and secret"
	default:
		return err
	}
	return fmt.Errorf("%w: %w: %s", ErrRefused, err, hint)
}

func partitionOf(key string, partitions int32) int32 {
	h := fnv.New64a()
	h.Write([]byte(key))
	return int32(h.Sum64() % uint64(partitions))
}

// A partitioner leaves the partitions of our own topics to the producer of a
// record. Other topics are partitioned by key, as every Kafka client does.
type partitioner struct{ own Config }

// ForTopic implements [kgo.Partitioner].
func (p partitioner) ForTopic(topic string) kgo.TopicPartitioner {
	if slices.Contains(p.own.Topics(), topic) {
		return kgo.ManualPartitioner().ForTopic(topic)
	}
	return kgo.StickyKeyPartitioner(nil).ForTopic(topic)
}
