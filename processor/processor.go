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
		Fold(ctx context.Context, now time.Time, f journal.Folder, folded func(journal.Folded)) (due time.Time, err error)
		Prune(ctx context.Context, now time.Time) error
		Appended() <-chan struct{}
		Announced() (map[string]bool, error)
		Anew()
	}
	store interface {
		appender
		folder
		stats
		Ready() error
	}
)

// Options of a Processor.
type Options struct {
	Logger     *slog.Logger          // default: slog.Default()
	Registerer prometheus.Registerer // nil: metrics are counted, but not shown
	Policy     exposure.Policy       // decides which alerts follow from the events, and when
}

// A Processor journals the events of deliveries (Handle) and folds them into
// alerts (Run).
type Processor struct {
	journal store
	policy  atomic.Pointer[exposure.Policy]
	renewed chan struct{} // holds one while Run has not seen the policy
	log     *slog.Logger
	metrics *metrics
	scans   sync.Pool // of *scan
	planned planned

	appendErr, foldErr atomic.Pointer[error] // nil while the last try succeeded
}

// New returns a Processor that writes to j, which stays the caller's to close.
func New(j *journal.Journal, o Options) *Processor { return newProcessor(j, o) }

func newProcessor(j store, o Options) *Processor {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	p := &Processor{
		journal: j,
		renewed: make(chan struct{}, 1),
		log:     o.Logger,
		metrics: newMetrics(o.Registerer, j),
	}
	p.Judge(o.Policy)
	p.scans.New = func() any { return &scan{p: p, scanner: trail.NewScanner()} }
	return p
}

// Judge sets another policy. It applies to all later folds, and Run immediately
// refolds the accounts with open exposures. Judge is safe for concurrent use.
func (p *Processor) Judge(policy exposure.Policy) {
	p.policy.Store(&policy)
	p.journal.Anew()
	select {
	case p.renewed <- struct{}{}:
	default:
	}
}

// Ready returns why events cannot be journalled or folded at the moment: the last
// try failed, a commit hangs, or the journal file is gone. It returns nil
// otherwise.
func (p *Processor) Ready() error {
	errs := []error{p.journal.Ready()}
	for _, e := range []*error{p.appendErr.Load(), p.foldErr.Load()} {
		if e != nil {
			errs = append(errs, *e)
		}
	}
	return errors.Join(errs...)
}

// How long Run waits at most: after a fold that failed, and until the next
// account is due, so that it notices a clock that was set or a machine that slept.
const (
	minRetry   = time.Second
	maxRetry   = time.Minute
	maxWait    = time.Minute
	pruneEvery = time.Hour
)

// Run folds until ctx is done: immediately when events were appended, and when an
// account is due. The next Run folds the events that are left. Run retries
// whatever fails, so it always returns nil.
func (p *Processor) Run(ctx context.Context) error {
	var pruned time.Time
	retry := minRetry
	for ctx.Err() == nil {
		appended := p.journal.Appended()
		now := time.Now()
		due, err := p.journal.Fold(ctx, now, p.fold, p.folded)
		if ctx.Err() != nil {
			break
		}
		wait := maxWait
		if !due.IsZero() {
			wait = max(0, min(wait, time.Until(due)))
		}
		p.recordFold(err)
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
		p.reportPlanned(now)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-appended:
		case <-p.renewed:
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}

func (p *Processor) fold(events []*trail.Event, st exposure.State, now time.Time) exposure.Outcome {
	return exposure.Tell(events, st, now, *p.policy.Load())
}

func (p *Processor) folded(f journal.Folded) {
	now := time.Now()
	for _, a := range f.Alerts {
		p.metrics.alerts.WithLabelValues(string(a.Step), string(a.Severity)).Inc()
		p.metrics.toAlert.Observe(now.Sub(a.Time).Seconds())
		p.recordPlanned(a)
		if a.Step == exposure.Resolved && a.Users == nil && a.Resolution != nil && a.OpenedAt != nil && a.ResolvedAt != nil {
			p.metrics.durations.WithLabelValues(*a.Resolution).Observe(a.ResolvedAt.Sub(*a.OpenedAt).Seconds())
		}
	}
}

// recordFold logs a failure when it differs from the last, and the end of it.
func (p *Processor) recordFold(err error) {
	last := p.foldErr.Load()
	if err == nil {
		if last != nil {
			p.log.Info("folding works again")
		}
		p.foldErr.Store(nil)
		return
	}
	p.metrics.foldErrors.Inc()
	err = fmt.Errorf("events could not be folded (they are kept; mfawatch retries): %w", err)
	if last == nil || (*last).Error() != err.Error() {
		p.log.Error("folding failed", "err", err)
	}
	p.foldErr.Store(&err)
}
