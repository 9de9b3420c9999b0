package processor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// The journal, as the processor calls it.
type (
	appender interface {
		Append(ctx context.Context, events []*trail.Event) (fresh int, err error)
		KeepAside(ctx context.Context, records []journal.Aside) (left int, err error)
	}
	folder interface {
		Fold(ctx context.Context, now time.Time, f journal.Folder, told func(journal.Folded)) (next time.Time, err error)
		Prune(ctx context.Context, now time.Time) error
		Appended() <-chan struct{}
		Announced() (map[string]bool, error)
		Anew()
	}
	line interface {
		appender
		folder
		stock
	}
)

// Options of a Processor.
type Options struct {
	Logger     *slog.Logger          // default: slog.Default()
	Registerer prometheus.Registerer // nil: metrics are counted, but not shown
	Policy     exposure.Policy       // what has to be told, and when
}

// A Processor takes deliveries to the journal (Handle), and the journal's events
// to its alerts (Run).
type Processor struct {
	journal line
	policy  atomic.Pointer[exposure.Policy]
	judged  chan struct{} // holds one while Run has not seen the policy
	log     *slog.Logger
	metrics *metrics
	scans   sync.Pool // of *scan
	changes announced

	appendErr, foldErr atomic.Pointer[error] // nil while all is well
}

// New returns a Processor that writes to j, which stays the caller's to close.
func New(j *journal.Journal, o Options) *Processor { return newProcessor(j, o) }

func newProcessor(j line, o Options) *Processor {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	p := &Processor{
		journal: j,
		judged:  make(chan struct{}, 1),
		log:     o.Logger,
		metrics: newMetrics(o.Registerer, j),
	}
	p.Judge(o.Policy)
	p.scans.New = func() any { return &scan{p: p, scanner: trail.NewScanner()} }
	return p
}

// Judge goes on with another policy: what is folded from now on is judged by it,
// and so is, at once, what is open. It may be called at any time.
func (p *Processor) Judge(policy exposure.Policy) {
	p.policy.Store(&policy)
	p.journal.Anew()
	select {
	case p.judged <- struct{}{}:
	default:
	}
}

// Ready reports why events cannot be journalled or folded at the moment, nil if
// they can, as far as is known from the last try.
func (p *Processor) Ready() error {
	var errs []error
	for _, e := range []*error{p.appendErr.Load(), p.foldErr.Load()} {
		if e != nil {
			errs = append(errs, *e)
		}
	}
	return errors.Join(errs...)
}

// How long Run waits at most: after a fold that failed, and for its next look,
// so that a clock that was set or a machine that slept is noticed.
const (
	minRetry   = time.Second
	maxRetry   = time.Minute
	maxWait    = time.Minute
	pruneEvery = time.Hour
)

// Run folds: at once when events were appended, and when an exposure's next
// look is due, until ctx is done. What is not folded by then is folded by the
// next Run. It tries again whatever fails, so it always returns nil.
func (p *Processor) Run(ctx context.Context) error {
	var pruned time.Time
	retry := minRetry
	for ctx.Err() == nil {
		appended := p.journal.Appended()
		now := time.Now()
		next, err := p.journal.Fold(ctx, now, p.tell, p.told)
		if ctx.Err() != nil {
			break
		}
		wait := maxWait
		if !next.IsZero() {
			wait = max(0, min(wait, time.Until(next)))
		}
		p.noteFold(err)
		if err != nil {
			wait = min(wait, retry)
			retry = min(2*retry, maxRetry)
		} else {
			retry = minRetry
		}
		if now.Sub(pruned) >= pruneEvery {
			pruned = now
			if err := p.journal.Prune(ctx, now); err != nil && ctx.Err() == nil {
				p.log.Error("the journal could not be pruned; it grows until it can", "err", err)
			}
		}
		p.reportExpected(now)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-appended:
		case <-p.judged:
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}

func (p *Processor) tell(events []*trail.Event, st exposure.State, now time.Time) exposure.Outcome {
	return exposure.Tell(events, st, now, *p.policy.Load())
}

func (p *Processor) told(f journal.Folded) {
	now := time.Now()
	for _, a := range f.Alerts {
		p.metrics.alerts.WithLabelValues(string(a.Step), string(a.Severity)).Inc()
		p.metrics.toAlert.Observe(now.Sub(a.Time).Seconds())
		p.noteExpected(a)
		if a.Step == exposure.Resolved && a.Users == nil && a.Resolution != nil && a.OpenedAt != nil && a.ResolvedAt != nil {
			p.metrics.lasted.WithLabelValues(*a.Resolution).Observe(a.ResolvedAt.Sub(*a.OpenedAt).Seconds())
		}
	}
}

// noteFold logs a failure when it is a new one, and the end of it.
func (p *Processor) noteFold(err error) {
	last := p.foldErr.Load()
	if err == nil {
		if last != nil {
			p.log.Info("folding works again")
		}
		p.foldErr.Store(nil)
		return
	}
	p.metrics.foldErrors.Inc()
	err = fmt.Errorf("events could not be folded (they are kept, it is tried again): %w", err)
	if last == nil || (*last).Error() != err.Error() {
		p.log.Error("folding failed", "err", err)
	}
	p.foldErr.Store(&err)
}
