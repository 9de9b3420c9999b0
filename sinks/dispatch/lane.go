package dispatch

import (
	"slices"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/processor/route"
)

// sickAfter is how often an alert fails by itself before it gives way to a critical
// alert behind it.
const sickAfter = 3

// A lane is the worker's memory of one exposure: its alerts that the sink is
// not done with, in the order of the journal, and the sink's knowledge of it.
// The queue decides on their order.
type lane struct {
	name  string
	queue []outbox.Pending
	last  uint64 // the newest alert that was in the queue

	attempts int       // at the head of the queue
	first    time.Time // attempt at it
	misread  int       // times that the journal could not read it
	failedAt int       // deliveries to its recipients when it failed last, and 1; 0: it did not
	sick     int       // failures that others were delivered before, since the one before: it fails by itself
	withheld bool      // it is sent without the text of its record
	held     time.Time // it waits for the end of mute times then, and that is recorded

	sending    int             // alerts in the attempt that runs
	ref        string          // what the sink returned last, which the journal may not have yet
	hasRef     bool            // it did
	known      route.Knowledge // what the sink knows
	closed     bool            // a person closed the exposure at the channel
	unrecorded int             // alerts whose end the journal does not have yet
}

// unmute starts the time of the alerts over that waited for the end of mute times:
// the recipients asked for that wait, and no alert becomes a dead letter for it.
func (l *lane) unmute(now time.Time) {
	for i := range l.queue {
		l.queue[i].Since = now
	}
	l.first = time.Time{}
}

// ungroup starts the time of the next alert over at the end of the group window that
// it waited for, zero for none: only the time after it is a delay of the sink.
func (l *lane) ungroup(ended time.Time) {
	if next := &l.queue[l.sending]; l.attempts == 0 && next.Since.Before(ended) {
		next.Since = ended
	}
}

// blocks reports whether the head fails by itself, over and over, while a critical
// alert waits behind it.
func (l *lane) blocks() bool {
	return l.sick >= sickAfter && slices.ContainsFunc(l.queue[1:], critical)
}

func critical(p outbox.Pending) bool { return p.Severity == exposure.Critical }

// pop removes the head of the lane.
func (w *Worker) pop(l *lane) {
	l.queue = l.queue[1:]
	l.attempts, l.first, l.misread, l.held, l.failedAt, l.sick, l.withheld = 0, time.Time{}, 0, time.Time{}, 0, 0, false
	if len(l.queue) > 0 {
		l.attempts, l.first = l.queue[0].Attempts, l.queue[0].First
	}
	w.known--
}

// finish records the end of the head of the lane.
func (w *Worker) finish(l *lane, r record) {
	r.lane, r.since = l, l.queue[0].Since
	l.unrecorded++
	w.pop(l)
	w.add(r)
}

// evict removes a lane that has nothing to be sent and nothing to be recorded.
func (w *Worker) evict(l *lane) {
	if len(l.queue) == 0 && l.unrecorded == 0 {
		delete(w.lanes, l.name)
	}
}

// knows adds to a result for the head of the lane that the sink knows the
// exposure through these recipients, so that its later alerts follow. A denied
// call is no exposure.
func (w *Worker) knows(l *lane, to []string, r outbox.Result) outbox.Result {
	if l.queue[0].Step.Alone() {
		return r
	}
	l.known = route.Knowledge{Known: true, To: to}
	r.To = to
	return r
}
