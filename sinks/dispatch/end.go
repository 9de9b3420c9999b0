package dispatch

import (
	"slices"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/processor/route"
	"github.com/mfawatch/mfawatch/sinks"
)

// end acts on the verdict of an attempt. It reports one end for each of its lanes to
// the queue.
func (w *Worker) end(a *attempt) {
	now := time.Now()
	w.running--
	count := map[*lane]int{}
	for _, it := range a.items {
		count[it.lane]++
	}
	for _, l := range a.lanes {
		l.sending = 0
	}
	if a.unread {
		w.misread(a.err, now, a.lanes...)
		return
	}
	a.lanes = slices.DeleteFunc(a.lanes, func(l *lane) bool { // did not fit
		if count[l] == 0 {
			w.queue.Retry(l.name, now, false, false)
		}
		return count[l] == 0
	})
	if len(a.items) == 0 {
		return
	}
	v, after := sinks.VerdictOf(a.err)
	w.metrics.sent(v, len(a.items), now.Sub(a.started))
	if v != sinks.VerdictDelivered {
		w.keepRef(a)
	}
	switch v {
	case sinks.VerdictDelivered:
		w.delivered(a, count, now)
	case sinks.VerdictPermanent, sinks.VerdictClosedByPerson:
		w.answered()
		switch {
		case len(a.items) > 1: // each by itself, to find out which of them it is
			for _, l := range a.lanes {
				w.queue.Retry(l.name, now, false, true)
			}
		case v == sinks.VerdictPermanent && w.withhold(a.items[0], a.err):
			w.count(a.items[0], a, now, a.items[0].lane.first)
			w.queue.Retry(a.lanes[0].name, now, false, true)
		case v == sinks.VerdictPermanent:
			w.bury(a.items[0], a, now)
		default:
			w.close(a)
		}
	case sinks.VerdictThrottled:
		w.answered()
		if after > believed {
			w.diagnose(a)
		}
		if after > believed && a.lanes[0].sick > 0 {
			w.retry(a, false, after, now)
			return
		}
		w.pause(a, after, now)
	case sinks.VerdictMisconfigured:
		if w.diagnose(a); a.lanes[0].sick > 0 {
			w.retry(a, false, 0, now)
			return
		}
		w.misconfigured(a, now)
	default:
		w.diagnose(a)
		w.retry(a, v == sinks.VerdictAmbiguous, 0, now)
	}
}

// recipients identifies who the alerts of an attempt are for.
func (a *attempt) recipients() string { return strings.Join(a.items[0].to, "\x00") }

// heads returns the items that are the heads of their lanes. The attempt counts
// for these.
func (a *attempt) heads() (heads []item) {
	for _, it := range a.items {
		if it.pending.Number == it.lane.queue[0].Number {
			heads = append(heads, it)
		}
	}
	return heads
}

// delivered records the deliveries of an attempt that succeeded, with the number
// of its alerts in each lane.
func (w *Worker) delivered(a *attempt, count map[*lane]int, now time.Time) {
	w.answered()
	w.failures = 0
	w.deliveries[a.recipients()]++
	if a.doubts {
		w.paused = time.Time{} // it was about the alerts that were told so, which wait alone
	}
	if w.sendErr != nil {
		w.sendErr = nil
		w.log.Info("sending works again")
	}
	w.publish()
	for i, it := range a.items {
		w.metrics.delivered.Observe(now.Sub(it.alert.Time).Seconds())
		l, ref := it.lane, it.ref
		if len(a.items) == 1 {
			ref = a.newRef
		}
		l.ref, l.hasRef, l.closed = ref, true, false
		if it.unrouted {
			w.metrics.unrouted.Inc()
		}
		r := outbox.Result{Number: it.pending.Number, Ref: ref, Time: now, Attempts: 1, Why: it.why}
		if i == 0 || a.items[i-1].lane != l { // the attempts at the others were not at them
			r.Attempts += l.attempts
		}
		if s, ok := a.sink.(sinks.Receipter); ok && len(a.items) == 1 {
			r.Receipt = s.Receipt(ref)
		}
		w.logDelivered(a, it, r, now)
		w.finish(l, record{result: w.knows(l, it.to, r)})
	}
	for _, l := range a.lanes {
		w.queue.Done(l.name, count[l])
	}
}

// keepRef keeps the reference that came beside an error: how far the sink got.
// The next attempt continues from there.
func (w *Worker) keepRef(a *attempt) {
	if len(a.items) != 1 || a.newRef == "" || a.newRef == a.items[0].ref {
		return
	}
	it := a.items[0]
	it.lane.ref, it.lane.hasRef = a.newRef, true
	w.add(record{result: w.knows(it.lane, it.to, outbox.Result{Number: it.pending.Number, Outcome: outbox.Partial, Ref: a.newRef})})
}

// bury makes the alert of the item a dead letter.
func (w *Worker) bury(it item, a *attempt, now time.Time) {
	l := it.lane
	l.attempts++
	first := l.first
	if first.IsZero() {
		first = a.started
	}
	w.log.Error("the alert was not delivered and is kept as a dead letter", "alert", it.alert.ID, "title", it.alert.Title,
		"attempts", l.attempts, "first", first, "err", a.err)
	w.finish(l, record{result: w.knows(l, it.to, outbox.Result{Number: it.pending.Number, Outcome: outbox.Superseded}), dead: &outbox.DeadLetter{
		Number: it.pending.Number, Cause: a.err.Error(), Attempts: l.attempts, First: first.UTC(), Last: now.UTC(),
	}})
	w.queue.GiveUp(l.name)
}

// close ends an exposure that a person closed at the channel.
func (w *Worker) close(a *attempt) {
	w.log.Info("a person closed the exposure at the channel, which is sent no more of it except critical alerts", "alert", a.items[0].alert.ID, "err", a.err)
	l := a.lanes[0]
	l.closed = true
	w.finish(l, record{result: outbox.Result{Number: l.queue[0].Number, Outcome: outbox.ClosedByPerson, Ref: l.ref, Attempts: l.attempts + 1, Why: route.WhyClosedByPerson}})
	w.queue.Close(l.name)
}
