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

	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/processor/status"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// The journal, as the processor calls it.
type (
	appender interface {
		Append(ctx context.Context, events []*trail.Event) (fresh int, err error)
		Quarantine(ctx context.Context, records []journal.Quarantined) (left int, err error)
	}
	folder interface {
		Fold(ctx context.Context, now time.Time, f journal.Folder, record func(journal.Folded)) (next time.Time, err error)
		Compact(ctx context.Context, now time.Time) error
		Appended() <-chan struct{}
	}
	intake interface {
		appender
		stats
		PlannedUsed() (map[string]bool, error)
		Refold()
		Ready() error
	}
	durable interface {
		intake
		folder
	}
)

// Options of a Processor.
type Options struct {
	Logger     *slog.Logger          // default: slog.Default()
	Registerer prometheus.Registerer // nil: metrics are counted, but not shown
	Policy     exposure.Policy       // which events are alerts, and when
}

// A Processor journals deliveries (Handle), and turns journalled events into
// alerts (Run). Its methods are safe for concurrent use.
type Processor struct {
	journal intake
	policy  atomic.Pointer[exposure.Policy]
	log     *slog.Logger
	metrics *metrics
	scans   sync.Pool // of *scan
	changes plannedChanges

	appending status.Status
	mu        sync.Mutex
	foldings  map[folder]*status.Status // of the loops that run
}

// New returns a Processor that writes to j. The caller closes j.
func New(j *journal.Journal, o Options) *Processor { return newProcessor(j, o) }

// NewIntake returns a Processor for several journals: Handle writes to j, which
// writes to them, and RunFor folds one of them.
func NewIntake(j intake, o Options) *Processor { return newProcessor(j, o) }

func newProcessor(j intake, o Options) *Processor {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	p := &Processor{
		journal:  j,
		log:      o.Logger,
		metrics:  newMetrics(o.Registerer, j),
		foldings: map[folder]*status.Status{},
	}
	p.SetPolicy(o.Policy)
	p.scans.New = func() any { return &scan{p: p, scanner: trail.NewScanner()} }
	return p
}

// AddSource shows the series of a source from now on, at zero: a source that never
// delivers is missed only if it is known. Handle adds the others.
func (p *Processor) AddSource(name string) { p.metrics.source(name) }

// RemoveSource deletes the series of a source that has stopped.
func (p *Processor) RemoveSource(name string) { p.metrics.forget(name) }

// SetPolicy replaces the policy. It applies to every later fold, and to the open
// exposures immediately.
func (p *Processor) SetPolicy(policy exposure.Policy) {
	p.policy.Store(&policy)
	p.journal.Refold()
}

// Ready returns why events cannot be journalled or folded at the moment: the last
// attempt failed, a commit hangs, or the journal file is gone. It returns nil
// otherwise.
func (p *Processor) Ready() error {
	errs := []error{p.journal.Ready(), p.appending.Err()}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.foldings {
		errs = append(errs, s.Err())
	}
	return errors.Join(errs...)
}

// Bounds on how long Run waits: after a failed fold, and for the next deadline,
// so that it notices a clock that was set or a machine that slept.
const (
	minRetry   = time.Second
	maxRetry   = time.Minute
	maxWait    = time.Minute
	pruneEvery = time.Hour
)

// Run is RunFor for the journal of New.
func (p *Processor) Run(ctx context.Context) error { return p.RunFor(ctx, p.journal.(durable)) }

// RunFor folds a journal until ctx is done: immediately after events were appended,
// and when an exposure's next deadline is due. The next RunFor folds the rest.
// Failures are retried, so RunFor always returns nil.
func (p *Processor) RunFor(ctx context.Context, j folder) error {
	folding := new(status.Status)
	p.mu.Lock()
	p.foldings[j] = folding
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.foldings, j)
		p.mu.Unlock()
	}()
	var pruned time.Time
	retry := minRetry
	for ctx.Err() == nil {
		appended := j.Appended()
		now := time.Now()
		next, err := j.Fold(ctx, now, p.fold, p.record)
		if ctx.Err() != nil {
			break
		}
		wait := maxWait
		if !next.IsZero() {
			wait = max(0, min(wait, time.Until(next)))
		}
		p.recordFold(folding, err)
		if err != nil {
			wait = min(wait, retry)
			retry = min(2*retry, maxRetry)
		} else {
			retry = minRetry
		}
		if now.Sub(pruned) >= pruneEvery {
			pruned = now
			if err := j.Compact(ctx, now); err != nil && ctx.Err() == nil {
				p.log.Error("the journal could not be pruned and grows; retrying in an hour", "err", err)
			}
		}
		p.reportPlannedChanges(now)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-appended:
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}

func (p *Processor) fold(events []*trail.Event, st alerting.State, now time.Time) alerting.Outcome {
	return alerting.Notify(events, st, now, *p.policy.Load())
}

func (p *Processor) record(f journal.Folded) {
	now := time.Now()
	for _, a := range f.Alerts {
		p.logAlert(a)
		p.metrics.alerts.WithLabelValues(string(a.Step), string(a.Severity)).Inc()
		p.metrics.toAlert.Observe(now.Sub(a.Time).Seconds())
		p.recordPlannedChange(a)
		if a.Step == exposure.Resolved && a.Users == nil && a.Resolution != nil && a.OpenedAt != nil && a.ResolvedAt != nil {
			p.metrics.lasted.WithLabelValues(*a.Resolution).Observe(a.ResolvedAt.Sub(*a.OpenedAt).Seconds())
		}
	}
}

// maxLogged bounds a logged text of others, in bytes.
const maxLogged = 200

// logAlert logs an alert that was journalled.
func (p *Processor) logAlert(a *exposure.Alert) {
	ctx := context.Background()
	if !p.log.Enabled(ctx, slog.LevelInfo) {
		return
	}
	text := func(key string, value *string) slog.Attr {
		if value == nil {
			return slog.String(key, "")
		}
		return slog.String(key, safetext.Clean(*value, maxLogged))
	}
	p.log.LogAttrs(ctx, slog.LevelInfo, "an alert was journalled", slog.String("alert", a.ID), text("exposure", a.Exposure),
		slog.String("step", string(a.Step)), slog.String("severity", string(a.Severity)), text("account", &a.Account), text("user", a.User))
}

// recordFold logs a failure when it is a new one, and the end of it.
func (p *Processor) recordFold(folding *status.Status, err error) {
	if err != nil {
		p.metrics.foldErrors.Inc()
		err = fmt.Errorf("fold events (they are kept; retrying): %w", err)
	}
	switch changed := folding.Set(err); {
	case !changed:
	case err == nil:
		p.log.Info("folding works again")
	default:
		p.log.Error("folding failed", "err", err)
	}
}
