package dispatch

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/processor/route"
	"github.com/mfawatch/mfawatch/sinks"
)

// Bounds of a batch. The second is on the size of the records in it, which is
// nearly all of their alerts'; the first alert goes whatever its size.
const (
	maxBatch     = 128
	maxBatchSize = 4 << 20
)

// An attempt is one send, from its start to its end.
type attempt struct {
	group   string  // key of a group: the alerts go in one message
	items   []item  // in the order of the queue; send removes what does not fit
	lanes   []*lane // of the items, each once
	probe   bool    // the circuit waited for it
	doubts  bool    // the channel asked to wait
	urgent  bool    // a lane has a critical alert
	started time.Time

	sink    sinks.Sink // for the recipients of the alerts
	sinkErr error      // why there is none

	unread bool // the journal could not read the alerts: err says why
	newRef string
	err    error
}

// An item is one alert of an attempt. Alerts of one lane are in their order, from
// its head on.
type item struct {
	lane     *lane
	pending  outbox.Pending
	alert    *processor.Alert // nil: to be read
	ref      string           // that the sink returned for the exposure before
	hasRef   bool             // it is newer than the journal's
	perhaps  bool             // it may have arrived already
	to       []string         // recipients; nil: the sink's own
	unrouted bool             // no route matches it
	why      string           // the routes have it sent
	withheld bool             // it is sent without the text of its record
}

// attempt returns the attempt of an action.
func (w *Worker) attempt(action route.Action, now time.Time) *attempt {
	a := &attempt{group: action.Group, started: now}
	for _, it := range action.Items {
		l := w.lanes[it.Lane]
		if it.Muted {
			l.unmute(now)
		}
		l.ungroup(it.Held)
		head := l.sending == 0
		if head {
			a.lanes = append(a.lanes, l)
			a.urgent = a.urgent || slices.ContainsFunc(l.queue, critical)
		}
		i := item{lane: l, pending: l.queue[l.sending], ref: l.ref, hasRef: l.hasRef, to: it.Decision.To, unrouted: it.Decision.Unrouted, why: it.Decision.Why}
		i.perhaps = head && (it.MaybeDelivered || i.pending.Number <= w.before)
		if i.withheld = head && l.withheld; i.withheld {
			i.why = whyWithheld
		}
		if known, ok := w.cache.take(i.pending.Number); ok && head {
			i.alert = known.alert
			if !l.hasRef {
				i.ref = known.ref
			}
		}
		l.sending++
		a.items = append(a.items, i)
	}
	a.sink, a.sinkErr = w.channel(a.items[0].to)
	return a
}

// send reads the alerts that were not read yet and sends them. It runs in a
// goroutine of its own and touches of w only what never changes.
func (a *attempt) send(ctx context.Context, w *Worker) {
	if a.err = a.load(w); a.err != nil {
		a.unread = true
		return
	}
	if len(a.items) == 0 {
		return
	}
	if a.err = a.sinkErr; a.err != nil {
		return
	}
	if w.admit != nil {
		release, err := w.admit(ctx, a.urgent)
		if err != nil {
			a.err = err
			return
		}
		defer release()
	}
	timeout := w.config.Timeout
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %s", timeout))
	defer cancel()
	defer func() {
		if r := recover(); r != nil {
			a.err = fmt.Errorf("the sink panicked: %v\n%s", r, debug.Stack())
		}
	}()
	if slices.ContainsFunc(a.items, func(it item) bool { return it.perhaps }) {
		ctx = sinks.WithPerhapsArrived(ctx)
	}
	if len(a.items) == 1 {
		a.newRef, a.err = a.sink.Send(ctx, a.items[0].alert, a.items[0].ref)
		return
	}
	alerts := make([]*processor.Alert, len(a.items))
	for i, it := range a.items {
		alerts[i] = it.alert
	}
	if a.group != "" {
		a.err = a.sink.(sinks.GroupSender).SendGroup(ctx, alerts)
	} else {
		a.err = a.sink.(sinks.BatchSender).SendBatch(ctx, alerts)
	}
}

// load reads the alerts from the journal, and removes those that do not belong
// or do not fit: they are decided on again.
func (a *attempt) load(w *Worker) error {
	size := 0
	fit := a.items[:0]
	cut := map[*lane]bool{} // lanes that end here
	for _, it := range a.items {
		if cut[it.lane] {
			continue
		}
		if it.alert == nil {
			alert, ref, err := w.store.Take(w.name, it.pending.Number)
			if errors.Is(err, outbox.ErrAcked) {
				cut[it.lane] = true
				continue
			}
			if err != nil {
				return err
			}
			it.alert = alert
			if !it.hasRef {
				it.ref = ref
			}
		}
		if a.group != "" && w.group.Key(it.alert, it.to) != a.group {
			cut[it.lane] = true
			continue
		}
		if it.withheld {
			it.alert = bare(it.alert)
		}
		if size += len(it.alert.Record); size > maxBatchSize && len(fit) > 0 {
			break
		}
		fit = append(fit, it)
	}
	a.items = fit
	return nil
}
