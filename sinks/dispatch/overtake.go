package dispatch

import (
	"slices"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/sinks"
)

// overtake passes over what is at the head of the line if the end of its
// exposure waits behind it and makes it old news to people: an escalation, and
// whatever else is not critical. So does a later escalation with an earlier one.
// What may have arrived already is sent again all the same: nobody could end at
// the channel what it is thought not to know. It reports whether it passed over
// anything.
func (w *Worker) overtake(l *line) bool {
	if !w.config.People {
		return false
	}
	head := l.queue[0]
	waits := func(s exposure.Step) bool {
		return slices.ContainsFunc(l.queue[1:], func(p journal.Pending) bool { return p.Step == s })
	}
	old := head.Step == exposure.Escalated ||
		head.Step != "" && head.Step != exposure.Resolved && head.Severity != exposure.Critical && !l.perhaps
	if (!old || !waits(exposure.Resolved)) && (head.Step != exposure.Escalated || !waits(exposure.Escalated)) {
		return false
	}
	w.metrics.overtaken.Inc()
	w.finish(l, note{result: w.knows(l, journal.Result{Number: head.Number, Outcome: journal.Superseded})})
	return true
}

// stoppedAt reports whether the head of the line is not to be told, since the
// exposure was superseded.
func (w *Worker) stoppedAt(l *line) bool {
	head := l.queue[0]
	stopped, known := w.stopped[l.name]
	if !known {
		stopped = head.Stopped
	}
	return stopped && !sinks.AlwaysDelivered(head.Step, head.Severity)
}
