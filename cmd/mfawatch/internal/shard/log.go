package shard

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/journal/store"
)

// Times of a transaction. A transaction that its owner left open is aborted by the
// brokers after transactionTimeout, or by the next owner immediately.
const (
	transactionTimeout = 10 * time.Second
	produceTimeout     = 8 * time.Second
	endTimeout         = 15 * time.Second
	restoreStuck       = 30 * time.Second
)

// ownerKey is the key of owner records, whose value is the name of the replica. It is
// no key of a journal's write.
const ownerKey = "\xff\xffowner"

// A changeLog is a partition of the journal topic, as its owner writes it.
type changeLog struct {
	c         *Cluster
	ids       topicIDs
	partition int32
	client    *kgo.Client
	own       int64                     // offset of the owner record
	next      atomic.Int64              // offset up to which the journal has what was committed
	last      atomic.Pointer[time.Time] // when the last transaction that was committed began
	large     bool                      // its journal is opened alone
	ctx       context.Context

	running sync.Mutex              // held by a transaction
	alive   context.Context         // done when there are no more, for its cause
	end     context.CancelCauseFunc // ends alive
}

var _ store.ChangeLog = (*changeLog)(nil)

// openLog makes this replica the owner of the partition. ctx bounds openLog and
// Restore.
func (c *Cluster) openLog(ctx context.Context, ids topicIDs, partition int32) (*changeLog, error) {
	client, err := c.client(
		kgo.TransactionalID(c.config.txnID(partition)),
		kgo.TransactionTimeout(transactionTimeout),
		kgo.RecordPartitioner(partitioner{c.config}),
		kgo.RecordDeliveryTimeout(produceTimeout),
		kgo.RetryTimeout(produceTimeout),
		kgo.ManualFlushing(), // one request to each broker
		kgo.ProducerBatchMaxBytes(maxBatchBytes),
		kgo.MaxBufferedRecords(1<<20),
	)
	if err != nil {
		return nil, err
	}
	l := &changeLog{c: c, ids: ids, partition: partition, client: client, ctx: ctx}
	l.alive, l.end = context.WithCancelCause(context.WithoutCancel(ctx))
	within, cancel := context.WithTimeout(ctx, restoreStuck)
	defer cancel()
	if _, _, err = client.ProducerID(within); err == nil { // fences the former owner
		l.own, err = l.renew()
		l.next.Store(-1) // nothing is restored yet
	}
	if err != nil {
		l.close()
		return nil, explain(fmt.Errorf("become the owner of partition %d: %w", partition, err))
	}
	return l, nil
}

// close closes the client of an owner.
func (l *changeLog) close() {
	if l.client != nil {
		l.client.Close()
		l.end(store.ErrClosed)
	}
}

// errReadOnly is returned by the change log of another owner, which has no client.
var errReadOnly = errors.New("the journal is read only")

// Commit implements [store.ChangeLog].
func (l *changeLog) Commit(b store.Batch) ([]byte, error) {
	if l.client == nil {
		return nil, fmt.Errorf("%w: %w", store.ErrRefused, errReadOnly)
	}
	records, err := l.c.config.eventRecords(b.Events)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", store.ErrRefused, err)
	}
	for _, w := range b.Writes {
		records = append(records, l.record(w.Key, w.Value))
	}
	for _, m := range b.Messages {
		r := *m.(*kgo.Record) // a retry produces it again
		records = append(records, &r)
	}
	_, epoch, _ := l.client.PartitionLeader(l.c.config.journal(), l.partition) // before: a later one has what an earlier one lost
	last, err := l.transact(records)
	if err != nil {
		return nil, err
	}
	return position(l.ids.journal, last+1, epoch), nil
}

func (l *changeLog) record(key, value []byte) *kgo.Record {
	return &kgo.Record{Topic: l.c.config.journal(), Partition: l.partition, Key: key, Value: value}
}

// renew commits an owner record, which proves that this replica is the owner, and
// returns its offset.
func (l *changeLog) renew() (int64, error) {
	return l.transact([]*kgo.Record{l.record([]byte(ownerKey), []byte(l.c.config.Name()))})
}

