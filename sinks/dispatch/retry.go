package dispatch

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/sinks"
)

// retryAll retries the lanes of an attempt at due.
func (w *Worker) retryAll(a *attempt, due time.Time) {
	for _, l := range a.lanes {
		w.queue.Retry(l.name, due, false, a.alone(l))
	}
}

// alone reports whether a lane of a failed attempt shares no message the next time: it
// has a place of its own, or was in one that failed before, for a text of another, too.
func (a *attempt) alone(l *lane) bool {
	v, _ := sinks.VerdictOf(a.err)
	return l.ref != "" || a.group != "" && l.attempts > 1 && v != sinks.VerdictThrottled
}

// believed is how long a channel that throttles is sent nothing. After that it is
// tried with critical alerts that were not attempted yet, one in that time: it may have
// refused a text or a ticket alone, which its answer does not say.
const believed = time.Minute

// pause starts no send for as long as the channel asked, except for doubts about that
// (see believed). Sends that are running are not stopped. An alert that was told so over
// and over lets others go first.
func (w *Worker) pause(a *attempt, after time.Duration, now time.Time) {
	attempts := a.items[0].lane.attempts
	wait := after
	if wait <= 0 {
		wait = w.backoff(attempts)
	}
	if until := now.Add(wait); until.After(w.paused) {
		w.metrics.throttled.Add(until.Sub(later(w.paused, now)).Seconds())
		w.paused = until
	}
	w.doubted = now.Add(believed)
	w.failed(a, wait)
	for _, it := range a.heads() {
		w.count(it, a, now, time.Time{})
	}
	if attempts >= sickAfter {
		wait += w.backoff(attempts)
	}
	w.retryAll(a, now.Add(wait))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// misconfigured opens the circuit, except for recipients that a route chose: they
// say nothing of others.
func (w *Worker) misconfigured(a *attempt, now time.Time) {
	due := now
	w.failed(a, w.config.Retry.Max)
	if len(a.items[0].to) > 0 {
		if a.sinkErr == nil { // else it was not asked
			w.answered()
		}
		due = now.Add(w.config.Retry.Max)
	} else if w.circuit.refuse(a, now, w.correction) {
		w.log.Error("the sink is misconfigured: correct it; until then one alert is tried now and then", "every", w.config.Retry.Max, "err", a.err)
	}
	for _, it := range a.heads() {
		w.count(it, a, now, time.Time{})
	}
	w.retryAll(a, due)
	w.publish()
}

// retry backs off the heads of the lanes, for after at least, or gives them up: for their age, or since
// they fail by themselves in the way of a critical alert. A human sink is sent an
// alert without its text before, and one that fails by itself where the channel
// refuses it each time, or for as long as the last backoff: a channel that fails now
// and then says nothing of the text.
func (w *Worker) retry(a *attempt, ambiguous bool, after time.Duration, now time.Time) {
	if w.cut {
		return // by ourselves: that says nothing of the channel
	}
	wait := max(after, w.backoff(a.lanes[0].attempts))
	w.failed(a, wait)
	if w.circuit.fail(a, now, w.backoff) {
		w.log.Warn("the channel is down: one alert is tried at a time, with a wait before each", "err", a.err)
		w.publish()
	}
	v, _ := sinks.VerdictOf(a.err)
	for _, it := range a.heads() {
		l, first, age := it.lane, it.lane.first, now.Sub(it.lane.first)
		if first.IsZero() {
			first, age = a.started, 0
		}
		ends := age >= w.config.Retry.Age || l.blocks()
		stopped := l.sick >= sickAfter && (ends || v == sinks.VerdictMisconfigured || age >= w.config.Retry.Max)
		switch {
		case stopped && w.withhold(it, a.err):
			w.count(it, a, now, first)
			w.queue.Retry(l.name, now, ambiguous, true)
		case ends:
			w.bury(it, a, now)
		default:
			w.count(it, a, now, first)
			w.queue.Retry(l.name, now.Add(wait), ambiguous, a.alone(l))
			wait = max(after, w.backoff(l.attempts-1))
		}
	}
}

// diagnose notes whether the alert of an attempt fails by itself: others were
// delivered to its recipients since it failed before. It then says nothing of the
// channel, whatever the channel answers to it.
func (w *Worker) diagnose(a *attempt) {
	if len(a.lanes) > 1 || a.sinkErr != nil {
		return
	}
	l, delivered := a.lanes[0], w.deliveries[a.recipients()]
	if l.failedAt > 0 && delivered >= l.failedAt {
		l.sick++
	}
	l.failedAt = delivered + 1
}

// count records, over restarts too, that the head of a lane failed, and since
// when. That begins again where the channel asked to wait or is misconfigured: no
// alert becomes a dead letter for either.
func (w *Worker) count(it item, a *attempt, now, first time.Time) {
	l := it.lane
	l.attempts++
	l.first = first
	w.add(record{failure: &outbox.Failure{Number: it.pending.Number, Attempts: l.attempts, First: first, Last: now, Why: a.err.Error()}})
}

// backoff returns the wait after n attempts before the last: a random time up to a
// bound that doubles with n, so that sends that failed together are not retried
// together. It has no lower bound.
func (w *Worker) backoff(n int) time.Duration {
	limit := w.config.Retry.Min
	for ; n > 0 && limit < w.config.Retry.Max; n-- {
		limit *= 2
	}
	return 1 + rand.N(max(1, min(limit, w.config.Retry.Max)))
}

// correction returns the wait before probe number n of a sink that is misconfigured,
// which is the last backoff. A sink that was sent alerts before may have refused a text
// alone, so the first probes are made sooner.
func (w *Worker) correction(n int) time.Duration {
	if w.deliveries[""] == 0 {
		return w.config.Retry.Max
	}
	wait := w.config.Retry.Min
	for ; n > 0 && wait < w.config.Retry.Max; n-- {
		wait *= 2
	}
	return min(wait, w.config.Retry.Max)
}

// answered closes the circuit: lanes that backed off while the channel was down are
// tried now.
func (w *Worker) answered() {
	if !w.circuit.answer() {
		return
	}
	w.log.Info("the channel answers again")
	w.publish()
	w.queue.Restored(func(name string) bool { return w.lanes[name].sick > 0 })
}

// failed logs a failure when it is another one than the last.
func (w *Worker) failed(a *attempt, wait time.Duration) {
	w.failures++
	if w.sendErr == nil || w.sendErr.Error() != a.err.Error() {
		it := a.items[0]
		w.log.Warn("sending failed; it is retried", "alert", it.alert.ID, "attempts", it.lane.attempts+1, "wait", wait, "err", a.err)
	}
	w.sendErr = a.err
	w.publish()
}

// publish publishes why the sink is not ready, and the state of the circuit.
func (w *Worker) publish() {
	var err error
	switch {
	case w.journalErr != nil:
		err = w.journalErr
	case w.circuit.open && w.circuit.wrong:
		err = fmt.Errorf("misconfigured (correct it; until then one alert is tried every %s): %w", w.config.Retry.Max, w.circuit.cause)
	case w.circuit.open:
		err = fmt.Errorf("down (tried with one alert at a time): %w", w.circuit.cause)
	case w.failures >= unwellAfter:
		err = fmt.Errorf("the last %d attempts failed (they are retried): %w", w.failures, w.sendErr)
	}
	w.metrics.circuit(w.circuit.open)
	if err == nil {
		w.err.Store(nil)
		return
	}
	w.err.Store(&err)
}
