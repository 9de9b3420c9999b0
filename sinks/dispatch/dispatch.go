// Package dispatch sends the journal's alerts to a sink: one Worker with its queue,
// retries, circuit breaker, groups and acknowledgements.
package dispatch

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/route"
	"github.com/mfawatch/mfawatch/sinks"
)

// A store is the journal, as the dispatcher calls it.
type store interface {
	Register(names ...string) error
	Alerted() <-chan struct{}
	Pending(sink string, after uint64, limit int) ([]journal.Pending, error)
	Take(sink string, number uint64) (a *processor.Alert, ref string, err error)
	Done(sink string, results ...journal.Result) error
	Bury(sink string, d journal.DeadLetter) error
	Failed(sink string, failures ...journal.Failure) error
	Stats() (journal.Stats, error)
	Idle(ctx context.Context) error
}

// Options of a Worker. The zero value is good for use.
type Options struct {
	Logger     *slog.Logger          // default: slog.Default()
	Registerer prometheus.Registerer // nil: metrics are counted, but not shown
	Drain      time.Duration         // time that running sends get once Run's ctx is done; default 20s
	Delivery   DeliveryConfig        // how the sink is sent its alerts
	// Router says which alerts are for the sink, when, and for whom; nil: all of
	// them, immediately, for the sink's own recipients.
	Router *route.Router
}

// New registers the sink under its name with the journal. Call it before anything
// is folded: a sink that is new to the journal gets the alerts from here on.
func New(j store, name string, s sinks.Sink, o Options) (*Worker, error) {
	o.Logger = cmp.Or(o.Logger, slog.Default())
	o.Drain = cmp.Or(o.Drain, 20*time.Second)
	if err := o.Delivery.Validate(); err != nil {
		return nil, fmt.Errorf("delivery: %w", err)
	}
	if err := j.Register(name); err != nil {
		return nil, err
	}
	left, err := j.Pending(name, 0, lookAhead)
	if err != nil {
		return nil, err
	}
	w := newWorker(name, s, j, o)
	if len(left) > 0 {
		w.before = left[len(left)-1].Number
	}
	return w, nil
}

// Idle waits until all events are folded and every sink of the journal is done
// with every alert, delivered or dead.
func (w *Worker) Idle(ctx context.Context) error { return w.store.Idle(ctx) }

// Ready reports why the sink does not get its alerts, nil if it does: it is down
// or misconfigured, its last few attempts failed, or its progress cannot be
// journalled.
func (w *Worker) Ready() error {
	if err := w.err.Load(); err != nil {
		return *err
	}
	return nil
}
