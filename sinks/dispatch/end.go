package dispatch

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/sinks"
)

// end acts on the verdict of an attempt.
func (w *Worker) end(a *attempt) {
	now := time.Now()
	w.running--
	for _, l := range a.lines {
		l.running = false
	}
	if a.unread {
		w.noteJournal(a.err)
		for _, l := range a.lines {
			w.rest(l, now.Add(w.backoff(0)))
		}
		return
	}
	for _, it := range a.gone {
		w.skip(it.line)
	}
	if len(a.items) == 0 {
		for _, l := range a.lines {
			w.offer(l)
		}
		return
	}
	v, after := sinks.VerdictOf(a.err)
	w.metrics.sent(v, len(a.items), now.Sub(a.began))
	if v != sinks.VerdictTold {
		w.keepRef(a)
	}
	switch v {
	case sinks.VerdictTold:
		w.tellDone(a, now)
	case sinks.VerdictPermanent, sinks.VerdictSuperseded:
		w.answered()
		if len(a.items) > 1 {
			for _, it := range a.items {
				w.alone[it.pending.Number] = true
			}
		} else if v == sinks.VerdictPermanent {
			w.bury(a.items[0], a, now)
		} else {
			w.log.Info("the exposure was ended at the channel, which is told no more of it but what is critical", "alert", a.items[0].alert.ID, "err", a.err)
			l := a.lines[0]
			w.stopped[l.name] = true
			w.finish(l, note{result: journal.Result{Number: l.queue[0].Number, Outcome: journal.ClosedByPerson, Ref: l.ref}})
		}
	case sinks.VerdictThrottled:
		w.answered()
		w.leaveAlone(a, after, now)
		return
	case sinks.VerdictMisconfigured:
		w.failed(a, w.config.Retry.Max)
		if len(a.items[0].to) > 0 { // which says nothing of other recipients
			w.answered()
			for _, it := range a.heads() {
				w.count(it, time.Time{})
			}
			for _, l := range a.lines {
				w.rest(l, now.Add(w.config.Retry.Max))
			}
			return
		}
		if w.circuit.refuse(a.err, now.Add(w.config.Retry.Max)) {
			w.log.Error("the sink is misconfigured: it is sent nothing until that is set right, but for an alert now and then to see",
				"every", w.config.Retry.Max, "err", a.err)
		}
		for _, it := range a.heads() {
			w.count(it, time.Time{})
		}
		w.tellReady()
	default:
		w.retry(a, now)
		return
	}
	for _, l := range a.lines {
		w.offer(l)
	}
}

// heads are the items that are the heads of their lines: the one of each line
// that the attempt counts for.
func (a *attempt) heads() (heads []item) {
	for _, it := range a.items {
		if it.pending.Number == it.line.queue[0].Number {
			heads = append(heads, it)
		}
	}
	return heads
}

// tellDone is done with the items of an attempt that succeeded.
func (w *Worker) tellDone(a *attempt, now time.Time) {
	w.answered()
	w.failures = 0
	if w.sendErr != nil {
		w.sendErr = nil
		w.log.Info("sending works again")
	}
	w.tellReady()
	for _, it := range a.items {
		w.metrics.delivered.Observe(now.Sub(it.alert.Time).Seconds())
		ref := it.ref
		if len(a.items) == 1 {
			ref = a.newRef
		}
		it.line.ref, it.line.hasRef = ref, true
		if w.stopped[it.line.name] || it.pending.Stopped {
			w.stopped[it.line.name] = false // it goes on
		}
		if it.line.all {
			w.metrics.untaken.Inc()
		}
		w.finish(it.line, note{result: w.knows(it.line, journal.Result{Number: it.pending.Number, Ref: ref})})
	}
}

// keepRef keeps the reference that came beside an error: how far the channel
// got. The next attempt goes on from there.
func (w *Worker) keepRef(a *attempt) {
	if len(a.items) != 1 || a.newRef == "" || a.newRef == a.items[0].ref {
		return
	}
	it := a.items[0]
	it.line.ref, it.line.hasRef = a.newRef, true
	w.addNote(note{result: w.knows(it.line, journal.Result{Number: it.pending.Number, Outcome: journal.Partial, Ref: a.newRef})})
}

// bury gives the alert of the item up.
func (w *Worker) bury(it item, a *attempt, now time.Time) {
	l := it.line
	l.attempts++
	first := l.first
	if first.IsZero() {
		first = a.began
	}
	w.log.Error("the alert was not told and is kept as a dead letter", "alert", it.alert.ID, "title", it.alert.Title,
		"attempts", l.attempts, "first", first, "err", a.err)
	w.finish(l, note{dead: &journal.DeadLetter{
		Number: it.pending.Number, Cause: a.err.Error(), Attempts: l.attempts, First: first.UTC(), Last: now.UTC(),
	}, result: w.knows(l, journal.Result{Number: it.pending.Number, Outcome: journal.Superseded})})
}

