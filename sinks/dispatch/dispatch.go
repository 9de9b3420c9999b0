package dispatch

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/processor/route"
	"github.com/mfawatch/mfawatch/sinks"
)

// Store is the journal, as a Worker calls it.
type Store interface {
	Register(names ...string) error
	Alerted() <-chan struct{}
	Pending(sink string, after uint64, limit int) ([]outbox.Pending, error)
	Urgent(sink string, after, seen uint64, limit int) (pending []outbox.Pending, last uint64, err error)
	Take(sink string, number uint64) (a *processor.Alert, ref string, err error)
	Done(sink string, results ...outbox.Result) error
	Bury(sink string, d outbox.DeadLetter) error
	Failed(sink string, failures ...outbox.Failure) error
	Stats() (journal.Stats, error)
}

// Options configures a Worker. The zero value is good for use.
type Options struct {
	Logger     *slog.Logger          // default: slog.Default()
	Registerer prometheus.Registerer // nil: metrics are counted and not shown
	Drain      time.Duration         // how long running sends may take once the ctx of Run is done; default 20s
	Delivery   DeliveryConfig        // how alerts are sent to the sink
	// Router decides which alerts the sink is sent, when, and for which recipients;
	// nil: all of them, immediately, for the sink's own.
	Router *route.Router
	// Limiter, if set, limits the rate of several workers of one sink together.
	Limiter *rate.Limiter
	// Admit, if set, is called before each send: it returns once the send may
	// start, with a function that is called after it. After an error the send is
	// retried. A send is urgent if its exposure has a critical alert.
	Admit func(ctx context.Context, urgent bool) (release func(), err error)
}

// New registers the sink under its name with the journal and returns its Worker.
// Call it before the first fold: a sink that is new to the journal is sent the
// alerts from here on.
func New(j Store, name string, s sinks.Sink, o Options) (*Worker, error) {
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
	if n := len(left); n > 0 {
		w.before = left[n-1].Number
	}
	for looked := uint64(0); len(left) == lookAhead && looked != w.before; {
		looked = w.before
		if _, w.before, err = j.Urgent(name, looked, looked, lookAhead); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// Ready returns why the sink is not sent its alerts, nil if it is: the channel is
// down or misconfigured, the last few attempts failed, or the journal cannot be
// used. A sink with nothing pending is ready, however its last attempts ended.
func (w *Worker) Ready() error {
	if err := w.err.Load(); err != nil {
		return *err
	}
	return nil
}
