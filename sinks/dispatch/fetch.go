package dispatch

import (
	"errors"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/processor/journal/store"
	"github.com/mfawatch/mfawatch/processor/route"
)

// Bounds on the pending alerts that a worker knows, without their contents: those
// of one read, and all of them, except those of exposures with a critical alert,
// which may be as many again. The worst of those that it knows is sent first.
const (
	lookAhead = 1024
	maxKnown  = 65536
)

// fetch reads pending alerts from the journal. It returns an error only if the
// journal was closed.
func (w *Worker) fetch(now time.Time) error {
	for w.more && w.known < w.memory && !now.Before(w.again) {
		pending, err := w.store.Pending(w.name, w.after, lookAhead)
		if !w.fetched(err) {
			return closed(err)
		}
		w.more = len(pending) == lookAhead
		for _, p := range pending {
			w.enqueue(p)
			w.after = p.Number
		}
	}
	return w.fetchUrgent(now)
}

// fetchUrgent reads the exposures with a critical alert among the pending alerts
// for which there is no room: a full queue delays no critical alert.
func (w *Worker) fetchUrgent(now time.Time) error {
	room := 2*w.memory - w.known
	if !w.more || !w.unseen || room < lookAhead || now.Before(w.again) {
		return nil
	}
	pending, seen, err := w.store.Urgent(w.name, w.after, max(w.seen, w.after), room)
	if !w.fetched(err) {
		return closed(err)
	}
	if w.unseen = len(pending) == room; !w.unseen {
		w.seen = seen
	}
	for _, p := range pending {
		w.enqueue(p)
	}
	return nil
}

// fetched reports whether a read of the journal succeeded.
func (w *Worker) fetched(err error) bool {
	if err != nil && closed(err) == nil || err == nil && len(w.records) == 0 && w.writing == nil {
		w.journalled(err) // a read that succeeds does not hide a write that fails
	}
	return err == nil
}

// closed returns the error of a journal that was closed, nil for any other.
func closed(err error) error {
	if errors.Is(err, store.ErrClosed) {
		return err
	}
	return nil
}

// enqueue adds an alert to its lane, unless it was added as urgent before.
func (w *Worker) enqueue(p outbox.Pending) {
	l := w.lanes[p.Lane]
	if l != nil && p.Number <= l.last {
		return
	}
	if l == nil {
		l = &lane{name: p.Lane, known: route.Knowledge{Known: p.Known, To: p.To, Orphan: p.Orphan}, closed: p.ClosedByPerson}
		w.lanes[p.Lane] = l
	}
	p.First = w.since(p, time.Now())
	if len(l.queue) == 0 {
		l.attempts, l.first = p.Attempts, p.First
	}
	l.queue = append(l.queue, p)
	l.last = p.Number
	w.known++
	w.queue.Add(p.Lane, route.Pending{Number: p.Number, Step: p.Step, Severity: p.Severity},
		route.Lane{Known: l.known, Closed: l.closed, MaybeDelivered: p.Attempts > 0})
}

// since returns the first failure of an alert on the clock of this run. The clock may
// have jumped since: no alert is older than its attempts can have taken.
func (w *Worker) since(p outbox.Pending, now time.Time) time.Time {
	if p.First.IsZero() {
		return p.First
	}
	longest := time.Duration(p.Attempts) * (w.config.Retry.Max + w.config.Timeout)
	return now.Add(-max(0, min(now.Sub(p.First), longest)))
}

// Bounds of the cache of alerts: their number, the size of their records, and how
// long an alert that another call handled may still count as pending.
const (
	maxCached     = 1024
	maxCachedSize = 4 << 20
	cacheTime     = 10 * time.Second
)

// A cache holds alerts that were decided on and are not sent yet, so that an alert
// that waits for the rate or its group is decoded once.
type cache struct {
	alerts map[uint64]cached
	size   int
	since  time.Time
}

type cached struct {
	alert *processor.Alert
	ref   string
}

// alert returns a pending alert, nil if it needs no delivery any more.
func (w *Worker) alert(number uint64) (*processor.Alert, error) {
	c := &w.cache
	if now := time.Now(); len(c.alerts) >= maxCached || c.size >= maxCachedSize || now.Sub(c.since) >= cacheTime {
		*c = cache{alerts: map[uint64]cached{}, since: now}
	}
	if known, ok := c.alerts[number]; ok {
		return known.alert, nil
	}
	a, ref, err := w.store.Take(w.name, number)
	if errors.Is(err, outbox.ErrAcked) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c.alerts[number] = cached{a, ref}
	c.size += len(a.Record)
	return a, nil
}

// take removes an alert from the cache; false if it is not there.
func (c *cache) take(number uint64) (cached, bool) {
	known, ok := c.alerts[number]
	if ok {
		delete(c.alerts, number)
		c.size -= len(known.alert.Record)
	}
	return known, ok
}
