package route

import (
	"slices"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// Done reports the end of a send: n alerts of the lane were delivered. From then on
// the sink knows the exposure.
func (q *Queue) Done(name string, n int) { q.end(q.lanes[name], n, true, false) }

// GiveUp reports that the head of the lane became a dead letter. The sink is sent
// the rest of the exposure as if it knew it.
func (q *Queue) GiveUp(name string) {
	l := q.lanes[name]
	q.end(l, 1, true, l.Closed)
}

// Retry reports a failed send, or an alert that could not be read: the head of the
// lane is sent again at due, or now if a critical alert was added during the send.
// With alone set, it then shares no message.
func (q *Queue) Retry(name string, due time.Time, maybeDelivered, alone bool) {
	l := q.lanes[name]
	l.attempts++
	now := l.sending && l.fresh == level(exposure.Critical)
	l.sending, l.MaybeDelivered, l.alone = false, l.MaybeDelivered || maybeDelivered, l.alone || alone
	l.due, l.alert, l.waited = due, nil, false
	q.remove(l)
	if l.window != nil {
		l.leave()
	}
	if now {
		q.enqueue(l)
		return
	}
	q.waiting.add(l)
}

// Close reports that a person had closed the exposure at the channel: its head is
// done, and from then on only alerts that must be delivered are.
func (q *Queue) Close(name string) { q.end(q.lanes[name], 1, false, true) }

func (q *Queue) end(l *lane, n int, known, closed bool) {
	if known && !l.Queue[0].Step.Alone() {
		l.Known = Knowledge{Known: true, To: l.decision.To}
	}
	l.sending, l.Closed = false, closed
	for range n {
		q.pop(l)
	}
	q.settle(l)
}

// Restored reports that the channel answers again: failed sends are retried now,
// except those of lanes that keep their due time.
func (q *Queue) Restored(keeps func(lane string) bool) {
	for _, p := range slices.Clone(q.waiting.list) {
		if !p.lane.muted && !keeps(p.lane.name) {
			q.enqueue(p.lane)
		}
	}
}
