package sinks

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/journal"
)

// An attempt is one send, from its begin to its end.
type attempt struct {
	line   *line
	number uint64
	ref    string
	hasRef bool // ref is newer than the journal's
	began  time.Time

	alert  *processor.Alert // nil if the journal could not give it
	newRef string
	err    error
}

// send loads the alert and sends it. It runs in a goroutine of its own and
// touches of w only what never changes.
func (a *attempt) send(ctx context.Context, w *worker) {
	alert, ref, err := w.store.Load(w.name, a.number)
	if err != nil {
		a.err = err
		return
	}
	a.alert = alert
	if a.hasRef {
		ref = a.ref
	}
	ctx, cancel := context.WithTimeoutCause(ctx, w.options.Timeout, fmt.Errorf("no answer within %s", w.options.Timeout))
	defer cancel()
	defer func() {
		if r := recover(); r != nil {
			a.err = fmt.Errorf("the sink panicked: %v\n%s", r, debug.Stack())
		}
	}()
	a.newRef, a.err = w.sink.Send(ctx, alert, ref)
}

// end acts on the verdict of an attempt.
func (w *worker) end(a attempt) {
	now := time.Now()
	l := a.line
	l.running = false
	w.running--
	if a.alert == nil {
		w.noteJournal(a.err)
		w.rest(l, now.Add(w.backoff(w.failures)))
		return
	}
	v, after := judge(a.err)
	w.metrics.sent(v, now.Sub(a.began))
	if v == told {
		w.succeeded()
		w.metrics.delivered.Observe(now.Sub(a.alert.Time).Seconds())
		l.ref, l.hasRef = a.newRef, true
		w.finish(l, note{result: journal.Result{Number: a.number, Ref: a.newRef}})
		return
	}

	l.attempts++
	if v == permanent || v == retry && now.Sub(l.first) >= w.options.MaxAge {
		w.log.Error("the alert was not told and is kept as a dead letter", "alert", a.alert.ID, "title", a.alert.Title,
			"attempts", l.attempts, "first", l.first, "err", a.err)
		w.finish(l, note{dead: &journal.DeadLetter{
			Number: a.number, Cause: a.err.Error(), Attempts: l.attempts, First: l.first.UTC(), Last: now.UTC(),
		}})
		return
	}
	wait := w.backoff(l.attempts - 1)
	if v == throttled {
		if after > 0 {
			wait = after
		}
		w.paused = now.Add(wait)
	}
	w.failed(a.err, a.alert, l.attempts, wait)
	w.rest(l, now.Add(wait))
}

// rest puts the line back until its head is due.
func (w *worker) rest(l *line, due time.Time) {
	l.due = due
	w.resting.add(l)
}

// finish is done with the head of the line, and lets the next step up.
func (w *worker) finish(l *line, n note) {
	n.line, n.at = l, time.Now()
	w.notes = append(w.notes, n)
	l.unnoted++
	l.queue = l.queue[1:]
	l.attempts, l.due = 0, time.Time{}
	w.known--
	if len(l.queue) > 0 {
		w.ready.add(l)
	}
}

// backoff is the wait after n attempts before the last: exponential, capped,
// and anywhere below that, so that many who failed at once do not come back at
// once.
func (w *worker) backoff(n int) time.Duration {
	limit := w.options.MinBackoff
	for ; n > 0 && limit < w.options.MaxBackoff; n-- {
		limit *= 2
	}
	return 1 + rand.N(max(1, min(limit, w.options.MaxBackoff)))
}

func (w *worker) succeeded() {
	if w.sendErr != nil {
		w.log.Info("sending works again")
	}
	w.failures, w.sendErr = 0, nil
	w.tellReady()
}

// failed logs a failure when it is another one than the last.
func (w *worker) failed(err error, a *processor.Alert, attempts int, wait time.Duration) {
	w.failures++
	if w.sendErr == nil || w.sendErr.Error() != err.Error() {
		w.log.Warn("sending failed; it is tried again", "alert", a.ID, "attempts", attempts, "wait", wait, "err", err)
	}
	w.sendErr = err
	w.tellReady()
}

// tellReady publishes why the sink is not ready.
func (w *worker) tellReady() {
	switch {
	case w.journalErr != nil:
		w.err.Store(&w.journalErr)
	case w.failures >= unwellAfter:
		err := fmt.Errorf("the last %d attempts failed (they are made again): %w", w.failures, w.sendErr)
		w.err.Store(&err)
	default:
		w.err.Store(nil)
	}
}
