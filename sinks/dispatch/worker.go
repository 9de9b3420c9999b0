package dispatch

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/processor/route"
	"github.com/mfawatch/mfawatch/sinks"
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
	store     Store
	log       *slog.Logger
	metrics   *metrics
	config    DeliveryConfig
	admit     func(ctx context.Context, urgent bool) (func(), error) // nil: a send may always start
	drainTime time.Duration
	group     route.Group // zero: alerts are not grouped

	queue     *route.Queue
	cache     cache
	lanes     map[string]*lane
	addressed map[string]sinks.Sink // the sink for other recipients than its own
	known     int                   // alerts in lanes
	memory    int                   // bound on known: maxKnown, except in tests
	after     uint64                // the newest alert that was fetched
	before    uint64                // the newest alert that the run before left: it may have sent it
	more      bool                  // the journal may hold more after it
	seen      uint64                // the newest alert that was looked at for critical ones
	unseen    bool                  // the journal may hold critical ones after it
	holdUntil time.Time             // the queue has nothing to do before, except after another event
	running   int                   // attempts
	reserved  int                   // attempts that critical alerts may run beside those of the configuration
	paused    time.Time             // the channel accepts nothing before
	doubted   time.Time             // no critical alert is tried in that time before
	circuit   circuit
	cut       bool // sends were cut off by the end of the drain time

	sent      chan *attempt
	records   []record   // for the journal
	ended     int        // of them, that end an alert
	recordDue time.Time  // they are written by then
	writing   []record   // being written; nil: none
	written   chan error // the end of that
	again     time.Time  // the journal is not to be tried before

	deliveries map[string]int // that succeeded, by recipients
	failures   int            // attempts in a row
	sendErr    error          // logged last; nil once a send succeeded
	journalErr error          // logged last; nil once the journal was written

	err atomic.Pointer[error] // why the sink is not ready; read concurrently
}

func newWorker(name string, s sinks.Sink, j Store, o Options) *Worker {
	w := &Worker{
		name: name, sink: s, store: j, metrics: newMetrics(o.Registerer, name, j), config: o.Delivery.withDefaults(), admit: o.Admit, drainTime: o.Drain,
		log:       o.Logger.With("sink", name),
		lanes:     map[string]*lane{},
		addressed: map[string]sinks.Sink{}, deliveries: map[string]int{},
		written: make(chan error, 1),
		memory:  maxKnown,
	}
	if w.config.People {
		w.reserved = w.config.Concurrency
	}
	w.sent = make(chan *attempt, w.config.Concurrency+w.reserved)
	rules := route.Sink{Name: name, Human: w.config.People, Rate: w.config.Rate, Limiter: o.Limiter, Alert: w.alert, Held: w.hold}
	if o.Router != nil && !o.Router.Plain(name) {
		rules.Router = o.Router
	}
	if _, ok := s.(sinks.BatchSender); ok {
		rules.Batch = maxBatch
	}
	if _, ok := s.(sinks.GroupSender); ok && w.config.Group.Wait > 0 {
		w.group = route.Group{Wait: w.config.Group.Wait, Max: w.config.Group.Max, ByActor: w.config.Group.By == byActor}
		rules.Group = w.group
	}
	w.queue = route.NewQueue(rules)
	return w
}

// Run sends until ctx is done. It then starts no more sends, lets those that are
// running finish within the drain time, and returns nil; alerts that were not
// delivered by then wait in the journal. Only a closed journal ends it before.
func (w *Worker) Run(ctx context.Context) error {
	// Sends outlive ctx by the drain time.
	sending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	alerted := w.store.Alerted()
	w.more, w.unseen = true, true
	for ctx.Err() == nil {
		now := time.Now()
		if err := w.fetch(now); err != nil {
			return err
		}
		w.start(sending, now)
		w.write(now)
		w.settle()
		select {
		case <-ctx.Done():
		case <-alerted:
			alerted = w.store.Alerted()
			w.more, w.unseen = true, true
		case a := <-w.sent:
			w.end(a)
		case err := <-w.written:
			w.endWrite(err)
		case <-time.After(w.wait(now)):
		}
	}
	w.drain(cancel)
	return nil
}

// full reports whether nothing more may be started.
func (w *Worker) full(now time.Time) bool {
	return w.running >= w.config.Concurrency+w.reserved || now.Before(w.paused) && now.Before(w.doubted) || len(w.records) >= lookAhead || w.circuit.blocks(w.running, now)
}

// start sends what may be sent now, in the order of the queue. Beyond the
// concurrency, critical alerts alone: others that hang do not delay them.
func (w *Worker) start(ctx context.Context, now time.Time) {
	for !w.full(now) {
		a := w.next(now)
		if a == nil {
			return
		}
		w.running++
		for _, l := range a.lanes {
			if l.attempts > 0 {
				w.metrics.retries.Inc()
			}
		}
		w.logGrouped(a)
		go func() {
			a.send(ctx, w)
			w.sent <- a
		}()
	}
}

