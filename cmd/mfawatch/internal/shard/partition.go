package shard

import (
	"hash/fnv"

	"github.com/twmb/franz-go/pkg/kgo"
)

// partitionOf returns the partition of a key. It never changes.
func partitionOf(key string, partitions int32) int32 {
	h := fnv.New64a()
	h.Write([]byte(key))
	return int32(h.Sum64() % uint64(partitions))
}

// A partitioner leaves the partitions of our own topics to the producer of a
// record. Other topics are partitioned by key, as every Kafka client does.
type partitioner struct{ own topics }

// ForTopic implements [kgo.Partitioner].
func (p partitioner) ForTopic(topic string) kgo.TopicPartitioner {
	if topic == p.own.events || topic == p.own.journal {
		return kgo.ManualPartitioner().ForTopic(topic)
	}
	return kgo.StickyKeyPartitioner(nil).ForTopic(topic)
}
