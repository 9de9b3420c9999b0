package dispatch

import (
	"container/heap"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/route"
	"github.com/mfawatch/mfawatch/processor/secret"
	"github.com/mfawatch/mfawatch/sinks"
)

// A router says what becomes of an alert at a sink.
type router interface {
	Decide(sink string, a *processor.Alert, c route.Case, now time.Time) route.Decision
	Plain(sink string) bool
}

// routed is what a line adds where a router is asked.
type routed struct {
	held bool     // rests until the end of quiet hours
	to   []string // whom the head is for; nil: the sink's own
	all  bool     // no route takes the head
	// What the sink knows of the exposure. It is kept in the journal with the
	// reference, so that the rest of a case goes where its beginning went.
	known route.Case
}

// enter puts a line where its head belongs: with those that may be sent, or with
// those that rest until quiet hours are over. What is not for the sink is passed
// over.
func (w *Worker) enter(l *line, now time.Time) {
	if l.held { // what people asked for is no delay of ours
		for i := range l.queue {
			l.queue[i].Since = now
		}
		w.heldNow(l, false)
	}
	if w.router == nil {
		w.ready.add(l)
		return
	}
	head := l.queue[0]
	d, err := w.decide(l, head, now)
	switch {
	case errors.Is(err, journal.ErrDone):
		w.skip(l)
		w.offer(l)
	case err != nil:
		w.noteJournal(err)
		w.rest(l, now.Add(w.backoff(0)))
	case !d.Tell:
		w.metrics.leftOut.Inc()
		w.finish(l, note{result: journal.Result{Number: head.Number, Outcome: journal.Suppressed}})
		w.offer(l)
	case d.Until.After(now) && !w.urgent(l, now):
		l.to = d.To
		if l.known.Known && l.attempts == 0 && w.overtake(l) { // the end of a case that was told does not wait
			w.offer(l)
			return
		}
		w.heldNow(l, true)
		l.first = time.Time{} // time in which it is not tried makes no dead letter
		w.rest(l, d.Until)
	default:
		l.to, l.all = d.To, d.Untaken
		w.ready.add(l)
	}
}

func (w *Worker) decide(l *line, p journal.Pending, now time.Time) (route.Decision, error) {
	alert, _, err := w.store.Take(w.name, p.Number)
	if err != nil {
		return route.Decision{}, err
	}
	return w.router.Decide(w.name, alert, l.known, now), nil
}

// ticket.Urgent reports whether something behind the head may not wait, so that the
// head has to go first.
func (w *Worker) urgent(l *line, now time.Time) bool {
	return slices.ContainsFunc(l.queue[1:], func(p journal.Pending) bool {
		if p.Step == exposure.Resolved {
			return false
		}
		d, err := w.decide(l, p, now)
		return err == nil && d.Tell && !d.Until.After(now)
	})
}

// wake asks anew for a line that is held back, since it has got longer.
func (w *Worker) wake(l *line) {
	if i := slices.Index(w.resting.lines, l); l.held && i >= 0 {
		heap.Remove(&w.resting, i)
		w.offer(l)
	}
}

func (w *Worker) heldNow(l *line, held bool) {
	switch {
	case held && !l.held:
		w.metrics.held.Inc()
	case !held && l.held:
		w.metrics.held.Dec()
	}
	l.held = held
}

// address notes that the sink is about to know the exposures of an attempt, and
// finds the channel for their recipients.
func (w *Worker) address(a *attempt) {
	for i, it := range a.items {
		if w.router != nil {
			it.line.known = route.Case{Known: true, To: it.line.to}
		}
		a.items[i].to = it.line.to
	}
	a.sink, a.sinkErr = w.channel(a.items[0].to)
}

// channel is the sink for recipients. One that takes none tells its own.
func (w *Worker) channel(to []string) (sinks.Sink, error) {
	if _, ok := w.sink.(sinks.Addressable); !ok || len(to) == 0 {
		return w.sink, nil
	}
	to, err := readRecipients(to)
	if err != nil {
		return nil, sinks.Misconfigured(err)
	}
	key := strings.Join(to, "\x00")
	if w.others[key] == nil {
		s, err := address(w.sink, to)
		if err != nil {
			return nil, sinks.Misconfigured(err)
		}
		w.others[key] = s
	}
	return w.others[key], nil
}

// Address is the sink for recipients in place of its own. Its error says that it
// takes none, or not these.
func Address(s sinks.Sink, recipients []string) (sinks.Sink, error) {
	to, err := readRecipients(recipients)
	if err != nil {
		return nil, err
	}
	return address(s, to)
}

func address(s sinks.Sink, to []string) (sinks.Sink, error) {
	sink, ok := s.(sinks.Addressable)
	if !ok {
		return nil, errors.New("recipients: this sink has none to choose")
	}
	other, err := sink.To(to)
	if err != nil {
		return nil, fmt.Errorf("recipients: %w", err)
	}
	return other, nil
}

// recipientFile begins a recipient that stands in a file.
const recipientFile = "file:"

// readRecipients is whom a list means: one such as file:/run/secrets/pager-key
// stands in that file, which is read each time.
func readRecipients(list []string) ([]string, error) {
	to := slices.Clone(list)
	for i, r := range list {
		path, ok := strings.CutPrefix(r, recipientFile)
		if !ok {
			continue
		}
		var err error
		if to[i], err = secret.ReadFile("recipients", path); err != nil {
			return nil, err
		}
	}
	return to, nil
}

// knows is what the journal is to remember with a result of the line's head:
// that the sink knows the exposure, or would if it had not been over before.
func (w *Worker) knows(l *line, r journal.Result) journal.Result {
	if w.router != nil && l.queue[0].Step != exposure.Attempted {
		l.known = route.Case{Known: true, To: l.to}
		r.To = l.to
	}
	return r
}

// groupKey is what alerts of one message have in common, and whom it is for.
func groupKey(s *storm, a *processor.Alert, to []string) string {
	return strings.Join(append([]string{s.key(a)}, to...), "\x00")
}
