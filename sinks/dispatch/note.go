package dispatch

import (
	"time"

	"github.com/mfawatch/mfawatch/processor/journal"
)

// A note is what the journal has to know of an alert: that it was told, that it
// never will be, or that it failed and is tried again, with the reference that
// came back all the same.
type note struct {
	line    *line // nil where it is tried again
	since   time.Time
	result  journal.Result
	dead    *journal.DeadLetter // nil: it was told
	failure *journal.Failure    // nil: the sink is done with it, or result says that it is open
}

// ends reports whether the sink is done with the alert.
func (n note) ends() bool { return n.failure == nil && n.result.Outcome != journal.Partial }

// While a sink is busy, what it was told is journalled in groups, so that a
// burst of alerts is not a burst of fsyncs. What failed can wait longer: a crash
// forgets an attempt, no more.
const (
	noteGroup   = 1024
	noteTime    = 20 * time.Millisecond
	failureTime = time.Second
)

// addNote puts a note with those that wait for the journal.
func (w *Worker) addNote(n note) {
	due := time.Now().Add(noteTime)
	if !n.ends() {
		due = due.Add(failureTime)
	} else {
		w.told++
	}
	if len(w.notes) == 0 || due.Before(w.noteDue) {
		w.noteDue = due
	}
	w.notes = append(w.notes, n)
}

// note journals what is to be noted, while the next sends are already running.
// Dying in between sends an alert again with the same ID, never loses one.
func (w *Worker) note(now time.Time) {
	if w.busy != nil || len(w.notes) == 0 || now.Before(w.again) {
		return
	}
	waits := now.Before(w.noteDue) && len(w.notes) < noteGroup
	if waits && (w.running > 0 || w.told == 0) {
		return
	}
	w.busy, w.notes, w.told = w.notes, nil, 0
	notes := w.busy
	go func() { w.noted <- w.journal(notes) }()
}

func (w *Worker) journal(notes []note) error {
	var results []journal.Result
	var failures []journal.Failure
	for _, n := range notes {
		switch {
		case n.failure != nil:
			failures = append(failures, *n.failure)
		case n.dead != nil:
			if err := w.store.Bury(w.name, *n.dead); err != nil {
				return err
			}
			results = append(results, n.result)
		default:
			results = append(results, n.result)
		}
	}
	if len(failures) > 0 {
		if err := w.store.Failed(w.name, failures...); err != nil {
			return err
		}
	}
	if len(results) == 0 {
		return nil
	}
	return w.store.Done(w.name, results...)
}

// endNote ends what note began.
func (w *Worker) endNote(err error) {
	notes := w.busy
	w.busy = nil
	w.noteJournal(err)
	now := time.Now()
	for _, n := range notes {
		switch {
		case err != nil && n.ends():
			w.told++
		case err == nil && n.ends():
			if n.dead == nil && n.result.Outcome != journal.Superseded && n.result.Outcome != journal.Suppressed {
				w.metrics.done.Observe(now.Sub(n.since).Seconds())
			}
			n.line.unnoted--
			w.forget(n.line)
		}
	}
	if err != nil {
		w.notes = append(notes, w.notes...)
		w.noteDue = w.again
	}
}

// noteJournal remembers whether the journal can be used, and when to try again.
func (w *Worker) noteJournal(err error) {
	if err == nil {
		if w.journalErr != nil {
			w.journalErr = nil
			w.log.Info("the journal can be used again")
			w.tellReady()
		}
		return
	}
	w.again = time.Now().Add(w.config.Retry.Min)
	if w.journalErr == nil || w.journalErr.Error() != err.Error() {
		w.log.Error("the journal could not be used; it is tried again", "err", err)
	}
	w.journalErr = err
	w.tellReady()
}
