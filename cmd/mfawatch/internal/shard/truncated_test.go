package shard

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mfawatch/mfawatch/processor/journal/store"
)

// truncate has the brokers say that the partitions of a topic ended at an offset when
// their leaders were elected: what was acknowledged after that is lost.
func truncate(f *kfake.Cluster, topic string, end int64) {
	f.ControlKey(int16(kmsg.OffsetForLeaderEpoch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		req := r.(*kmsg.OffsetForLeaderEpochRequest)
		resp := req.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
		for _, t := range req.Topics {
			if t.Topic != topic {
				return nil, nil, false
			}
			answer := kmsg.NewOffsetForLeaderEpochResponseTopic()
			answer.Topic = t.Topic
			for _, p := range t.Partitions {
				at := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
				at.Partition, at.LeaderEpoch, at.EndOffset = p.Partition, p.LeaderEpoch, end
				answer.Partitions = append(answer.Partitions, at)
			}
			resp.Topics = append(resp.Topics, answer)
		}
		return resp, nil, true
	})
}

// A cache with commits that the brokers lost is discarded, though the topic holds
// others at their offsets.
func TestCacheOfLostCommits(t *testing.T) {
	f, c := fake(t)
	top := prepared(t, c)
	l := own(t, c, top, 0)
	var position []byte
	for _, key := range []string{"a", "b", "c"} {
		var err error
		if position, err = l.Commit(store.Batch{Writes: []store.Write{{Key: []byte(key)}}}); err != nil {
			t.Fatal(err)
		}
	}
	next := own(t, c, top, 0)
	if err := next.Restore(position, nil); err != nil {
		t.Errorf("nothing was lost: %v", err)
	}
	truncate(f, c.journal(), 3)
	if err := next.Restore(position, nil); !errors.Is(err, store.ErrPosition) {
		t.Errorf("commits were lost: %v", err)
	}
}

// A shard reads on where the brokers lost events, since those that came later have
// their offsets. It keeps serving.
func TestLostEvents(t *testing.T) {
	f, c := fake(t)
	c.Partitions = 1
	if _, err := admin(t, c).CreateTopic(t.Context(), 1, 1, nil, c.Topic+"-alerts"); err != nil {
		t.Fatal(err)
	}
	path := t.TempDir()
	r := start(t, c, "a", path)
	await(t, "the replica", func() bool { return len(r.Shards()) == 1 })
	if _, err := r.Append(t.Context(), events("1", 5)); err != nil {
		t.Fatal(err)
	}
	committed(t, c, c.Topic+"-alerts", 5)
	id := r.topics.Load().eventsID
	r.stop()
	truncate(f, c.events(), 2)
	var again atomic.Bool
	f.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		for _, topic := range req.(*kmsg.FetchRequest).Topics {
			if topic.TopicID == id && len(topic.Partitions) > 0 && topic.Partitions[0].FetchOffset == 2 {
				again.Store(true)
			}
		}
		return nil, nil, false
	})
	r = start(t, c, "b", path)
	await(t, "events from where they were lost", again.Load)
	if _, err := r.Append(t.Context(), events("1", 6)); err != nil {
		t.Fatal(err)
	}
	committed(t, c, c.Topic+"-alerts", 6)
	if n := testutil.ToFloat64(r.metrics.restarts); n > 0 {
		t.Errorf("the shard was restored again %.0f times", n)
	}
	r.stop()
	once(t, c, 6)
}
