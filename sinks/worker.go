package sinks

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/mfawatch/mfawatch/processor/journal"
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

// A worker tells one sink. Its fields belong to the goroutine of run, but for
// those that say otherwise.
type worker struct {
	name    string
	sink    Sink
	store   store
	log     *slog.Logger
	metrics *sinkMetrics
	options Options

	lines   map[string]*line
	ready   lineHeap  // may be sent
	resting lineHeap  // wait for their next attempt
	known   int       // alerts in lines
	after   uint64    // the newest alert that was ever in lines
	more    bool      // the journal may hold more after it
	running int       // sends
	paused  time.Time // nothing is to be sent before

	sent  chan attempt
	notes []note     // for the journal
	busy  []note     // being journalled; nil if nothing is
	noted chan error // the end of that
	again time.Time  // the journal is not to be tried before

	failures   int   // attempts in a row
	sendErr    error // logged last; nil once a send succeeded
	journalErr error // logged last; nil once the journal was written

	err atomic.Pointer[error] // why the sink is not ready; read by anyone
}

func newWorker(name string, s Sink, j store, m *metrics, o Options) *worker {
	if p, ok := s.(parallel); ok {
		o.Parallel = p.Parallel()
	}
	return &worker{
		name: name, sink: s, store: j, metrics: m.sink(name), options: o,
		log:     o.Logger.With("sink", name),
		lines:   map[string]*line{},
		ready:   lineHeap{less: byTurn},
		resting: lineHeap{less: byDue},
		sent:    make(chan attempt, o.Parallel),
		noted:   make(chan error, 1),
	}
}

// run sends until ctx is done, then drains.
func (w *worker) run(ctx context.Context) error {
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
func (w *worker) look(now time.Time) error {
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
			l = &line{name: p.Line}
			w.lines[p.Line] = l
		}
		l.queue = append(l.queue, p)
		if len(l.queue) == 1 && !l.running {
			w.ready.add(l)
		}
	}
	return nil
}

// full reports whether nothing more may be begun.
func (w *worker) full(now time.Time) bool {
	return w.running >= w.options.Parallel || now.Before(w.paused) || len(w.notes) >= lookAhead
}

// idle reports whether a send could be begun if there were an alert for it.
func (w *worker) idle(now time.Time) bool {
	return !w.full(now) && w.ready.empty() && w.known < maxKnown && !now.Before(w.again)
}

// begin sends what may be sent now, the oldest first.
func (w *worker) begin(ctx context.Context, now time.Time) {
	for !w.resting.empty() && !w.resting.first().due.After(now) {
		w.ready.add(w.resting.take())
	}
	for !w.full(now) && !w.ready.empty() {
		l := w.ready.take()
		if l.attempts == 0 {
			l.first = now
		}
		l.running = true
		w.running++
		a := attempt{line: l, number: l.queue[0].Number, ref: l.ref, hasRef: l.hasRef, began: now}
		go func() {
			a.send(ctx, w)
			w.sent <- a
		}()
	}
}

// wait is how long nothing will happen by itself.
func (w *worker) wait(now time.Time) time.Duration {
	until := now.Add(time.Hour)
	sooner := func(t time.Time) {
		if t.After(now) && t.Before(until) {
			until = t
		}
	}
	sooner(w.paused)
	sooner(w.again)
	sooner(w.groupDue())
	if !w.resting.empty() {
		sooner(w.resting.first().due)
	}
	return until.Sub(now)
}

// drain waits for the sends that are running, and journals what they came to.
func (w *worker) drain(cancel context.CancelFunc) {
	deadline := time.NewTimer(w.options.Drain)
	defer deadline.Stop()
	for w.running > 0 {
		select {
		case a := <-w.sent:
			w.end(a)
		case err := <-w.noted:
			w.endNote(err)
		case <-deadline.C:
			w.log.Warn("sends were cut off by the end of the drain time; they are made again by the next start", "sends", w.running)
			cancel()
		}
	}
	for range 2 { // what is being journalled, and what is left after it
		if w.busy != nil {
			w.endNote(<-w.noted)
		}
		w.note(time.Now())
	}
	if w.busy != nil {
		w.endNote(<-w.noted)
	}
	if len(w.notes) > 0 {
		w.log.Warn("alerts that were told could not be noted as such; they are told again by the next start", "alerts", len(w.notes))
	}
}
