package route

import (
	"math"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// Queue decides what one sink is sent next. The alert of the highest severity
// goes first, then the oldest; within an exposure the order of the journal holds,
// so a lane has the severity of its worst alert. An exposure of many alerts lets
// others that are as severe go first after each 32. Critical alerts are neither
// grouped nor held by the rate. An exposure that the sink does not know yet may
// share a message with others; it leaves its group if it grows worse, and every
// later alert of it has a message of its own.
//
// Queue is a state machine without clock and I/O. It is not safe for concurrent
// use. The caller loops over Next: it sends, records a drop, or waits until Hold
// ends; Done, GiveUp, Retry and Close report the end of each send.
type Queue struct {
	sink    Sink
	lanes   map[string]*lane
	ready   lanes // to be decided, in turn
	waiting lanes // muted or to be retried, by due time
	muted   int
	asked   time.Time // when the queue was last asked
	limiter *rate.Limiter

	windows map[string]*window // group windows by key
	order   []*window          // by their end
	full    []*window          // with enough for a message
}

// lane is a Lane with its place in the Queue.
type lane struct {
	Lane
	name     string
	counts   [5]int // queued alerts by severity
	taken    int    // of the queue, for the action that is being put together
	attempts int    // failed, at the head
	served   int    // alerts that left the queue since it was empty
	due      time.Time
	sending  bool
	muted    bool
	waited   bool // the head was muted before
	alone    bool // not to be grouped
	fresh    int  // level of the worst alert that was added since the last attempt
	window   *window
	decision Decision        // of the head
	alert    *exposure.Alert // the head, until it is sent or grouped

	heap  *lanes // that it is in; nil: none
	index int
}

// NewQueue returns an empty queue.
func NewQueue(s Sink) *Queue {
	q := &Queue{sink: s, lanes: map[string]*lane{}, windows: map[string]*window{}}
	q.ready.key, q.waiting.key = byTurns.place, due
	q.sink.Group.Max = max(1, s.Group.Max)
	if q.limiter = s.Limiter; q.limiter == nil {
		q.limiter = NewLimiter(s.Rate)
	}
	return q
}

// maxBurst bounds the sends that a rate lets through at one time.
const maxBurst = 128

// NewLimiter returns the limiter of a rate in sends a second, nil for 0.
func NewLimiter(limit float64) *rate.Limiter {
	if limit <= 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(limit), int(max(1, math.Ceil(min(limit, maxBurst)))))
}

// Len returns the number of lanes with alerts.
func (q *Queue) Len() int { return len(q.lanes) }

// Muted returns the number of lanes that wait for the end of mute times.
func (q *Queue) Muted() int { return q.muted }

// Add appends an alert to the lane of that name. If the lane is new it begins as
// described by first, whose Queue is ignored.
func (q *Queue) Add(name string, p Pending, first Lane) {
	l := q.lanes[name]
	if l == nil {
		first.Queue = nil
		l = &lane{Lane: first, name: name}
		q.lanes[name] = l
	}
	worst := l.worst()
	l.Queue = append(l.Queue, p)
	l.counts[level(p.Severity)]++
	l.fresh = max(l.fresh, level(p.Severity))
	switch {
	case l.sending:
	case l.window != nil:
		if l.worst() > worst {
			l.leave()
			l.alone = true
			q.enqueue(l)
		}
	case l.heap == nil, l.muted, p.Severity == exposure.Critical: // which does not wait for a retry
		q.enqueue(l)
	default:
		l.heap.fix(l)
	}
}

// Next decides what happens now. On an error, which comes from Sink.Alert, nothing
// has changed, and the action names the lane: Retry backs it off, so that it does
// not delay others.
func (q *Queue) Next(now time.Time) (Action, error) { return q.next(now, false) }

// NextUrgent is Next for a caller that has room for critical alerts alone: it
// sends no others.
func (q *Queue) NextUrgent(now time.Time) (Action, error) { return q.next(now, true) }

func (q *Queue) next(now time.Time, urgentOnly bool) (Action, error) {
	q.ready.sort(byTurns)
	q.requeue(now)
	for {
		urgent := q.ready.Len() > 0 && q.ready.first().urgent()
		if urgentOnly && !urgent {
			return q.wait(now), nil
		}
		if !urgent && q.sink.Group.Wait > 0 {
			if w := q.due(now); w != nil {
				if q.limited(now) {
					return q.wait(now), nil
				}
				a, ok, err := q.pick(w, now)
				if err != nil || ok {
					q.charge(a, now)
					return a, err
				}
				continue
			}
		}
		if q.ready.Len() == 0 {
			return q.wait(now), nil
		}
		l := q.ready.first()
		a, ok, err := q.decide(l, now)
		if err != nil || a.Verb == Drop {
			return a, err
		}
		if !ok {
			continue
		}
		groupable := q.sink.Group.Wait > 0 && !l.urgent() && !l.alone && !l.Known.Known
		if groupable {
			if q.join(l, q.sink.Group.Key(l.alert, l.decision.To)) {
				continue
			}
		}
		if q.limited(now) && !l.urgent() {
			return q.wait(now), nil
		}
		if groupable {
			q.open(q.sink.Group.Key(l.alert, l.decision.To), now)
		}
		return q.send(l, now), nil
	}
}

// Probe is Next for a channel that is down: it sends one alert, the one that
// failed least often, so that an alert that fails by itself does not keep the
// channel down.
func (q *Queue) Probe(now time.Time) (Action, error) {
	return q.probe(now, leastFailed)
}

