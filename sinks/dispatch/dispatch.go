package dispatch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

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

// Options of a Dispatcher. The zero value is good for use.
type Options struct {
	Logger     *slog.Logger          // default: slog.Default()
	Registerer prometheus.Registerer // nil: metrics are counted, but not shown
	Drain      time.Duration         // time that running sends get once Run's ctx is done; default 20s
	// Delivery is how each sink is sent its alerts, by its name; default: as the
	// zero DeliveryConfig says.
	Delivery map[string]DeliveryConfig
	// Router says what is for which sink, when, and for whom; nil: everything for
	// everybody at once.
	Router *route.Router
}

// parallel is implemented by sinks that need a number of sends at once that is
// not for the operator to choose.
type parallel interface{ Parallel() int }

// A Dispatcher tells the journal's alerts to the sinks. Each sink has a worker
// and a place in the journal of its own, so one that is down delays only itself;
// an alert that fails delays only those of its exposure.
type Dispatcher struct {
	store   store
	log     *slog.Logger
	workers []*worker
}

// New registers the sinks, by their names, with the journal, so it is
// to be called before anything is folded: a sink that the journal does not know
// yet is told what is journalled from here on.
func New(j store, sinks map[string]sinks.Sink, o Options) (*Dispatcher, error) {
	o.Logger = cmp.Or(o.Logger, slog.Default())
	o.Drain = cmp.Or(o.Drain, 20*time.Second)
	for name, c := range o.Delivery {
		if sinks[name] == nil {
			return nil, fmt.Errorf("delivery of sink %s: there is no such sink", name)
		}
		if err := c.Validate(); err != nil {
			return nil, fmt.Errorf("delivery of sink %s: %w", name, err)
		}
	}
	names := slices.Sorted(maps.Keys(sinks))
	if err := j.Register(names...); err != nil {
		return nil, err
	}
	m := newMetrics(o.Registerer, j, names)
	d := &Dispatcher{store: j, log: o.Logger}
	for _, name := range names {
		w := newWorker(name, sinks[name], j, m, o.Delivery[name], o)
		left, err := j.Pending(name, 0, lookAhead)
		if err != nil {
			return nil, err
		}
		if len(left) > 0 {
			w.before = left[len(left)-1].Number
		}
		d.workers = append(d.workers, w)
	}
	return d, nil
}

// Run sends until ctx is done. It then begins no more, lets the sends that are
// running end within the drain time, and returns nil; what is not told by then
// waits in the journal. Only a journal that was closed ends it before.
func (d *Dispatcher) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, w := range d.workers {
		g.Go(func() error {
			if err := w.run(ctx); err != nil {
				return fmt.Errorf("sink %s: %w", w.name, err)
			}
			return nil
		})
	}
	return g.Wait()
}

// Idle waits until all events are folded and every sink is done with every
// alert, told or dead.
func (d *Dispatcher) Idle(ctx context.Context) error { return d.store.Idle(ctx) }

// Ready reports the sinks that do not get their alerts told, nil if all do: those
// that are down, misconfigured or had their last few attempts fail, and those
// whose progress cannot be journalled.
func (d *Dispatcher) Ready() error {
	var errs []error
	for _, w := range d.workers {
		if err := w.err.Load(); err != nil {
			errs = append(errs, fmt.Errorf("sink %s: %w", w.name, *err))
		}
	}
	return errors.Join(errs...)
}
