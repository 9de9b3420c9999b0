package dispatch

import (
	"time"

	"github.com/mfawatch/mfawatch/processor/journal/outbox"
)

// A record reports one alert to the journal: as delivered, as never to be, or
// as failed and retried, with the reference that the sink returned all the
// same.
type record struct {
	lane    *lane // nil: it is retried
	since   time.Time
	result  outbox.Result
	dead    *outbox.DeadLetter // nil: it did not become one
	failure *outbox.Failure    // nil: the sink is done with it, or result is open
}

// ends reports whether the sink is done with the alert.
func (r record) ends() bool {
	return r.failure == nil && r.result.Outcome != outbox.Partial && r.result.Outcome != outbox.Held
}

// While a sink is busy, its deliveries are recorded in groups, so that a burst of
// alerts is not a burst of fsyncs. Failures can wait longer: a crash forgets an
// attempt, no more.
const (
	recordGroup = 1024
	recordTime  = 20 * time.Millisecond
	failureTime = time.Second
)

// add adds a record to those that wait for the journal.
func (w *Worker) add(r record) {
	due := time.Now().Add(recordTime)
	if !r.ends() {
		due = due.Add(failureTime)
	} else {
		w.ended++
	}
	if len(w.records) == 0 || due.Before(w.recordDue) {
		w.recordDue = due
	}
	w.records = append(w.records, r)
}

// write writes the records to the journal, while the next sends are already
// running. A crash before it sends an alert again with the same ID, and loses
// none.
func (w *Worker) write(now time.Time) {
	if w.writing != nil || len(w.records) == 0 || now.Before(w.again) {
		return
	}
	waits := now.Before(w.recordDue) && len(w.records) < recordGroup
	if waits && (w.running > 0 || w.ended == 0) {
		return
	}
	w.writing, w.records, w.ended = w.records, nil, 0
	records := w.writing
	go func() { w.written <- w.journal(records) }()
}

func (w *Worker) journal(records []record) error {
	var results []outbox.Result
	var failures []outbox.Failure
	for _, r := range records {
		switch {
		case r.failure != nil:
			failures = append(failures, *r.failure)
			continue
		case r.dead != nil:
			if err := w.store.Bury(w.name, *r.dead); err != nil {
				return err
			}
		}
		results = append(results, r.result)
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

// endWrite ends what write began.
func (w *Worker) endWrite(err error) {
	records := w.writing
	w.writing = nil
	w.journalled(err)
	now := time.Now()
	for _, r := range records {
		switch {
		case err != nil && r.ends():
			w.ended++
		case err == nil && r.ends():
			if r.dead == nil && r.result.Outcome != outbox.Superseded && r.result.Outcome != outbox.Suppressed {
				w.metrics.done.Observe(now.Sub(r.since).Seconds())
				w.metrics.last.Set(float64(now.Unix()))
			}
			r.lane.unrecorded--
			w.evict(r.lane)
		}
	}
	if err != nil {
		w.records = append(records, w.records...)
		w.recordDue = w.again
	}
}

// journalled remembers whether the journal could be used, and when to try again.
func (w *Worker) journalled(err error) {
	if err != nil {
		w.again = time.Now().Add(w.config.Retry.Min)
		w.journalFailed(err)
	} else if w.journalErr != nil {
		w.journalErr = nil
		w.log.Info("the journal can be used again")
		w.publish()
	}
}

// misread backs off lanes whose alerts could not be read. Others go on, so that
// one damaged alert delays its exposure alone.
func (w *Worker) misread(err error, now time.Time, lanes ...*lane) {
	w.journalFailed(err)
	for _, l := range lanes {
		w.queue.Retry(l.name, now.Add(w.backoff(l.misread)), false, false)
		l.misread++
	}
}

func (w *Worker) journalFailed(err error) {
	if w.journalErr == nil || w.journalErr.Error() != err.Error() {
		w.log.Error("the journal could not be used; it is retried", "err", err)
	}
	w.journalErr = err
	w.publish()
}