// next returns what is sent next, nil if there is nothing. Dropped alerts on the
// way there are recorded.
func (w *Worker) next(now time.Time) *attempt {
	decide := w.queue.Next
	doubts := now.Before(w.paused)
	probe := !doubts && w.circuit.open && w.circuit.mayProbe(w.running, now)
	switch {
	case doubts:
		decide = w.queue.ProbeUrgent
	case probe:
		decide = w.queue.Probe
	case w.circuit.open && w.running < w.config.Concurrency:
		decide = w.queue.ProbeGrave
	case w.circuit.open:
		decide = w.queue.ProbeUrgent
	case w.running >= w.config.Concurrency:
		decide = w.queue.NextUrgent
	}
	for {
		action, err := decide(now)
		switch {
		case err != nil:
			w.misread(err, now, w.lanes[action.Items[0].Lane])
		case action.Verb == route.Hold:
			w.holdUntil = action.Until
			return nil
		case action.Verb == route.Drop:
			w.drop(action.Items[0], action.Reason, now)
		default:
			a := w.attempt(action, now)
			if a.doubts = doubts; doubts {
				w.doubted = now.Add(believed)
			}
			if a.probe = probe; w.circuit.open && (!probe || a.urgent) {
				w.circuit.grave = now.Add(graveEvery)
			}
			return a
		}
	}
}

// drop records that an alert is not sent, and why.
func (w *Worker) drop(it route.Item, why route.Reason, now time.Time) {
	l := w.lanes[it.Lane]
	if it.Muted {
		l.unmute(now)
	}
	number := l.queue[0].Number
	switch why {
	case route.Handled:
		w.pop(l)
		w.evict(l)
	case route.ClosedByPerson:
		w.logSkipped(why, it, route.WhyClosedByPerson)
		w.finish(l, record{result: outbox.Result{Number: number, Outcome: outbox.ClosedByPerson, Ref: l.ref, Why: route.WhyClosedByPerson}})
	case route.Superseded:
		w.metrics.superseded.Inc()
		w.logSkipped(why, it, route.WhySuperseded)
		w.finish(l, record{result: w.knows(l, it.Decision.To, outbox.Result{Number: number, Outcome: outbox.Superseded, Why: route.WhySuperseded})})
	default:
		w.metrics.suppressed.Inc()
		w.logSkipped(why, it, it.Decision.Why)
		w.finish(l, record{result: outbox.Result{Number: number, Outcome: outbox.Suppressed, Why: it.Decision.Why}})
	}
}

// lookEvery bounds how long a worker waits, so that it notices a clock that was set or
// a machine that slept: timers follow neither, and mute times end by the clock.
const lookEvery = time.Minute

// wait returns for how long nothing happens without an event.
func (w *Worker) wait(now time.Time) time.Duration {
	until := now.Add(lookEvery)
	sooner := func(t time.Time) {
		if t.After(now) && t.Before(until) {
			until = t
		}
	}
	if sooner(w.paused); now.Before(w.paused) {
		sooner(w.doubted)
	}
	sooner(w.again)
	sooner(w.holdUntil)
	if len(w.records) > 0 && w.writing == nil {
		sooner(w.recordDue)
	}
	if w.circuit.open {
		sooner(w.circuit.next)
		sooner(w.circuit.grave)
	}
	return until.Sub(now)
}

// settle publishes what follows from the state of the queue. A sink with nothing
// pending gets all its alerts, however its last attempts ended.
func (w *Worker) settle() {
	w.metrics.muted.Set(float64(w.queue.Muted()))
	if w.queue.Len() > 0 || w.running > 0 || w.more || w.failures == 0 && !w.circuit.open {
		return
	}
	w.failures, w.sendErr, w.circuit = 0, nil, circuit{}
	w.publish()
}

// drain waits for the sends that are running, and records their ends.
func (w *Worker) drain(cancel context.CancelFunc) {
	deadline := time.After(w.drainTime)
	for w.running > 0 {
		select {
		case a := <-w.sent:
			w.end(a)
		case err := <-w.written:
			w.endWrite(err)
		case <-deadline:
			w.log.Warn("sends were cut off by the shutdown timeout; the next start sends them again", "sends", w.running)
			w.cut = true
			cancel()
		}
	}
	for range 2 { // the records being written, and those after them
		if w.writing != nil {
			w.endWrite(<-w.written)
		}
		w.recordDue, w.again = time.Time{}, time.Time{} // a write that failed a moment ago may succeed
		w.write(time.Now())
	}
	if w.writing != nil {
		w.endWrite(<-w.written)
	}
	if w.ended > 0 {
		w.log.Warn("deliveries could not be recorded; the next start sends these alerts again", "alerts", w.ended)
	}
}
