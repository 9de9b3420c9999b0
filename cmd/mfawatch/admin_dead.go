package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/mfawatch/mfawatch/processor/journal"
)

// A letter is a dead letter and whose it is.
type letter struct {
	Sink string `json:"sink"`
	journal.DeadLetter
}

// letters calls each with every dead letter that is selected.
func (a *admin) letters(ctx context.Context, s selection, each func(letter) error) error {
	names, err := a.journal.Sinks()
	if err != nil {
		return err
	}
	if s.sink != "" {
		if !slices.Contains(names, s.sink) {
			return refused{http.StatusNotFound, fmt.Sprintf("no sink is called %q; known are %s", bounded(s.sink), strings.Join(names, ", "))}
		}
		names = []string{s.sink}
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
				if err := each(letter{name, d}); err != nil {
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

func (a *admin) listDead(w http.ResponseWriter, r *http.Request) {
	s, err := selected(r)
	lines := newLines(w)
	if err == nil {
		err = a.letters(r.Context(), s, func(l letter) error { return lines.write(l) })
	}
	lines.end(err)
}

func (a *admin) retryDead(ctx context.Context, s selection) (any, error) {
	return a.eachSink(ctx, s, actionRetry, a.journal.RetryDead)
}

func (a *admin) dropDead(ctx context.Context, s selection) (any, error) {
	return a.eachSink(ctx, s, actionDrop, a.journal.DropDead)
}

// eachSink does one thing to the dead letters that are selected, in steps.
func (a *admin) eachSink(ctx context.Context, s selection, action string, do func(sink string, numbers ...uint64) (int, error)) (any, error) {
	var found []string
	bySink := map[string][]uint64{}
	var names []string
	err := a.letters(ctx, s, func(l letter) error {
		if bySink[l.Sink] == nil {
			names = append(names, l.Sink)
		}
		bySink[l.Sink] = append(bySink[l.Sink], l.Number)
		if !s.all {
			found = append(found, l.Alert.ID)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if action == actionRetry {
		if err := a.canSend(names); err != nil {
			return nil, err
		}
	}
	var o outcome
	for _, name := range names {
		for numbers := range slices.Chunk(bySink[name], adminStep) {
			n, err := do(name, numbers...)
			if err != nil {
				return nil, err
			}
			o.Done += n
			a.metrics.deadLetters.WithLabelValues(name, action).Add(float64(n))
		}
	}
	o.Unknown = missing(s.ids, found)
	return o, nil
}

// canSend refuses sinks that a running service does not have any more: nobody
// would send what is put back for them. A stopped one has none.
func (a *admin) canSend(names []string) error {
	st, err := a.journal.Stats()
	if err != nil || len(st.Sinks) == 0 {
		return err
	}
	for _, name := range names {
		if _, ok := st.Sinks[name]; !ok {
			return refused{http.StatusConflict, fmt.Sprintf("sink %s is not in the configuration any more, so nothing can be sent to it: choose others by ID or sink, or drop its dead letters", name)}
		}
	}
	return nil
}
