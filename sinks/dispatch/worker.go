package dispatch

import (
	"container/heap"
	"context"
	"errors"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/route"
	"github.com/mfawatch/mfawatch/sinks"
)

// Bounds on how many pending alerts a worker knows of, without their contents:
// it reads more when it has few that it can send, and at the second bound stops
// looking past those that fail.
const (
	lookAhead = 1024
	maxKnown  = 65536
)

// unwellAfter is how many attempts in a row have to fail for a sink to be
// reported as not ready.
const unwellAfter = 3

// Worker sends the journal's alerts to one sink. An alert that fails delays only
// those of its exposure; a sink that is down delays no other sink. The fields
// belong to the goroutine of Run, except those that say otherwise.
type Worker struct {
	name      string
	sink      sinks.Sink
	store     store
	log       *slog.Logger
	metrics   *metrics
	config    DeliveryConfig
	drainTime time.Duration
	batches   bool          // the sink is a sinks.BatchSender
	storm     *storm        // nil: alerts are not grouped
	router    router        // nil: the sink is told every alert
	limiter   *rate.Limiter // nil: no bound

	lines   map[string]*line
	ready   lineHeap              // may be sent
	resting lineHeap              // wait for their next attempt
	alone   map[uint64]bool       // alerts that are to be sent by themselves
	others  map[string]sinks.Sink // the sink for others than its own, by recipients
	stopped map[string]bool       // lines that were superseded, until the journal knows
	known   int                   // alerts in lines
	after   uint64                // the newest alert that was ever in lines
	before  uint64                // the newest of those that were left by the run before: it may have sent them
	more    bool                  // the journal may hold more after it
	running int                   // attempts
	paused  time.Time             // the channel wants nothing before
	circuit circuit
	cut     bool // sends were cut off by the end of the drain time

	sent    chan *attempt
	notes   []note     // for the journal
	told    int        // of them, that end an alert
	noteDue time.Time  // they are journalled by then
	busy    []note     // being journalled; nil if nothing is
	noted   chan error // the end of that
	again   time.Time  // the journal is not to be tried before

	failures   int   // attempts in a row
	sendErr    error // logged last; nil once a send succeeded
	journalErr error // logged last; nil once the journal was written

	err atomic.Pointer[error] // why the sink is not ready; read by anyone
}

func newWorker(name string, s sinks.Sink, j store, o Options) *Worker {
	w := &Worker{
		name: name, sink: s, store: j, metrics: newMetrics(o.Registerer, name, j), config: o.Delivery.withDefaults(), drainTime: o.Drain,
		log:     o.Logger.With("sink", name),
		lines:   map[string]*line{},
		ready:   lineHeap{less: byTurn},
		resting: lineHeap{less: byDue},
		alone:   map[uint64]bool{},
		stopped: map[string]bool{},
		others:  map[string]sinks.Sink{},
		noted:   make(chan error, 1),
	}
	_, w.batches = s.(sinks.BatchSender)
	if o.Router != nil && !o.Router.Plain(name) {
		w.router = o.Router
	}
	w.storm = newStorm(s, w.config.Group)
	if r := w.config.Rate; r > 0 {
		w.limiter = rate.NewLimiter(rate.Limit(r), int(max(1, math.Ceil(min(r, maxBatch)))))
	}
	w.sent = make(chan *attempt, w.config.Concurrency)
	return w
}

// Run sends until ctx is done. It then begins no more, lets the sends that are
// running end within the drain time, and returns nil; alerts that were not
// delivered by then wait in the journal. Only a closed journal ends it before.
func (w *Worker) Run(ctx context.Context) error {
	// Sends outlive ctx by the drain time.
	sending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	alerted := w.store.Alerted()
	w.more = true
	for ctx.Err() == nil {
		now := time.Now()
		if err := w.look(now); err != nil {
			return err
		}
		w.begin(sending, now)
		w.note(now)
		if w.more && w.idle(now) {
			continue // all that is known rests: look past it
		}
		timer := time.NewTimer(w.wait(now))
		select {
		case <-ctx.Done():
		case <-alerted:
			alerted = w.store.Alerted()
			w.more = true
		case a := <-w.sent:
			w.end(a)
		case err := <-w.noted:
			w.endNote(err)
		case <-timer.C:
		}
		timer.Stop()
	}
	w.drain(cancel)
	return nil
}

// look takes pending alerts from the journal, if there are few left to send.
// Its error is that the journal was closed.
func (w *Worker) look(now time.Time) error {
	if !w.more || w.ready.Len() >= lookAhead/2 || w.known >= maxKnown || now.Before(w.again) {
		return nil
	}
	pending, err := w.store.Pending(w.name, w.after, lookAhead)
	if errors.Is(err, journal.ErrClosed) {
		return err
	}
	if err != nil || len(w.notes) == 0 && w.busy == nil {
		w.noteJournal(err) // that it can be read is not the news while it cannot be written
	}
	if err != nil {
		return nil
	}
	w.more = len(pending) == lookAhead
	for _, p := range pending {
		w.after = p.Number
		w.known++
		l := w.lines[p.Line]
		if l == nil {
			l = &line{name: p.Line, routed: routed{known: route.Case{Known: p.Known, To: p.To, Orphan: p.Orphan}}}
			w.lines[p.Line] = l
		}
		l.queue = append(l.queue, p)
		if len(l.queue) == 1 && !l.running {
			l.attempts, l.first, l.perhaps = p.Attempts, p.First, p.Attempts > 0
			w.offer(l)
		} else if l.held {
			w.wake(l)
		}
	}
	return nil
}

