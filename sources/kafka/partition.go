package kafka

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/status"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/sources"
)

type topicPartition struct {
	topic  string
	number int32
}

// run is one membership of the group: the state of one call of Run.
type run struct {
	k      *Source
	handle processor.Handler
	made   chan struct{} // closed when there are:
	client *kgo.Client
	admin  *kadm.Client
	slots  chan struct{} // one for each handler that runs
	freed  chan struct{} // receives a value when memory may be free again

	inflater *inflater
	hungUp   hungUp
	skipped  bool // batches, in this poll

	commits sync.Mutex // held from taking the marks until the brokers answered

	mu     sync.Mutex // guards what follows, and the fields of partitions that say so
	parts  map[topicPartition]*partition
	marks  map[topicPartition]kgo.EpochOffset // to be committed
	held   int                                // bytes in queues
	stale  map[string]bool                    // topics of which the client asks for the ID of a deleted one
	ids    map[string]kadm.TopicID            // of the topics that are read
	parked int                                // bytes in the queues of partitions that fail

	caughtUp sources.CaughtUp
}

// A partition is an assigned partition with its queued deliveries.
type partition struct {
	topicPartition
	uri   string
	ctx   context.Context // of its handlers: done when they have to stop
	abort context.CancelFunc
	leave chan struct{} // closed on revocation: no handler starts any more

	// Guarded by run.mu.
	queue   []delivery
	bytes   int           // in queue
	failing bool          // its first delivery failed
	gone    bool          // revoked: results of its worker are ignored
	next    int64         // the first offset that is not handled; negative: not known
	fetched int64         // the first offset that was not queued; negative: not known
	worker  chan struct{} // closed when the worker has ended; nil if none runs
}

// part is the partition, new if it is not known yet. The caller holds r.mu.
func (r *run) part(tp topicPartition) *partition {
	p := r.parts[tp]
	if p == nil {
		p = &partition{topicPartition: tp, uri: uri(tp.topic, tp.number), leave: make(chan struct{}), next: -1, fetched: -1}
		p.ctx, p.abort = context.WithCancel(context.Background())
		r.parts[tp] = p
	}
	return p
}

// waitForBudget waits until memory allows another poll. It returns false once ctx
// is done.
func (r *run) waitForBudget(ctx context.Context) bool {
	for {
		r.mu.Lock()
		free := r.held-r.parked < heldBytes && r.held < parkedBytes
		r.mu.Unlock()
		if ctx.Err() != nil {
			return false
		}
		if free {
			return true
		}
		select {
		case <-r.freed:
		case <-ctx.Done():
		}
	}
}

// reserve adds n bytes of p to the memory budget; a negative n releases them. The
// caller holds r.mu.
func (r *run) reserve(p *partition, n int) {
	p.bytes += n
	r.held += n
	if p.failing {
		r.parked += n
	}
	r.k.metrics.held.Set(float64(r.held))
	r.signalFreed()
}

func (r *run) signalFreed() {
	select {
	case r.freed <- struct{}{}:
	default:
	}
}

// fail sets whether p fails now. A failing partition parks its bytes and pauses
// its fetches. The caller holds r.mu.
func (r *run) fail(p *partition, failing bool) {
	if p.failing == failing {
		return
	}
	p.failing = failing
	this := map[string][]int32{p.topic: {p.number}}
	if failing {
		r.parked += p.bytes
		r.client.PauseFetchPartitions(this)
	} else {
		r.parked -= p.bytes
		r.client.ResumeFetchPartitions(this)
	}
	r.signalFreed()
}

// A delivery is a queued range of offsets.
type delivery struct {
	parts iter.Seq2[processor.Part, error]
	first int64
	next  kgo.EpochOffset // to be committed after it
	bytes int

	records []*kgo.Record // of parts
}

// recycle gives the memory of d back to the fetches. The records of d are gone.
func (d *delivery) recycle() {
	for _, rec := range d.records {
		rec.Recycle()
	}
}

// offer queues records, the next of their partition, whose log starts at start.
func (r *run) offer(tp topicPartition, records []*kgo.Record, start int64) {
	last := records[len(records)-1]
	r.mu.Lock()
	if p := r.parts[tp]; p != nil {
		r.noteStart(p, start)
	}
	r.mu.Unlock()
	r.enqueue(tp, delivery{
		parts: parts(uri(tp.topic, tp.number), records),
		first: records[0].Offset,
		next:  kgo.EpochOffset{Epoch: last.LeaderEpoch, Offset: last.Offset + 1},
		bytes: size(records),

		records: records,
	})
}

// skip queues a batch that is corrupt or inflates to too much for the quarantine, by its offset.
func (r *run) skip(e *kgo.ErrDecompressTooLarge) {
	tp := topicPartition{e.Topic, e.Partition}
	given := processor.Part{
		Origin: trail.At(uri(tp.topic, tp.number), e.Offset),
		GivenUp: &processor.GivenUp{Reason: "too_large", Err: fmt.Errorf("the batch of offsets %d to %d is corrupt or inflates to more than %d MiB; read it with a Kafka client",
			e.Offset, e.NextOffset-1, inflatedBatchBytes>>20)},
	}
	next := kgo.EpochOffset{Epoch: e.Epoch, Offset: e.NextOffset}
	r.enqueue(tp, delivery{parts: processor.One(given), first: e.Offset, next: next})
	r.skipped = true
}