// transact produces the records in one transaction, and returns the last offset in
// the journal topic.
func (l *changeLog) transact(records []*kgo.Record) (last int64, err error) {
	l.running.Lock()
	defer l.running.Unlock()
	if err := l.failure(); err != nil {
		return 0, err
	}
	began := time.Now()
	if err := l.client.BeginTransaction(); err != nil {
		return 0, l.fail(err)
	}
	ctx, cancel := context.WithTimeout(l.alive, endTimeout)
	defer cancel()
	var produced kgo.FirstErrPromise
	contents := true // no record of our own topics fails: another sink's alerts may pass
	for _, r := range records {
		done := produced.Promise()
		l.client.Produce(ctx, r, func(r *kgo.Record, err error) {
			contents = contents && (err == nil || r.Topic != l.c.config.journal() && r.Topic != l.c.config.events())
			done(r, err)
		})
	}
	if err := l.client.Flush(ctx); err != nil { // the client holds records that may have arrived, whatever ctx is
		return 0, l.fail(err)
	}
	ending, cancel := context.WithTimeout(l.alive, endTimeout)
	defer cancel()
	if err := l.known(ending, records); err != nil {
		return 0, l.fail(err)
	}
	if err := produced.Err(); err != nil {
		return 0, l.abort(ending, err, contents)
	}
	id, epoch, err := l.client.ProducerID(ending)
	if err != nil {
		return 0, l.fail(err)
	}
	for _, r := range records {
		if r.ProducerID != id || r.ProducerEpoch != epoch {
			return 0, l.fail(errRenewed)
		}
		if r.Topic == l.c.config.journal() {
			last = max(last, r.Offset)
		}
	}
	if err := l.client.EndTransaction(ending, kgo.TryCommit); err != nil {
		return 0, l.fail(err)
	}
	l.last.Store(&began)
	l.c.metrics.committed.Inc()
	if last > 0 {
		l.next.Store(last + 1)
	}
	return last, nil
}

// errRenewed says that the client took a new epoch in the middle of a transaction, as
// it does by itself after some answers of a broker to which retention left nothing
// (franz-go 1.22.3). The brokers have aborted the part before, and a commit would be
// one of the rest.
var errRenewed = errors.New("a part of the transaction was aborted")

// known returns once the client knows the partitions of the records that arrived. It
// sends the first records of a topic a moment before it stores what it knows of the
// topic. In that moment, EndTransaction finds no partition: it does not commit, or
// abort, and returns no error (franz-go 1.22.3).
func (l *changeLog) known(ctx context.Context, records []*kgo.Record) error {
	for _, r := range records {
		for r.ProducerID >= 0 {
			if leader, _, err := l.client.PartitionLeader(r.Topic, r.Partition); leader != -1 || err != nil {
				break
			}
			if pause(ctx, time.Millisecond); ctx.Err() != nil {
				return fmt.Errorf("partition %d of %s is not known: %w", r.Partition, r.Topic, ctx.Err())
			}
		}
	}
	return nil
}

// abort ends a transaction of which nothing is to be kept. The error is ErrRefused
// if that is certain, and this replica is the owner still. contents says whether the
// cause is not in our own topics.
func (l *changeLog) abort(ctx context.Context, cause error, contents bool) error {
	if fenced(cause) {
		return l.fail(cause)
	}
	if err := l.client.AbortBufferedRecords(ctx); err != nil {
		return l.fail(errors.Join(cause, err))
	}
	if err := l.client.EndTransaction(ctx, kgo.TryAbort); err != nil {
		return l.fail(errors.Join(cause, err))
	}
	if errors.Is(cause, kerr.MessageTooLarge) || errors.Is(cause, kerr.RecordListTooLarge) || errors.Is(cause, kerr.InvalidRecord) {
		l.c.metrics.rejected.Inc()
		return fmt.Errorf("%w: %w", store.ErrRejected, cause)
	}
	l.c.metrics.aborted.Inc()
	if contents {
		return fmt.Errorf("%w: %w", store.ErrContents, cause)
	}
	return fmt.Errorf("%w: %w", store.ErrRefused, explain(cause))
}

// fail ends the use of the client, whose state is not trusted any more.
func (l *changeLog) fail(cause error) error {
	l.c.metrics.aborted.Inc()
	l.end(fmt.Errorf("partition %d of %s: %w", l.partition, l.c.config.journal(), explain(cause)))
	return l.failure()
}

// failure returns why there are no more transactions, nil if there are.
func (l *changeLog) failure() error { return context.Cause(l.alive) }

// fenced reports whether an error says that another owner may be there, or that the
// client writes to a topic that was made again: it needs another client.
func fenced(err error) bool {
	return errors.Is(err, kerr.UnknownTopicID) || errors.Is(err, kerr.ProducerFenced) || errors.Is(err, kerr.InvalidProducerEpoch) || errors.Is(err, kerr.InvalidTxnState) ||
		errors.Is(err, kerr.InvalidProducerIDMapping) || errors.Is(err, kerr.UnknownProducerID) || errors.Is(err, kerr.OutOfOrderSequenceNumber)
}

// lease returns once this replica is known to have been the owner at most limit ago.
func (l *changeLog) lease(limit time.Duration) error {
	err := l.failure()
	if err == nil && age(*l.last.Load()) >= limit {
		_, err = l.renew()
	}
	return err
}

