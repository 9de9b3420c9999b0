package sinks

import (
	"slices"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal"
)

// overtake passes over what is at the head of the line if the end of its
// exposure waits behind it and makes it old news to people: an escalation, and
// whatever else is not critical. So does a later escalation with an earlier one.
// What may have arrived already is sent again all the same: nobody could end at
// the channel what it is thought not to know. It reports whether it passed over
// anything.
func (w *worker) overtake(l *line) bool {
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

// insistent reports whether a step is told although somebody ended the exposure
// at the channel: it began, or began again; somebody came in; or an intruder's
// work goes on.
func insistent(step exposure.Step, severity exposure.Severity) bool {
	switch step {
	case exposure.Opened, exposure.Exploited, exposure.Campaign: // which has grown, or is open again
		return true
	case exposure.Updated:
		return severity == exposure.Critical
	}
	return false
}

// stoppedAt reports whether the head of the line is not to be told, since the
// exposure was superseded.
func (w *worker) stoppedAt(l *line) bool {
	head := l.queue[0]
	stopped, known := w.stopped[l.name]
	if !known {
		stopped = head.Stopped
	}
	return stopped && !insistent(head.Step, head.Severity)
}