// readOn has the client read on after batches that were skipped. Every partition is
// set to its offset: setting one ends the fetches of all, and with them the errors
// of those that met such a batch as well, whose partitions would stay stopped.
func (r *run) readOn() {
	if !r.skipped {
		return
	}
	r.skipped = false
	r.client.SetOffsets(r.nextOffsets(1)) // the client ignores an offset that it has
	r.client.SetOffsets(r.nextOffsets(0))
}

// nextOffsets returns the next offset of every partition, shifted.
func (r *run) nextOffsets(by int64) map[string]map[int32]kgo.EpochOffset {
	next := make(map[string]map[int32]kgo.EpochOffset)
	r.mu.Lock()
	defer r.mu.Unlock()
	for tp, p := range r.parts {
		if p.fetched < 0 {
			continue
		}
		if next[tp.topic] == nil {
			next[tp.topic] = make(map[int32]kgo.EpochOffset)
		}
		next[tp.topic][tp.number] = kgo.EpochOffset{Epoch: -1, Offset: p.fetched + by}
	}
	return next
}

// enqueue queues a delivery of a partition. One that was polled before its partition
// was released is dropped: its topic was deleted and made anew, and its offset must
// not be committed for the new one.
func (r *run) enqueue(tp topicPartition, d delivery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.parts[tp]
	if p == nil {
		d.recycle()
		return
	}
	p.queue = append(p.queue, d)
	p.fetched = d.next.Offset
	r.reserve(p, d.bytes)
	if p.next < 0 {
		p.next = d.first
	}
	if p.worker == nil {
		p.worker = make(chan struct{})
		go r.work(p, p.worker)
	}
}

func size(records []*kgo.Record) (n int) {
	for _, rec := range records {
		n += len(rec.Key) + len(rec.Value) + recordMemory
	}
	return n
}

// work handles the deliveries of p in order, until none is left or p is revoked.
func (r *run) work(p *partition, done chan struct{}) {
	defer close(done)
	for {
		r.mu.Lock()
		if p.gone || p.leaving() || len(p.queue) == 0 {
			p.worker = nil
			r.mu.Unlock()
			return
		}
		d := p.queue[0]
		r.mu.Unlock()

		acked := r.deliver(p, d)
		if acked {
			d.recycle()
		}

		r.mu.Lock()
		if p.gone || !acked {
			p.worker = nil
			r.mu.Unlock()
			return
		}
		// The commit point: from here on the offset may be committed.
		p.next = d.next.Offset
		r.marks[p.topicPartition] = d.next
		p.queue[0] = delivery{}
		p.queue = p.queue[1:]
		r.reserve(p, -d.bytes)
		r.mu.Unlock()
	}
}

func (p *partition) leaving() bool {
	select {
	case <-p.leave:
		return true
	default:
		return false
	}
}

// deliver offers d until the handler acknowledges them. It returns false if
// p was revoked first.
func (r *run) deliver(p *partition, d delivery) (acked bool) {
	m, source := r.k.metrics, r.k.name
	waits := r.k.retry.Start()
	var failing status.Status
	for try := 0; ; try++ {
		select {
		case r.slots <- struct{}{}:
		case <-p.leave:
			return false
		}
		if try > 0 {
			m.Retries.Inc()
		}
		err := r.handle(p.ctx, processor.Delivery{Source: source, Parts: d.parts})
		<-r.slots
		if err == nil {
			m.Acked.Inc()
			if try > 0 {
				r.mu.Lock()
				r.fail(p, false)
				r.mu.Unlock()
				r.k.log.Info("delivery acknowledged after failures", "uri", p.uri, "offset", d.first, "tries", try+1)
			}
			return true
		}
		m.Failed.Inc()
		if !errors.Is(err, context.Canceled) && failing.Set(err) {
			r.k.log.Warn("delivery failed; it is offered again until it succeeds", "uri", p.uri, "offset", d.first, "err", err)
		}
		r.mu.Lock()
		if !p.gone {
			r.fail(p, true)
		}
		r.mu.Unlock()
		select {
		case <-time.After(waits.NextBackOff()):
		case <-p.leave:
			return false
		}
	}
}

// parts yields the values of records. Records without a value, tombstones, are
// skipped, and those of the brokers, which end transactions.
func parts(uri string, records []*kgo.Record) func(yield func(processor.Part, error) bool) {
	return func(yield func(processor.Part, error) bool) {
		for _, rec := range records {
			if rec.Value == nil || rec.Attrs.IsControl() {
				continue
			}
			if !yield(processor.Part{Origin: trail.At(uri, rec.Offset), Bytes: unframed(rec.Value)}, nil) {
				return
			}
		}
	}
}

// unframed returns a value without what the serializers of a schema registry write
// before JSON: a zero byte and the number of the schema.
func unframed(value []byte) []byte {
	const frame = 5
	if len(value) > frame && value[0] == 0 && trail.Sniff(value[frame:]) == trail.FormJSON {
		return value[frame:]
	}
	return value
}