// leaveAlone leaves the channel alone for as long as it asked.
func (w *Worker) leaveAlone(a *attempt, after time.Duration, now time.Time) {
	wait := after
	if wait <= 0 {
		wait = w.backoff(a.items[0].line.attempts)
	}
	if until := now.Add(wait); until.After(w.paused) {
		w.metrics.throttled.Add(until.Sub(later(w.paused, now)).Seconds())
		w.paused = until
	}
	w.failed(a, wait)
	for _, it := range a.heads() {
		w.count(it, time.Time{})
	}
	for _, l := range a.lines {
		w.rest(l, now.Add(wait))
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// sinks.VerdictRetry lets the heads of the lines rest, or gives them up for their age.
func (w *Worker) retry(a *attempt, now time.Time) {
	if w.cut {
		return // by ourselves: that says nothing of the channel
	}
	wait := w.backoff(a.lines[0].attempts)
	w.failed(a, wait)
	if w.circuit.fail(a, now, w.backoff) {
		w.log.Warn("the channel is down: one alert is tried at a time, with a wait before each", "err", a.err)
		w.tellReady()
	}
	v, _ := sinks.VerdictOf(a.err)
	for _, it := range a.heads() {
		l := it.line
		l.perhaps = l.perhaps || v == sinks.VerdictAmbiguous
		if !l.first.IsZero() && now.Sub(l.first) >= w.config.Retry.Age {
			w.bury(it, a, now)
			continue
		}
		first := l.first
		if first.IsZero() {
			first = a.began
		}
		w.count(it, first)
	}
	for _, l := range a.lines {
		if l.attempts == 0 { // given up, or not sent
			w.offer(l)
			continue
		}
		w.rest(l, now.Add(wait))
		wait = w.backoff(l.attempts - 1)
	}
}

// count remembers, over restarts too, that the head of a line failed, and since
// when it does. That starts anew where the channel asked to wait or we are
// misconfigured: no alert is given up for either.
func (w *Worker) count(it item, first time.Time) {
	l := it.line
	l.attempts++
	l.first = first
	w.addNote(note{failure: &journal.Failure{Number: it.pending.Number, Attempts: l.attempts, First: first}})
}

// rest puts the line back until its head is due.
func (w *Worker) rest(l *line, due time.Time) {
	if len(l.queue) == 0 {
		w.forget(l)
		return
	}
	l.due = due
	w.resting.add(l)
}

// offer makes the head of the line ready to be sent. Of an exposure that was
// superseded only what is insistent is.
func (w *Worker) offer(l *line) {
	for len(l.queue) > 0 && w.stoppedAt(l) {
		w.finish(l, note{result: journal.Result{Number: l.queue[0].Number, Outcome: journal.ClosedByPerson, Ref: l.ref}})
	}
	if len(l.queue) > 0 {
		w.enter(l, time.Now())
	} else {
		w.forget(l)
	}
}

// forget drops a line that has nothing to be told and nothing to be noted.
func (w *Worker) forget(l *line) {
	if len(l.queue) == 0 && l.unnoted == 0 {
		delete(w.lines, l.name)
		delete(w.stopped, l.name)
	}
}

// finish is done with the head of the line, and lets the next step up.
func (w *Worker) finish(l *line, n note) {
	n.line, n.since = l, l.queue[0].Since
	l.unnoted++
	w.skip(l)
	w.addNote(n)
}

// skip lets the next of the line step up.
func (w *Worker) skip(l *line) {
	delete(w.alone, l.queue[0].Number)
	l.queue = l.queue[1:]
	l.attempts, l.first, l.due, l.perhaps = 0, time.Time{}, time.Time{}, false
	if len(l.queue) > 0 {
		l.attempts, l.first = l.queue[0].Attempts, l.queue[0].First
		l.perhaps = l.attempts > 0
	}
	w.known--
}

// backoff is the wait after n attempts before the last: exponential, capped,
// and anywhere below that, so that many who failed at once do not come back at
// once.
func (w *Worker) backoff(n int) time.Duration {
	limit := w.config.Retry.Min
	for ; n > 0 && limit < w.config.Retry.Max; n-- {
		limit *= 2
	}
	return 1 + rand.N(max(1, min(limit, w.config.Retry.Max)))
}

// answered closes the circuit: what rests since the channel was down is tried.
func (w *Worker) answered() {
	if !w.circuit.answer() {
		return
	}
	w.log.Info("the channel answers again")
	w.tellReady()
	rested := w.resting.lines
	w.resting.lines = nil
	for _, l := range rested {
		w.enter(l, time.Now())
	}
}

// failed logs a failure when it is another one than the last.
func (w *Worker) failed(a *attempt, wait time.Duration) {
	w.failures++
	if w.sendErr == nil || w.sendErr.Error() != a.err.Error() {
		it := a.items[0]
		w.log.Warn("sending failed; it is tried again", "alert", it.alert.ID, "attempts", it.line.attempts+1, "wait", wait, "err", a.err)
	}
	w.sendErr = a.err
	w.tellReady()
}

// tellReady publishes why the sink is not ready, and the state of the circuit.
func (w *Worker) tellReady() {
	var err error
	switch {
	case w.journalErr != nil:
		err = w.journalErr
	case w.circuit.open && w.circuit.wrong:
		err = fmt.Errorf("misconfigured (nothing is sent until that is set right, tried every %s): %w", w.config.Retry.Max, w.circuit.cause)
	case w.circuit.open:
		err = fmt.Errorf("down (tried with one alert at a time): %w", w.circuit.cause)
	case w.failures >= unwellAfter:
		err = fmt.Errorf("the last %d attempts failed (they are made again): %w", w.failures, w.sendErr)
	}
	w.metrics.circuit(w.circuit.open)
	if err == nil {
		w.err.Store(nil)
		return
	}
	w.err.Store(&err)
}