// full reports whether nothing more may be begun.
func (w *Worker) full(now time.Time) bool {
	return w.running >= w.config.Concurrency || now.Before(w.paused) || len(w.notes) >= lookAhead ||
		w.circuit.blocks(w.running, now) || w.limiter != nil && w.limiter.TokensAt(now) < 1
}

// idle reports whether a send could be begun if there were an alert for it.
func (w *Worker) idle(now time.Time) bool {
	return !w.full(now) && w.ready.empty() && w.known < maxKnown && !now.Before(w.again)
}

// begin sends what may be sent now, the oldest first.
func (w *Worker) begin(ctx context.Context, now time.Time) {
	for !w.resting.empty() && !w.resting.first().due.After(now) {
		w.enter(w.resting.take(), now)
	}
	for !w.full(now) {
		a := w.next(now)
		if a == nil {
			return
		}
		w.running++
		a.began, a.probe = now, w.circuit.open
		w.address(a)
		for i, it := range a.items {
			a.items[i].ref, a.items[i].hasRef = it.line.ref, it.line.hasRef
			head := it.pending.Number == it.line.queue[0].Number
			a.items[i].perhaps = head && (it.line.perhaps || it.pending.Number <= w.before)
		}
		for _, l := range a.lines {
			l.running = true
			if l.attempts > 0 {
				w.metrics.retries.Inc()
			}
		}
		if w.limiter != nil {
			tokens := 1
			if a.how == batched {
				tokens = len(a.items)
			}
			w.limiter.AllowN(now, tokens)
		}
		go func() {
			a.send(ctx, w)
			w.sent <- a
		}()
	}
}

// next decides what is sent next, nil if there is nothing.
func (w *Worker) next(now time.Time) *attempt {
	if w.circuit.open && !w.ready.empty() {
		return w.probe()
	}
	if w.storm != nil {
		if a := w.storm.take(now); a != nil {
			return a
		}
	}
	for !w.ready.empty() {
		l := w.ready.take()
		if w.overtake(l) {
			w.offer(l)
			continue
		}
		switch {
		case w.alone[l.queue[0].Number]:
		case w.storm != nil:
			if w.hold(l, now) {
				continue
			}
		case w.batches:
			limit := maxBatch
			if w.limiter != nil {
				limit = max(1, min(limit, int(w.limiter.TokensAt(now))))
			}
			return w.batch(l, limit)
		}
		return single(l)
	}
	return nil
}

// probe is an attempt with the alert that was tried least: one that is sick by
// itself must not keep the channel from being found well.
func (w *Worker) probe() *attempt {
	best := 0
	for i, l := range w.ready.lines {
		if b := w.ready.lines[best]; l.attempts < b.attempts || l.attempts == b.attempts && byTurn(l, b) {
			best = i
		}
	}
	return single(heap.Remove(&w.ready, best).(*line))
}

// hold keeps the line back if its head is part of a storm.
func (w *Worker) hold(l *line, now time.Time) bool {
	alert, ref, err := w.store.Take(w.name, l.queue[0].Number)
	if errors.Is(err, journal.ErrDone) {
		w.skip(l)
		w.offer(l)
		return true
	}
	if err != nil {
		w.noteJournal(err)
		w.rest(l, now.Add(w.backoff(0)))
		return true
	}
	if ref != "" || l.hasRef && l.ref != "" {
		return false // it goes on where the exposure has a place of its own
	}
	return w.storm.hold(groupKey(w.storm, alert, l.to), l, now)
}

// wait is how long nothing will happen by itself.
func (w *Worker) wait(now time.Time) time.Duration {
	until := now.Add(time.Hour)
	sooner := func(t time.Time) {
		if t.After(now) && t.Before(until) {
			until = t
		}
	}
	sooner(w.paused)
	sooner(w.again)
	sooner(w.storm.due())
	if len(w.notes) > 0 && w.busy == nil {
		sooner(w.noteDue)
	}
	if w.circuit.open {
		sooner(w.circuit.next)
	}
	if !w.resting.empty() {
		sooner(w.resting.first().due)
	}
	if w.limiter != nil {
		if lack := 1 - w.limiter.TokensAt(now); lack > 0 {
			sooner(now.Add(time.Duration(lack/w.config.Rate*float64(time.Second)) + time.Millisecond))
		}
	}
	return until.Sub(now)
}

// drain waits for the sends that are running, and journals what they came to.
func (w *Worker) drain(cancel context.CancelFunc) {
	deadline := time.NewTimer(w.drainTime)
	defer deadline.Stop()
	for w.running > 0 {
		select {
		case a := <-w.sent:
			w.end(a)
		case err := <-w.noted:
			w.endNote(err)
		case <-deadline.C:
			w.log.Warn("sends were cut off by the end of the drain time; they are made again by the next start", "sends", w.running)
			w.cut = true
			cancel()
		}
	}
	for range 2 { // what is being journalled, and what is left after it
		if w.busy != nil {
			w.endNote(<-w.noted)
		}
		w.noteDue = time.Time{}
		w.note(time.Now())
	}
	if w.busy != nil {
		w.endNote(<-w.noted)
	}
	if w.told > 0 {
		w.log.Warn("alerts that were told could not be noted as such; they are told again by the next start", "alerts", w.told)
	}
}
