package sinks

import (
	"time"

	"github.com/mfawatch/mfawatch/processor/journal"
)

// A note is what the journal has to know of an alert: that it was told, or that
// it never will be.
type note struct {
	line   *line
	at     time.Time
	result journal.Result
	dead   *journal.DeadLetter // nil: it was told
}

// While a sink is busy, what it was told is journalled in groups, so that a
// burst of alerts is not a burst of fsyncs.
const (
	groupSize = 128
	groupTime = 20 * time.Millisecond
)

// groupDue is when note will journal what it has at the latest.
func (w *worker) groupDue() time.Time {
	if len(w.notes) == 0 || w.busy != nil {
		return time.Time{}
	}
	due := w.notes[0].at.Add(groupTime)
	if w.again.After(due) {
		due = w.again
	}
	return due
}

// note journals what was told, while the next sends are already running. Dying
// in between sends an alert again with the same ID, never loses one.
func (w *worker) note(now time.Time) {
	if w.busy != nil || len(w.notes) == 0 || now.Before(w.again) {
		return
	}
	if w.running > 0 && len(w.notes) < groupSize && now.Before(w.groupDue()) {
		return
	}
	w.busy, w.notes = w.notes, nil
	notes := w.busy
	go func() { w.noted <- w.journal(notes) }()
}

func (w *worker) journal(notes []note) error {
	var results []journal.Result
	for _, n := range notes {
		if n.dead != nil {
			if err := w.store.Bury(w.name, *n.dead); err != nil {
				return err
			}
			continue
		}
		results = append(results, n.result)
	}
	if len(results) == 0 {
		return nil
	}
	return w.store.Done(w.name, results...)
}

// endNote ends what note began.
func (w *worker) endNote(err error) {
	notes := w.busy
	w.busy = nil
	w.noteJournal(err)
	if err != nil {
		w.notes = append(notes, w.notes...)
		return
	}
	for _, n := range notes {
		l := n.line
		if l.unnoted--; l.unnoted == 0 && len(l.queue) == 0 {
			delete(w.lines, l.name)
		}
	}
}

// noteJournal remembers whether the journal can be used, and when to try again.
func (w *worker) noteJournal(err error) {
	if err == nil {
		if w.journalErr != nil {
			w.journalErr = nil
			w.log.Info("the journal can be used again")
			w.tellReady()
		}
		return
	}
	w.again = time.Now().Add(w.options.MinBackoff)
	if w.journalErr == nil || w.journalErr.Error() != err.Error() {
		w.log.Error("the journal could not be used; it is tried again", "err", err)
	}
	w.journalErr = err
	w.tellReady()
}
