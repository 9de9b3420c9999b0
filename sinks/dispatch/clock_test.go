package dispatch

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/sinks"
)

// A clock that jumped before a restart makes no alert a dead letter, and keeps none
// from becoming one: attempts that were made over the age do.
func TestAgeAfterAClockThatJumped(t *testing.T) {
	t.Parallel() // it waits for the disk
	for name, first := range map[string]time.Duration{"forward": -365 * 24 * time.Hour, "back": 365 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				s := map[string]sinks.Sink{"a": &fakeSink{t: t, answer: func(context.Context, *processor.Alert, string) (string, error) {
					return "", errors.New("refused")
				}}}
				r.start(Options{}, s)
				journalAlerts(t, r.j, "x-1")
				time.Sleep(time.Minute)
				r.stop()
				j := openJournal(t, r.path)
				if err := j.Register("a"); err != nil {
					t.Fatal(err)
				}
				if err := j.Failed("a", outbox.Failure{Number: 1, Attempts: 2, First: time.Now().Add(first)}); err != nil {
					t.Fatal(err)
				}
				if err := j.Close(); err != nil {
					t.Fatal(err)
				}
				r.start(Options{}, s)
				defer r.stop()
				time.Sleep(23 * time.Hour)
				if dead, err := r.j.DeadLetters("a"); err != nil || len(dead) > 0 {
					t.Errorf("after 23 hours: %+v, %v", dead, err)
				}
				time.Sleep(2 * time.Hour)
				if dead, err := r.j.DeadLetters("a"); err != nil || len(dead) != 1 {
					t.Errorf("after 25 hours: %+v, %v", dead, err)
				}
			})
		})
	}
}

// An idle worker whose mute time ends in the night notices within a minute that the
// clock was set to the day.
func TestIdleWorkerLooksAtTheClock(t *testing.T) {
	w := &Worker{holdUntil: time.Now().Add(8 * time.Hour).Round(0)}
	if wait := w.wait(time.Now()); wait > time.Minute {
		t.Errorf("it waits for %s", wait)
	}
	soon := time.Now().Add(time.Second)
	w.holdUntil = soon
	if wait := w.wait(soon.Add(-time.Second)); wait != time.Second {
		t.Errorf("it waits for %s, and has something to do in a second", wait)
	}
}
