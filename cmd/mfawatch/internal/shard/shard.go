package shard

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/journal/store"
	"github.com/mfawatch/mfawatch/processor/status"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// A Shard is a partition that this replica owns, restored.
type Shard struct {
	Partition int32
	Journal   *journal.Journal
	log       *changeLog
}

// Lease returns once this replica is known to be the owner still, which permits a
// send. It fails if another replica is.
func (s *Shard) Lease() error { return s.log.lease(sessionTimeout) }

// A membership is a partition from its assignment to its revocation.
type membership struct {
	c         *Cluster
	partition int32
	cancel    context.CancelFunc
	done      chan struct{}

	failure   status.Status
	full      status.Status             // the quarantine was, a while ago at most
	log       atomic.Pointer[changeLog] // nil before this replica is the owner
	shard     atomic.Pointer[Shard]     // nil while it is restored
	next      atomic.Int64              // offset in the events topic; 0: not known
	committed int64                     // next, as it was committed to the group
	lag       atomic.Int64
}

// errQuarantineFull does not hold up the shard: a full quarantine must delay no
// alert.
var errQuarantineFull = errors.New("records were left out since the quarantine is full; review it with 'mfawatch quarantine list'")

// fullTime is how long a shard is not ready after it left out records.
const fullTime = 10 * time.Minute

// Bounds on the pause before a shard that failed is restored again.
const (
	minPause = 500 * time.Millisecond
	maxPause = 30 * time.Second
)

// run serves the partition until ctx is done.
func (m *membership) run(ctx context.Context, serve Serve) {
	retry(ctx, func() (done bool) {
		err := m.serve(ctx, serve)
		if ctx.Err() == nil {
			m.c.metrics.restarts.Inc()
			if m.failure.Set(err) {
				m.c.o.Logger.Warn("shard stopped; it is restored again", "partition", m.partition, "err", err)
			}
		}
		return false
	})
}

// retry calls f until it is done, or ctx is. Its pauses grow, until a call takes
// longer than the longest.
func retry(ctx context.Context, f func() (done bool)) {
	for wait := minPause; ; wait = min(2*wait, maxPause) {
		started := time.Now()
		if f() || ctx.Err() != nil {
			return
		}
		if time.Since(started) > maxPause {
			wait = minPause
		}
		pause(ctx, wait)
	}
}

// pause waits, or until ctx is done.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// serve restores the shard and serves it until ctx is done, or the journal is lost.
func (m *membership) serve(ctx context.Context, serve Serve) error {
	s, err := m.open(ctx)
	if err != nil {
		return err
	}
	defer s.log.close()
	m.shard.Store(s)
	m.c.o.Changed()
	m.failure.Set(nil)
	working, stop := context.WithCancel(ctx)
	defer stop()
	var all errgroup.Group
	all.Go(func() error {
		defer stop()
		return m.consume(working, s)
	})
	all.Go(func() error {
		defer stop()
		return serve(working, s)
	})
	select {
	case <-working.Done():
	case <-s.Journal.Lost():
	case <-s.log.alive.Done():
	}
	stop()
	m.shard.Store(nil)
	m.c.o.Changed()
	err = errors.Join(all.Wait(), s.log.failure())
	return errors.Join(err, s.Journal.Close())
}

