package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/journal/outbox"
)

// A DeadLetter is a dead letter and its sink.
type DeadLetter struct {
	Sink string `json:"sink"`
	outbox.DeadLetter
}

// ListDeadLetters calls each with every selected dead letter.
func (a *Admin) ListDeadLetters(ctx context.Context, s Selection, each func(DeadLetter) error) error {
	return a.listDeadLetters(ctx, s, func(_ *journal.Journal, d DeadLetter) error { return each(d) })
}

func (a *Admin) listDeadLetters(ctx context.Context, s Selection, each func(*journal.Journal, DeadLetter) error) error {
	names, err := a.sinks()
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
		for _, j := range a.journals() {
			if err := deadLettersOf(ctx, j, name, s, each); err != nil {
				return err
			}
		}
	}
	return nil
}

func deadLettersOf(ctx context.Context, j *journal.Journal, name string, s Selection, each func(*journal.Journal, DeadLetter) error) error {
	for after := uint64(0); ; {
		page, err := j.DeadLettersAfter(name, after, adminStep)
		if errors.Is(err, outbox.ErrUnknownSink) { // in this one
			return nil
		}
		if err != nil {
			return err
		}
		for _, d := range page {
			after = d.Number
			if d.Alert == nil || !s.has(d.Alert.ID) {
				continue
			}
			if err := each(j, DeadLetter{name, d}); err != nil {
				return err
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if len(page) < adminStep {
			return nil
		}
	}
}

// RetryDeadLetters requeues the selected dead letters.
func (a *Admin) RetryDeadLetters(ctx context.Context, s Selection) (Outcome, error) {
	return a.eachSink(ctx, s, actionRetry, (*journal.Journal).Requeue)
}

// DropDeadLetters drops the selected dead letters.
func (a *Admin) DropDeadLetters(ctx context.Context, s Selection) (Outcome, error) {
	return a.eachSink(ctx, s, actionDrop, (*journal.Journal).DropDead)
}

// eachSink applies do to the selected dead letters, in steps.
func (a *Admin) eachSink(ctx context.Context, s Selection, action string, do func(j *journal.Journal, sink string, numbers ...uint64) (int, error)) (o Outcome, err error) {
	var found []string
	type place struct {
		journal *journal.Journal
		sink    string
	}
	numbers := map[place][]uint64{}
	var places []place
	var names []string
	err = a.listDeadLetters(ctx, s, func(j *journal.Journal, l DeadLetter) error {
		at := place{j, l.Sink}
		if numbers[at] == nil {
			places, names = append(places, at), append(names, l.Sink)
		}
		numbers[at] = append(numbers[at], l.Number)
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
	for _, at := range places {
		for some := range slices.Chunk(numbers[at], adminStep) {
			n, err := do(at.journal, at.sink, some...)
			if err != nil {
				return o, err
			}
			o.Done += n
			a.metrics.deadLetters.WithLabelValues(at.sink, action).Add(float64(n))
		}
	}
	o.Unknown = Missing(s.IDs, found)
	return o, nil
}

// canSend refuses sinks that a running service has no longer, since nothing would
// deliver their alerts. A stopped service has no sinks.
func (a *Admin) canSend(names []string) error {
	st := journal.Stats{Sinks: map[string]outbox.SinkStats{}}
	for _, j := range a.journals() {
		some, err := j.Stats()
		if err != nil {
			return err
		}
		st.Add(some)
	}
	if len(st.Sinks) == 0 {
		return nil
	}
	for _, name := range names {
		if _, ok := st.Sinks[name]; !ok {
			return refused{http.StatusConflict, fmt.Sprintf("sink %s is no longer in the configuration, so nothing can be sent to it: choose others by ID or sink, or drop its dead letters", name)}
		}
	}
	return nil
}
