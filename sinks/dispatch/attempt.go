package dispatch

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/sinks"
)

// A way is how the alerts of an attempt are sent.
type way int

const (
	alone   way = iota // one alert
	batched            // several, each on its own: a sinks.BatchSender
	grouped            // several in one message: a sinks.GroupSender
)

// Bounds of a batch. The second is on the size of the records in it, which is
// nearly all of their alerts'; the first alert goes whatever its size.
const (
	maxBatch     = 128
	maxBatchSize = 4 << 20
)

// An attempt is one send, from its begin to its end.
type attempt struct {
	how   way
	items []item  // in order; what does not fit is taken off before it is sent
	lines []*line // of the items, each once
	key   string  // grouped: what the alerts have in common
	probe bool
	began time.Time

	sink    sinks.Sink // for whom the alerts are
	sinkErr error      // why there is none

	gone   []item // in front of others of their line, that the sink is done with already
	unread bool   // the journal could not give the alerts: err says why
	newRef string
	err    error
}

// An item is one alert of an attempt. Alerts of one line are next to each other
// in their order, from its head on.
type item struct {
	line    *line
	pending journal.Pending
	alert   *processor.Alert
	ref     string // that the sink gave for the exposure before
	hasRef  bool   // it is newer than the journal's
	perhaps bool   // it may have arrived already

	to []string // recipients; nil: the sink's own
}

// single is an attempt to send the head of the line.
func single(l *line) *attempt {
	return &attempt{lines: []*line{l}, items: []item{{line: l, pending: l.queue[0]}}}
}

// batch is an attempt to send the head of the line, with what follows it in the
// journal and may be sent.
func (w *Worker) batch(l *line, limit int) *attempt {
	a := &attempt{how: batched}
	for {
		for _, p := range l.queue[:min(len(l.queue), limit)] {
			if w.alone[p.Number] {
				break
			}
			a.items = append(a.items, item{line: l, pending: p})
		}
		if len(a.lines) == limit-1 || w.ready.empty() || w.alone[w.ready.first().queue[0].Number] {
			break
		}
		a.lines = append(a.lines, l)
		l = w.ready.take()
	}
	a.lines = append(a.lines, l)
	slices.SortFunc(a.items, byNumber)
	if !w.ready.empty() {
		next := item{pending: w.ready.first().queue[0]}
		end, _ := slices.BinarySearchFunc(a.items, next, byNumber)
		a.items = a.items[:end]
	}
	a.items = a.items[:min(len(a.items), limit)]
	// Lines whose head came to be over the limit wait for the next batch.
	a.lines = slices.DeleteFunc(a.lines, func(l *line) bool {
		if l.queue[0].Number <= a.items[len(a.items)-1].pending.Number {
			return false
		}
		w.ready.add(l)
		return true
	})
	return a
}

// sinktest.Send loads the alerts and sends them. It runs in a goroutine of its own and
// touches of w only what never changes.
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
	if a.how == grouped {
		a.err = a.sink.(sinks.GroupSender).SendGroup(ctx, alerts)
	} else {
		a.err = a.sink.(sinks.BatchSender).SendBatch(ctx, alerts)
	}
}

// load reads the alerts from the journal, and takes those off that do not
// belong or do not fit.
func (a *attempt) load(w *Worker) error {
	size := 0
	fit := a.items[:0]
	fits := map[*line]bool{} // lines of what fits
	cut := map[*line]bool{}  // lines that end here
	for _, it := range a.items {
		if cut[it.line] {
			continue
		}
		alert, ref, err := w.store.Take(w.name, it.pending.Number)
		if errors.Is(err, journal.ErrDone) {
			if fits[it.line] {
				cut[it.line] = true // it is skipped when it is the head
			} else {
				a.gone = append(a.gone, it)
			}
			continue
		}
		if err != nil {
			return err
		}
		it.alert = alert
		if !it.hasRef {
			it.ref = ref
		}
		if a.how == grouped && groupKey(w.storm, it.alert, it.to) != a.key {
			cut[it.line] = true
			continue
		}
		if size += len(it.alert.Record); size > maxBatchSize && len(fit) > 0 {
			break
		}
		fit = append(fit, it)
		fits[it.line] = true
	}
	a.items = fit
	return nil
}