func (m *membership) open(ctx context.Context) (*Shard, error) {
	select {
	case m.c.restoring <- struct{}{}:
		defer func() { <-m.c.restoring }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	m.log.Store(nil)
	started := time.Now()
	ids, err := m.c.prepare(ctx, false)
	if err == nil {
		err = m.c.member(ctx)
	}
	if err != nil {
		return nil, err
	}
	l, err := m.c.openLog(ctx, ids, m.partition)
	if err != nil {
		return nil, err
	}
	m.log.Store(l)
	j, err := l.openJournal()
	if err != nil {
		l.close()
		return nil, err
	}
	took := time.Since(started)
	m.c.metrics.restore.Observe(took.Seconds())
	m.c.o.Logger.Info("shard restored", "partition", m.partition, "took", took.Round(time.Millisecond), "offset", l.own, "open", len(j.Open()))
	return &Shard{m.partition, j, l}, nil
}

// The journal holds how far the events topic was read, as the cursor of a source.
const (
	cursorSource = "events topic"
	cursorName   = "next"
)

// start returns the offset of the events topic at which the journal goes on.
func (s *Shard) start() (kgo.Offset, error) {
	kept, err := s.Journal.Offsets(cursorSource)
	if err != nil {
		return kgo.Offset{}, err
	}
	if kept[cursorName] == nil {
		return kgo.NewOffset().AtStart(), nil
	}
	id, at, ok := splitPosition(kept[cursorName])
	if !ok || id != s.log.ids.events {
		s.log.c.o.Logger.Error("topic was deleted and made again: events in it that were not read are lost; it is read from its start", "topic", s.log.c.config.events(), "partition", s.Partition)
		return kgo.NewOffset().AtStart(), nil
	}
	return at, nil
}

// gatherTime is how long an event waits for others that are read in the same
// transaction.
const gatherTime = 5 * time.Millisecond

// consume journals the events of the partition until ctx is done.
func (m *membership) consume(ctx context.Context, s *Shard) error {
	start, err := s.start()
	if err != nil {
		return err
	}
	m.next.Store(max(0, start.EpochOffset().Offset))
	client, err := m.c.client(
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{m.c.config.events(): {m.partition: start}}),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // which are no lag
		kgo.FetchMaxBytes(4<<20),
		kgo.FetchMaxPartitionBytes(1<<20),
		kgo.MaxConcurrentFetches(1),
		kgo.FetchMaxWait(500*time.Millisecond),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	for {
		fetches := client.PollRecords(ctx, 1000)
		more, cancel := context.WithTimeout(ctx, gatherTime) // what came since the last poll is not in its answer
		fetches = append(fetches, client.PollRecords(more, 1000)...)
		cancel()
		if ctx.Err() != nil {
			return nil
		}
		var read kgo.FetchPartition
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			loss, lost := errors.AsType[*kgo.ErrDataLoss](p.Err)
			switch {
			case p.Err == nil:
				p.Records = append(read.Records, p.Records...)
				read = p.FetchPartition
			case lost: // the client reads on from there
				m.c.o.Logger.Error("events lost: the brokers acknowledged them, and lost them; find them in the trail's bucket with 'mfawatch scan'",
					"topic", m.c.config.events(), "partition", m.partition, "from", loss.ResetTo, "to", loss.ConsumedTo-1)
			case !errors.Is(p.Err, context.DeadlineExceeded):
				err = fmt.Errorf("read partition %d of %s: %w", m.partition, m.c.config.events(), explain(p.Err))
			}
		})
		if err == nil && len(read.Records) > 0 {
			err = m.take(ctx, s, read)
		}
		if err != nil {
			return err
		}
	}
}

// take journals records, and then that they were.
func (m *membership) take(ctx context.Context, s *Shard, p kgo.FetchPartition) error {
	var events []*trail.Event
	var quarantined []journal.Quarantined
	var foreign *journal.Quarantined // the last
	for _, r := range p.Records {
		if r.Attrs.IsControl() {
			continue
		}
		e, q, err := m.c.config.receive(r)
		switch {
		case err != nil:
			return err
		case e != nil:
			events = append(events, e)
			continue
		case q.Reason == foreignRecord:
			m.c.metrics.foreign.Inc()
			foreign = q
		}
		quarantined = append(quarantined, *q)
	}
	if foreign != nil {
		m.c.o.Logger.Error("foreign records in the events topic are quarantined", "origin", foreign.Origin, "offset", foreign.Offset, "err", foreign.Err)
	}
	if was := m.next.Load(); was > 0 && p.LogStartOffset > was {
		m.c.o.Logger.Error("events lost: retention deleted them before they were read; find them in the trail's bucket with 'mfawatch scan', and lengthen the topic's retention",
			"topic", m.c.config.events(), "partition", m.partition, "from", was, "to", p.LogStartOffset-1)
	}
	last := p.Records[len(p.Records)-1]
	next := last.Offset + 1
	left := 0
	m.lag.Store(max(0, p.HighWatermark-p.Records[0].Offset))
	var err error
	if len(events)+len(quarantined) > 0 {
		retry(ctx, func() (done bool) {
			if left, err = s.Journal.Quarantine(ctx, quarantined); err == nil {
				_, err = s.Journal.AppendFrom(ctx, cursorSource, cursorName, position(s.log.ids.events, next, last.LeaderEpoch), events)
			}
			if done = err == nil || errors.Is(err, store.ErrLost) || errors.Is(err, store.ErrClosed); !done && ctx.Err() == nil {
				m.failure.Set(err)
			}
			return done
		})
	}
	if err != nil {
		return err
	}
	m.failure.Set(nil)
	if left > 0 {
		m.c.metrics.leftOut.Add(float64(left))
		m.full.Set(errQuarantineFull)
	}
	m.next.Store(next)
	m.lag.Store(max(0, p.HighWatermark-next))
	return nil
}
