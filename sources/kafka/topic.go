package kafka

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// stamp precedes the ID of the topic in the metadata of a committed offset.
const stamp = "mfawatch topic "

// stampTopics puts the ID of its topic beside each offset of a commit. The offsets
// of a topic that was deleted are of no use in one that was made again, which has
// the same name.
func (r *run) stampTopics(req *kmsg.OffsetCommitRequest) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for t := range req.Topics {
		id, ok := r.ids[req.Topics[t].Topic]
		if !ok {
			continue
		}
		metadata := stamp + id.String()
		for p := range req.Topics[t].Partitions {
			req.Topics[t].Partitions[p].Metadata = &metadata
		}
	}
	return nil
}

// compareTopics notes the IDs of the topics of offsets. It returns the partitions that
// are read from their start, wherever the group starts: those whose offset was committed
// for another ID, and those that were added to a topic of which the group reads the
// others. Brokers before 2.8 have no IDs.
func (r *run) compareTopics(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[topicPartition]bool, error) {
	if len(offsets) == 0 {
		return nil, nil
	}
	topics, err := r.admin.ListTopics(ctx, slices.Collect(maps.Keys(offsets))...)
	if err != nil {
		return nil, fmt.Errorf("the IDs of the topics: %w", err)
	}
	committed, err := r.admin.FetchOffsets(ctx, r.k.config.Group)
	if err != nil {
		return nil, fmt.Errorf("the offsets of the group: %w", err)
	}
	anew := make(map[topicPartition]bool)
	r.mu.Lock()
	defer r.mu.Unlock()
	for topic, detail := range topics {
		last := int32(-1) // that has an offset
		for number := range committed[topic] {
			last = max(last, number)
		}
		for number := range offsets[topic] {
			anew[topicPartition{topic, number}] = last >= 0 && number > last
		}
		if detail.Err != nil || detail.ID == (kadm.TopicID{}) {
			continue
		}
		r.ids[topic] = detail.ID
		for number := range offsets[topic] {
			at, ok := committed.Lookup(topic, number)
			if ok && strings.HasPrefix(at.Metadata, stamp) && at.Metadata != stamp+detail.ID.String() {
				anew[topicPartition{topic, number}] = true
				r.k.log.Error("topic was deleted and made again; it is read from its start", "uri", uri(topic, number))
			}
		}
	}
	return anew, nil
}