// ProbeGrave is Probe among the exposures with an alert of at least high severity that
// was added since their last attempt.
func (q *Queue) ProbeGrave(now time.Time) (Action, error) {
	return q.probe(now, graveFirst)
}

// ProbeUrgent is ProbeGrave for critical alerts alone.
func (q *Queue) ProbeUrgent(now time.Time) (Action, error) {
	return q.probe(now, urgentFirst)
}

func (q *Queue) probe(now time.Time, o order) (Action, error) {
	q.ready.sort(o)
	q.requeue(now)
	if o != urgentFirst { // no critical alert is in a group
		q.ungroup(now)
	}
	for {
		if q.ready.Len() == 0 || !o.includes(q.ready.first()) {
			return q.wait(now), nil
		}
		l := q.ready.first()
		a, ok, err := q.decide(l, now)
		switch {
		case err != nil || a.Verb == Drop:
			return a, err
		case !ok:
			continue
		case q.limited(now) && !l.urgent():
			return q.wait(now), nil
		}
		a.Verb = Send
		q.remove(l)
		a.add(l, 1)
		l.taken = 0
		q.charge(a, now)
		return a, nil
	}
}

// decide decides on the head of a lane: ok if it may be sent. Otherwise a is the
// drop, or the lane is muted.
func (q *Queue) decide(l *lane, now time.Time) (a Action, ok bool, err error) {
	v, err := q.sink.Next(&l.Lane, now)
	switch {
	case err != nil:
		a.Items = []Item{{Lane: l.name, Pending: l.Queue[0]}}
		return a, false, err
	case v.Verb == Drop:
		return q.drop(l, v), false, nil
	case v.Verb == Hold:
		q.mute(l, v.Until)
		if q.sink.Held != nil {
			q.sink.Held(Item{Lane: l.name, Pending: l.Queue[0], Decision: v.Decision, Alert: v.Alert}, v.Until)
		}
		return a, false, nil
	}
	l.decision, l.alert = v.Decision, v.Alert
	return a, true, nil
}

// drop removes the head of the lane.
func (q *Queue) drop(l *lane, v Verdict) Action {
	a := Action{Verb: Drop, Reason: v.Reason, Items: []Item{{Lane: l.name, Pending: l.Queue[0], Decision: v.Decision, Alert: v.Alert, Muted: l.waited}}}
	if v.Reason == Superseded { // its end has to follow
		l.Known = Knowledge{Known: true, To: v.Decision.To}
	}
	q.pop(l)
	if l.window == nil || len(l.Queue) == 0 {
		q.settle(l)
	}
	return a
}

// mute lets the lane rest until the end of mute times.
func (q *Queue) mute(l *lane, until time.Time) {
	q.remove(l)
	if l.window != nil {
		l.leave()
	}
	l.muted, l.waited, l.due = true, true, until
	q.muted++
	q.waiting.add(l)
}

// wait returns when Next has something to do, if no other method is called.
func (q *Queue) wait(now time.Time) Action {
	a := Action{Verb: Hold}
	sooner := func(t time.Time) {
		if t.After(now) && (a.Until.IsZero() || t.Before(a.Until)) {
			a.Until = t
		}
	}
	if q.waiting.Len() > 0 {
		sooner(q.waiting.first().due)
	}
	if len(q.order) > 0 {
		sooner(q.order[0].until)
	}
	if q.limited(now) {
		lack := 1 - q.limiter.TokensAt(now)
		sooner(now.Add(time.Duration(lack/float64(q.limiter.Limit())*float64(time.Second)) + time.Millisecond))
	}
	return a
}

// limited reports whether the rate allows no send now.
func (q *Queue) limited(now time.Time) bool { return q.limiter != nil && q.limiter.TokensAt(now) < 1 }

// requeue puts the lanes that are due among those to be decided.
func (q *Queue) requeue(now time.Time) {
	if wall, passed := now.Round(0).Sub(q.asked.Round(0)), now.Sub(q.asked); (wall - passed).Abs() > time.Second {
		q.reset(now)
	}
	q.asked = now
	for q.waiting.Len() > 0 && !q.waiting.first().due.After(now) {
		q.enqueue(q.waiting.first())
	}
}

// reset corrects what waits after the wall clock was set: mute times are decided on
// again, and a retry waits for what is left of its backoff.
func (q *Queue) reset(now time.Time) {
	for _, p := range slices.Clone(q.waiting.list) {
		if l := p.lane; l.muted {
			q.enqueue(l)
		} else {
			l.due = now.Add(l.due.Sub(now))
			q.waiting.fix(l)
		}
	}
}

// enqueue puts the lane among those to be decided.
func (q *Queue) enqueue(l *lane) {
	q.remove(l)
	l.due = time.Time{}
	q.ready.add(l)
}

// remove takes the lane out of its heap.
func (q *Queue) remove(l *lane) {
	if l.heap != nil {
		l.heap.remove(l)
	}
	if l.muted {
		l.muted = false
		q.muted--
	}
}

// pop removes the head of the lane.
func (q *Queue) pop(l *lane) {
	l.counts[level(l.Queue[0].Severity)]--
	l.Queue = l.Queue[1:]
	l.served++
	l.attempts, l.MaybeDelivered, l.waited, l.alone, l.fresh = 0, false, false, false, l.worst()
}

// settle puts the lane back in turn, or evicts it if it is empty.
func (q *Queue) settle(l *lane) {
	if len(l.Queue) > 0 {
		q.enqueue(l)
		return
	}
	q.remove(l)
	if l.window != nil {
		l.leave()
	}
	delete(q.lanes, l.name)
}
