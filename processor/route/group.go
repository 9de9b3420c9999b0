package route

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// Group sets how the alerts of a burst share a message. The zero Group sends each
// alert in a message of its own.
type Group struct {
	Wait    time.Duration // how long a group window collects; 0: no groups
	Max     int           // alerts in one message, at least 1
	ByActor bool          // by actor where known, else by account
}

// Key returns what the alerts of one message have in common, recipients included.
func (g *Group) Key(a *exposure.Alert, to []string) string {
	key := "account/" + a.Partition + "/" + a.Account
	if who := cmp.Or(a.Actor.ARN, a.Actor.AccessKeyID, a.Actor.Name); g.ByActor && who != "" {
		key = "actor/" + a.Partition + "/" + who
	}
	return strings.Join(append([]string{key}, to...), "\x00")
}

// window collects the lanes that follow an alert of the same key.
type window struct {
	key    string
	until  time.Time
	lanes  []*lane // in order of arrival; a lane that left has another window
	picked []*lane // of them, decided and part of the next message
	size   int     // lanes that did not leave
	full   bool    // listed in Queue.full
}

// open opens the window of a key. The alert that opens it is sent alone.
func (q *Queue) open(key string, now time.Time) {
	w := &window{key: key, until: now.Add(q.sink.Group.Wait)}
	q.windows[key] = w
	q.order = append(q.order, w)
}

// join puts the lane into the window of its key; false if none is open.
func (q *Queue) join(l *lane, key string) bool {
	w := q.windows[key]
	if w == nil {
		return false
	}
	q.remove(l)
	l.window, l.alert = w, nil // read again when its message is due
	w.lanes = append(w.lanes, l)
	if w.size++; w.size >= q.sink.Group.Max && !w.full {
		w.full = true
		q.full = append(q.full, w)
	}
	return true
}

// leave takes the lane out of its window.
func (l *lane) leave() {
	l.window.size--
	l.window = nil
}

// due returns the window whose message is to be sent now, nil if none. A window
// that ends empty is closed; otherwise it begins again.
func (q *Queue) due(now time.Time) *window {
	for len(q.full) > 0 {
		if w := q.full[0]; w.size >= q.sink.Group.Max {
			return w
		}
		q.full[0].full = false
		q.full = q.full[1:]
	}
	for len(q.order) > 0 && !q.order[0].until.After(now) {
		w := q.order[0]
		if w.size > 0 {
			return w
		}
		q.order = q.order[1:]
		delete(q.windows, w.key)
	}
	return nil
}

// ungroup takes the lanes out of the windows whose messages are due, since each is
// probed alone.
func (q *Queue) ungroup(now time.Time) {
	for w := q.due(now); w != nil; w = q.due(now) {
		for _, l := range append(w.picked, w.lanes...) {
			if l.window == w {
				l.leave()
				q.enqueue(l)
			}
		}
		w.picked, w.lanes = nil, nil
	}
}

// pick decides on the lanes of a window until its message is complete, and
// returns the message. The first drop comes before it.
func (q *Queue) pick(w *window, now time.Time) (Action, bool, error) {
	alerts := 0
	for _, l := range w.picked {
		alerts += len(l.Queue)
	}
	for len(w.lanes) > 0 && alerts < q.sink.Group.Max {
		l := w.lanes[0]
		if l.window != w {
			w.lanes = w.lanes[1:]
			continue
		}
		a, ok, err := q.decide(l, now)
		if err != nil || a.Verb == Drop {
			return a, true, err
		}
		w.lanes = w.lanes[1:]
		if ok {
			w.picked = append(w.picked, l)
			alerts += len(l.Queue)
		}
	}
	lanes := slices.DeleteFunc(w.picked, func(l *lane) bool { return l.window != w })
	w.picked = nil
	ended := w.until
	if ended.After(now) { // it is full
		ended = now
	}
	if !w.until.After(now) {
		w.until = now.Add(q.sink.Group.Wait)
		q.order = append(slices.DeleteFunc(q.order, func(o *window) bool { return o == w }), w)
	}
	if len(lanes) == 0 {
		return Action{}, false, nil
	}
	slices.SortStableFunc(lanes, byTurn) // the worst is named first
	a := Action{Verb: Send}
	for _, l := range lanes {
		l.leave()
		if left := q.sink.Group.Max - len(a.Items); left > 0 {
			a.add(l, left)
			l.taken = 0
		} else {
			q.enqueue(l)
		}
	}
	for i := range a.Items {
		a.Items[i].Held = ended
	}
	if len(a.Items) > 1 {
		a.Group = w.key
	}
	return a, true, nil
}
