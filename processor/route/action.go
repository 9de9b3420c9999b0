package route

import (
	"slices"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// Action names the caller's next step.
type Action struct {
	Verb   Verb
	Until  time.Time // Hold: call Next again then; zero: after the next call of another method
	Items  []Item    // Send: the alerts of one send; Drop: one
	Group  string    // Send: the key of a grouped message; "" if each alert has a message of its own
	Reason Reason    // Drop
}

// Item is one alert of an Action.
type Item struct {
	Lane     string
	Pending  Pending
	Decision Decision
	Alert    *exposure.Alert // nil if it was not decided on by itself
	Muted    bool            // it waited for the end of mute times, which is no delay of the sink
	Held     time.Time       // the end of the group window that it waited for, which is none either; zero: none
	// MaybeDelivered reports that an attempt at it may have arrived.
	MaybeDelivered bool
}

// send sends the head of the lane, with further alerts in turn if the sink takes
// several.
func (q *Queue) send(l *lane, now time.Time) Action {
	a := Action{Verb: Send}
	limit := max(1, q.sink.Batch)
	if q.limiter != nil && limit > 1 {
		limit = min(limit, max(1, int(q.limiter.TokensAt(now))))
	}
	if l.alone {
		limit = 1
	}
	lanes := []*lane{l}
	a.next(q, l)
	for len(a.Items) < limit && q.ready.Len() > 0 && !q.ready.first().alone {
		if l = q.ready.first(); !l.sending {
			b, ok, err := q.decide(l, now)
			if b.Verb == Drop { // comes before the batch, which is then put together again
				for _, l := range lanes {
					l.sending, l.taken = false, 0
					q.enqueue(l)
				}
				return b
			}
			if err != nil || ok && !slices.Equal(l.decision.To, lanes[0].decision.To) {
				break // the next call deals with it
			}
			if !ok {
				continue
			}
			lanes = append(lanes, l)
		}
		a.next(q, l)
	}
	for _, l := range lanes {
		q.remove(l)
		l.taken = 0
	}
	q.charge(a, now)
	return a
}

// next adds one alert of a lane that is in turn, and puts the lane where its next
// alert belongs.
func (a *Action) next(q *Queue, l *lane) {
	a.add(l, 1)
	if l.taken == len(l.Queue) {
		q.remove(l)
	} else {
		q.ready.fix(l)
	}
}

// add adds up to limit alerts of the lane that were not taken yet.
func (a *Action) add(l *lane, limit int) {
	l.sending, l.fresh = true, 0
	for _, p := range l.Queue[l.taken:min(len(l.Queue), l.taken+limit)] {
		it := Item{Lane: l.name, Pending: p, Decision: l.decision}
		if l.taken == 0 {
			it.Alert, it.Muted, it.MaybeDelivered = l.alert, l.waited, l.MaybeDelivered
			l.alert = nil
		}
		l.taken++
		a.Items = append(a.Items, it)
	}
}

// charge takes the send from the rate: a message counts once, critical alerts
// not at all.
func (q *Queue) charge(a Action, now time.Time) {
	if q.limiter == nil || a.Verb != Send {
		return
	}
	n := 0
	for _, it := range a.Items {
		if it.Pending.Severity != exposure.Critical {
			n++
		}
	}
	if a.Group != "" {
		n = min(n, 1)
	}
	q.limiter.AllowN(now, n)
}
