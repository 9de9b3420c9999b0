package kafka

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// commitTimeout is how long the brokers may take to answer a commit.
const commitTimeout = 10 * time.Second

// assigned is called by the client when partitions are assigned.
func (r *run) assigned(_ context.Context, _ *kgo.Client, added map[string][]int32) {
	<-r.made // the client calls before NewClient has returned
	r.mu.Lock()
	for topic, numbers := range added {
		for _, n := range numbers {
			r.part(topicPartition{topic, n})
		}
	}
	count := len(r.parts)
	r.mu.Unlock()
	r.k.member.Store(true)
	r.k.metrics.assigned.Set(float64(count))
	if len(added) > 0 {
		r.k.log.Info("partitions assigned", "group", r.k.config.Group, "added", counted(added), "assigned", count)
	}
}

// revoked is called by the client when partitions are revoked. No other member
// owns them before it returns.
func (r *run) revoked(_ context.Context, _ *kgo.Client, gone map[string][]int32) {
	if len(gone) == 0 {
		return
	}
	r.release(gone, true)
	r.k.log.Info("partitions revoked", "group", r.k.config.Group, "revoked", counted(gone))
}

// lost is called by the client when other members own the partitions already. A
// commit would overwrite those of the new owners, so none is made.
func (r *run) lost(_ context.Context, _ *kgo.Client, gone map[string][]int32) {
	r.k.member.Store(false)
	if len(gone) == 0 {
		return
	}
	r.release(gone, false)
	r.k.log.Warn("partitions lost; records after the last commit are read again", "group", r.k.config.Group, "lost", counted(gone))
}

func counted(m map[string][]int32) (n int) {
	for _, numbers := range m {
		n += len(numbers)
	}
	return n
}

// release drops partitions, all if gone is nil. With commit it waits for running
// handlers as long as the group allows, and commits their offsets; otherwise it
// stops them and ignores their results.
func (r *run) release(gone map[string][]int32, commit bool) {
	r.mu.Lock()
	var going []*partition
	for tp, p := range r.parts {
		if gone == nil || slices.Contains(gone[tp.topic], tp.number) {
			going = append(going, p)
			close(p.leave)
		}
	}
	r.mu.Unlock()

	var patience <-chan time.Time
	if commit {
		patience = time.After(r.k.patience)
	}
	for _, p := range going {
		r.await(p, commit, patience)
	}
	if commit {
		ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
		r.commit(ctx)
		cancel()
	}
	// A commit under way must end before other members own the partitions.
	r.commits.Lock()
	defer r.commits.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range going {
		p.abort()
		p.gone = true
		r.fail(p, false)
		r.reserve(p, -p.bytes)
		p.queue = nil
		delete(r.parts, p.topicPartition)
		delete(r.marks, p.topicPartition)
		r.k.metrics.lag.DeleteLabelValues(p.topic, strconv.Itoa(int(p.number)))
	}
	r.k.metrics.assigned.Set(float64(len(r.parts)))
}

// await waits until no handler of p runs. When patience ends, it stops the
// handler; the result of a handler that does not stop is ignored.
func (r *run) await(p *partition, patient bool, patience <-chan time.Time) {
	r.mu.Lock()
	worker := p.worker
	r.mu.Unlock()
	if worker == nil {
		return
	}
	if patient {
		select {
		case <-worker:
			return
		case <-patience:
			r.k.log.Warn("handler stopped: it took longer than the group allows", "uri", p.uri)
		}
	}
	p.abort()
	select {
	case <-worker:
	case <-time.After(time.Second): // of grace
		r.mu.Lock()
		p.gone = true
		r.mu.Unlock()
	}
}

// commitLoop commits the offsets of handled records periodically.
func (r *run) commitLoop(ctx context.Context) {
	tick := time.NewTicker(r.k.commitEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			within, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
			r.commit(within)
			cancel()
		case <-ctx.Done():
			return
		}
	}
}

// commit commits the marks. Marks that the brokers refuse go into the next commit.
func (r *run) commit(ctx context.Context) {
	r.commits.Lock()
	defer r.commits.Unlock()
	r.mu.Lock()
	marks := r.marks
	r.marks = make(map[topicPartition]kgo.EpochOffset, len(marks))
	r.mu.Unlock()
	if len(marks) == 0 {
		return
	}
	offsets := make(map[string]map[int32]kgo.EpochOffset)
	for tp, o := range marks {
		if offsets[tp.topic] == nil {
			offsets[tp.topic] = make(map[int32]kgo.EpochOffset)
		}
		offsets[tp.topic][tp.number] = o
	}
	var failure error
	ctx = kgo.PreCommitFnContext(ctx, r.stampTopics)
	r.client.CommitOffsetsSync(ctx, offsets, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
		failure = err
		if err != nil || resp == nil {
			return
		}
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					failure = err
				} else {
					delete(marks, topicPartition{t.Topic, p.Partition})
				}
			}
		}
	})
	if failure == nil {
		r.k.commits.Set(nil)
		return
	}
	r.k.metrics.commitErrors.Inc()
	if r.k.commits.Set(failure) {
		r.k.log.Warn("offset commit failed; retrying (a restart before that reads some records twice)", "group", r.k.config.Group, "err", failure)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for tp, o := range marks {
		if _, newer := r.marks[tp]; !newer && r.parts[tp] != nil {
			r.marks[tp] = o
		}
	}
}

// resolveStarts is called by the client with the start offsets of newly
// assigned partitions. For a group without an offset it resolves the configured
// start and commits it, so records that arrive during a later outage are read. See
// compareTopics for the partitions that are read from their start.
func (r *run) resolveStarts(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	anew, err := r.compareTopics(ctx, offsets)
	if err != nil {
		return nil, err
	}
	listed := make(map[kgo.Offset]kadm.ListedOffsets)
	for topic, numbers := range offsets {
		for number, o := range numbers {
			tp := topicPartition{topic, number}
			start := r.k.start
			if anew[tp] {
				start = kgo.NewOffset().AtStart()
			} else if o != start {
				r.position(tp, o.EpochOffset(), false)
				continue
			}
			if listed[start] == nil {
				var err error
				if listed[start], err = r.list(ctx, start); err != nil {
					if shards, ok := errors.AsType[*kadm.ShardErrors](err); !ok || shards.AllFailed {
						return nil, err
					}
				}
			}
			if at, ok := listed[start].Lookup(topic, number); ok && at.Err == nil && at.Offset >= 0 {
				numbers[number] = kgo.NewOffset().At(at.Offset)
				r.position(tp, kgo.EpochOffset{Epoch: -1, Offset: at.Offset}, true)
			} else if anew[tp] {
				numbers[number] = start
			}
		}
	}
	return offsets, nil
}

// list lists the offsets of a start.
func (r *run) list(ctx context.Context, start kgo.Offset) (kadm.ListedOffsets, error) {
	topics := r.k.config.Topics
	switch start {
	case kgo.NewOffset().AtStart():
		return r.admin.ListStartOffsets(ctx, topics...)
	case kgo.NewOffset().AtEnd():
		return r.admin.ListEndOffsets(ctx, topics...)
	}
	return r.admin.ListOffsetsAfterMilli(ctx, start.EpochOffset().Offset, topics...)
}

// position sets the next offset of a partition, and marks it for the next commit
// if mark is set.
func (r *run) position(tp topicPartition, at kgo.EpochOffset, mark bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.parts[tp]
	if p == nil {
		return
	}
	p.next, p.fetched = at.Offset, at.Offset
	if mark {
		r.marks[tp] = at
	}
}
