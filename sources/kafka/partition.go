package kafka

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/status"
	"github.com/mfawatch/mfawatch/processor/trail"
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

	commits sync.Mutex // held from taking the marks until the brokers answered

	mu     sync.Mutex // guards what follows, and the fields of partitions that say so
	parts  map[topicPartition]*partition
	marks  map[topicPartition]kgo.EpochOffset // to be committed
	held   int                                // bytes in queues
	parked int                                // bytes in the queues of partitions that fail
}

// A partition is an assigned partition with its queued deliveries.
type partition struct {
	topicPartition
	uri   string
	ctx   context.Context // of its handlers: done when they have to stop
	abort context.CancelFunc
	leave chan struct{} // closed on revocation: no handler starts any more

	// Guarded by run.mu.
	queue   [][]*kgo.Record
	bytes   int           // in queue
	failing bool          // its first delivery failed
	gone    bool          // revoked: results of its worker are ignored
	next    int64         // the first offset that is not handled; negative: not known
	worker  chan struct{} // closed when the worker has ended; nil if none runs
}

// part is the partition, new if it is not known yet. The caller holds r.mu.
func (r *run) part(tp topicPartition) *partition {
	p := r.parts[tp]
	if p == nil {
		p = &partition{topicPartition: tp, uri: uri(tp.topic, tp.number), leave: make(chan struct{}), next: -1}
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

// offer queues records, the next of their partition.
func (r *run) offer(topic string, number int32, records []*kgo.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.part(topicPartition{topic, number})
	p.queue = append(p.queue, records)
	r.reserve(p, size(records))
	if p.next < 0 {
		p.next = records[0].Offset
	}
	if p.worker == nil {
		p.worker = make(chan struct{})
		go r.work(p, p.worker)
	}
}

func size(records []*kgo.Record) (n int) {
	for _, rec := range records {
		n += len(rec.Value)
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
		records := p.queue[0]
		r.mu.Unlock()

		acked := r.deliver(p, records)

		r.mu.Lock()
		if p.gone || !acked {
			p.worker = nil
			r.mu.Unlock()
			return
		}
		// The commit point: from here on the offset may be committed.
		last := records[len(records)-1]
		p.next = last.Offset + 1
		r.marks[p.topicPartition] = kgo.EpochOffset{Epoch: last.LeaderEpoch, Offset: p.next}
		p.queue[0] = nil
		p.queue = p.queue[1:]
		r.reserve(p, -size(records))
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

// deliver offers records until the handler acknowledges them. It returns false if
// p was revoked first.
func (r *run) deliver(p *partition, records []*kgo.Record) (acked bool) {
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
		err := r.handle(p.ctx, processor.Delivery{Source: source, Parts: parts(p.uri, records)})
		<-r.slots
		if err == nil {
			m.Acked.Inc()
			if try > 0 {
				r.mu.Lock()
				r.fail(p, false)
				r.mu.Unlock()
				r.k.log.Info("delivery acknowledged after failures", "uri", p.uri, "offset", records[0].Offset, "tries", try+1)
			}
			return true
		}
		m.Failed.Inc()
		if !errors.Is(err, context.Canceled) && failing.Set(err) {
			r.k.log.Warn("delivery failed; it is offered again until it succeeds", "uri", p.uri, "offset", records[0].Offset, "err", err)
		}
		r.mu.Lock()
		if !p.gone {
			r.fail(p, true)
		}
		r.mu.Unlock()
		wait := time.NewTimer(waits.NextBackOff())
		select {
		case <-wait.C:
		case <-p.leave:
			wait.Stop()
			return false
		}
	}
}

// parts yields the values of records. Records without a value, tombstones,
// are skipped.
func parts(uri string, records []*kgo.Record) func(yield func(processor.Part, error) bool) {
	return func(yield func(processor.Part, error) bool) {
		for _, rec := range records {
			if rec.Value == nil {
				continue
			}
			if !yield(processor.Part{Origin: trail.At(uri, rec.Offset), Bytes: rec.Value}, nil) {
				return
			}
		}
	}
}