// age is the time since t. The wall clock counts too: the other one stands still
// while a machine is suspended.
func age(t time.Time) time.Duration { return max(time.Since(t), time.Now().Round(0).Sub(t.Round(0))) }

// A position is the ID of the topic, the epoch of the partition's leader and an
// offset. By the epoch, the brokers know whether they lost records before the offset.
func position(id kadm.TopicID, offset int64, epoch int32) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(id[:], uint32(epoch)), uint64(offset))
}

func splitPosition(b []byte) (id kadm.TopicID, at kgo.Offset, ok bool) {
	if len(b) != len(id)+12 {
		return id, at, false
	}
	epoch, offset := binary.BigEndian.Uint32(b[len(id):]), binary.BigEndian.Uint64(b[len(id)+4:])
	return kadm.TopicID(b[:len(id)]), kgo.NewOffset().At(int64(offset)).WithEpoch(int32(epoch)), true
}

// largeWrites is the size of writes from which on a journal is opened alone, since that
// takes several times their memory.
const largeWrites = 4 << 20

var (
	alone    = make(chan struct{}, 1) // holds one while such a journal is opened
	errLarge = errors.New("these writes are applied alone")
)

// openJournal opens the journal whose change log this is.
func (l *changeLog) openJournal() (*journal.Journal, error) {
	defer func() {
		if l.large {
			<-alone
		}
	}()
	o := l.c.o.Journals
	o.ChangeLog = l
	o.Local = func(lane string) bool { return l.c.config.partition(lane) == l.partition }
	return journal.Open(l.c.cache(l.partition), o)
}

// Restore implements [store.ChangeLog]. It reads up to the owner record: not to
// the last stable offset, which an open transaction holds back.
func (l *changeLog) Restore(from []byte, apply func([]store.Write, []byte) error) error {
	start, topic := kgo.NewOffset().AtStart(), l.c.config.journal()
	if from != nil {
		id, at, ok := splitPosition(from)
		start = at
		switch {
		case !ok, id == l.ids.journal && at.EpochOffset().Offset > l.own:
			return store.ErrPosition
		case id != l.ids.journal:
			return fmt.Errorf("%w: topic %s was deleted and made again since this replica used it: open exposures are forgotten; restore the topic from a backup, or empty the folder journal.path of every replica to go on without them", ErrRefused, topic)
		}
	}
	l.next.Store(max(0, start.EpochOffset().Offset))
	err := l.c.readCommitted(l.ctx, topic, l.partition, start, l.own+1, func(records []*kgo.Record) error {
		var writes []store.Write
		size := 0
		for _, r := range records {
			if !r.Attrs.IsControl() && string(r.Key) != ownerKey {
				writes = append(writes, store.Write{Key: r.Key, Value: r.Value})
				size += len(r.Value)
			}
		}
		if size > largeWrites && !l.large {
			return errLarge
		}
		last := records[len(records)-1]
		if len(writes) > 0 {
			from = position(l.ids.journal, last.Offset+1, last.LeaderEpoch)
			if err := apply(writes, from); err != nil {
				return err
			}
		}
		l.next.Store(last.Offset + 1)
		return nil
	})
	if errors.Is(err, errLarge) { // the writes are read again, since nothing is held while it waits
		select {
		case alone <- struct{}{}:
			l.large = true
			return l.Restore(from, apply)
		case <-l.ctx.Done():
			return l.ctx.Err()
		}
	}
	if _, lost := errors.AsType[*kgo.ErrDataLoss](err); lost || errors.Is(err, kerr.OffsetOutOfRange) {
		return store.ErrPosition
	}
	return err
}

// readCommitted calls f with the records of a partition from start on, control records
// among them, until it has seen the one before end.
func (c *Cluster) readCommitted(ctx context.Context, topic string, partition int32, start kgo.Offset, end int64, f func([]*kgo.Record) error) error {
	client, err := c.client(
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: start}}),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // the last record may be one
		kgo.FetchMaxWait(100*time.Millisecond),
		kgo.MaxConcurrentFetches(0), // none while records are used
	)
	if err != nil {
		return err
	}
	defer client.Close()
	for next := max(0, start.EpochOffset().Offset); next < end; {
		within, cancel := context.WithTimeout(ctx, restoreStuck)
		fetches := client.PollFetches(within)
		cancel()
		if err := fetches.Err(); err != nil {
			return explain(fmt.Errorf("read partition %d of %s at offset %d: %w", partition, topic, next, err))
		}
		if records := fetches.Records(); len(records) > 0 {
			if err := f(records); err != nil {
				return err
			}
			next = records[len(records)-1].Offset + 1
		}
	}
	return nil
}
