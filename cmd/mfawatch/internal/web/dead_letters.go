package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/processor/journal"
)

// A DeadLetter is a dead letter and its sink.
type DeadLetter struct {
	Sink string `json:"sink"`
	journal.DeadLetter
}

// ListDeadLetters calls each with every selected dead letter.
func (a *Admin) ListDeadLetters(ctx context.Context, s Selection, each func(DeadLetter) error) error {
	names, err := a.journal.Sinks()
	if err != nil {
		return err
	}
	if s.Sink != "" {
		if !slices.Contains(names, s.Sink) {
			return refused{http.StatusNotFound, fmt.Sprintf("no sink is called %q; known are %s", config.Bounded(s.Sink), strings.Join(names, ", "))}
		}
		names = []string{s.Sink}
	}
	for _, name := range names {
		for after := uint64(0); ; {
			page, err := a.journal.DeadLettersAfter(name, after, adminStep)
			if err != nil {
				return err
			}
			for _, d := range page {
				after = d.Number
				if d.Alert == nil || !s.has(d.Alert.ID) {
					continue
				}
				if err := each(DeadLetter{name, d}); err != nil {
					return err
				}
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if len(page) < adminStep {
				break
			}
		}
	}
	return nil
}

// RetryDeadLetters requeues the selected dead letters.
func (a *Admin) RetryDeadLetters(ctx context.Context, s Selection) (Outcome, error) {
	return a.eachSink(ctx, s, actionRetry, a.journal.Requeue)
}

// DropDeadLetters drops the selected dead letters.
func (a *Admin) DropDeadLetters(ctx context.Context, s Selection) (Outcome, error) {
	return a.eachSink(ctx, s, actionDrop, a.journal.DropDead)
}

// eachSink applies do to the selected dead letters, in steps.
func (a *Admin) eachSink(ctx context.Context, s Selection, action string, do func(sink string, numbers ...uint64) (int, error)) (o Outcome, err error) {
	var found []string
	bySink := map[string][]uint64{}
	var names []string
	err = a.ListDeadLetters(ctx, s, func(l DeadLetter) error {
		if bySink[l.Sink] == nil {
			names = append(names, l.Sink)
		}
		bySink[l.Sink] = append(bySink[l.Sink], l.Number)
		if !s.All {
			found = append(found, l.Alert.ID)
		}
		return nil
	})
	if err != nil {
		return o, err
	}
	if action == actionRetry {
		if err := a.canSend(names); err != nil {
			return o, err
		}
	}
	for _, name := range names {
		for numbers := range slices.Chunk(bySink[name], adminStep) {
			n, err := do(name, numbers...)
			if err != nil {
				return o, err
			}
			o.Done += n
			a.metrics.deadLetters.WithLabelValues(name, action).Add(float64(n))
		}
	}
	o.Unknown = Missing(s.IDs, found)
	return o, nil
}

// canSend refuses sinks that a running service has no longer, since nothing would
// deliver their alerts. A stopped service has no sinks.
func (a *Admin) canSend(names []string) error {
	st, err := a.journal.Stats()
	if err != nil || len(st.Sinks) == 0 {
		return err
	}
	for _, name := range names {
		if _, ok := st.Sinks[name]; !ok {
			return refused{http.StatusConflict, fmt.Sprintf("sink %s is no longer in the configuration, so nothing can be sent to it: choose others by ID or sink, or drop its dead letters", name)}
		}
	}
	return nil
}
