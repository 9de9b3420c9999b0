package shard

import (
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mfawatch/mfawatch/processor/journal/store"
)

// truncate has the brokers say that the partitions of a topic ended at an offset when
// their leaders were elected: what was acknowledged after that is lost.
func truncate(f *kfake.Cluster, topic string, end int64) {
	truncateEpoch(f, topic, end, math.MaxInt32)
}

// truncateEpoch has them say so of the leaders up to an epoch.
func truncateEpoch(f *kfake.Cluster, topic string, end int64, newest int32) {
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
				if p.LeaderEpoch > newest {
					at.EndOffset = math.MaxInt64
				}
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

// A commit that a leader lost while it was made is not in the position after it: the
// position has the epoch of that leader, and not that of the next one.
func TestLeaderChangesInCommit(t *testing.T) {
	f, c := fake(t, kfake.NumBrokers(2))
	top := prepared(t, c)
	if err := f.MoveTopicPartition(c.journal(), 0, 0); err != nil {
		t.Fatal(err)
	}
	var produced func() // is called with the commit's record, before the commit ends
	l := own(t, c, top, 0, kgo.WithHooks(unbuffered(func(*kgo.Record) {
		if produced != nil {
			produced()
		}
	})))
	_, epoch, _ := l.client.PartitionLeader(c.journal(), 0)
	produced = sync.OnceFunc(func() {
		if err := f.MoveTopicPartition(c.journal(), 0, 1); err != nil {
			t.Error(err)
		}
		for now := epoch; now == epoch && t.Context().Err() == nil; _, now, _ = l.client.PartitionLeader(c.journal(), 0) {
			l.client.ForceMetadataRefresh()
			pause(t.Context(), 10*time.Millisecond)
		}
	})
	position, err := l.Commit(store.Batch{Writes: []store.Write{{Key: []byte("a")}}})
	if err != nil {
		t.Fatal(err)
	}
	truncateEpoch(f, c.journal(), 1, epoch)
	if err := own(t, c, top, 0).Restore(position, nil); !errors.Is(err, store.ErrPosition) {
		t.Errorf("the commit was lost: %v", err)
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
	id := r.Shards()[0].log.ids.events
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
