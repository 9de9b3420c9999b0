package dryrun

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/journal/store"
	"github.com/mfawatch/mfawatch/processor/route"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/dispatch"
)

// A storySink notes which alerts it is sent, when and for whom.
type storySink struct {
	mu   *sync.Mutex
	said *[]string
	name string
	to   string
}

func (s storySink) Send(_ context.Context, a *processor.Alert, _ string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*s.said = append(*s.said, fmt.Sprintf("%s for %q is sent %s of %s at %s", s.name, s.to, a.Step, a.ID, storyTime(time.Now())))
	return "", nil
}

func (s storySink) To(recipients []string) (sinks.Sink, error) {
	s.to = strings.Join(recipients, "+")
	return s, nil
}

// A changeLog is a change log in memory.
type changeLog struct{ batches []store.Batch }

func (l *changeLog) Commit(b store.Batch) ([]byte, error) {
	l.batches = append(l.batches, b)
	return fmt.Append(nil, len(l.batches)), nil
}

func (l *changeLog) Restore(position []byte, apply func([]store.Write, []byte) error) error {
	if position != nil {
		return store.ErrPosition // the cache was lost
	}
	for i, b := range l.batches {
		if err := apply(b.Writes, fmt.Append(nil, i+1)); err != nil {
			return err
		}
	}
	return nil
}

// The dispatcher sends to the sinks, and at the times, that the stories and
// explain name, in faked time, with a restart in the middle of each story: of a
// journal file, and of one that is restored from its change log.
func TestStoriesThroughTheDispatcher(t *testing.T) {
	for number, path := range storyPaths(t) {
		t.Run(storyName(path), func(t *testing.T) {
			if number%4 > 0 {
				trailtest.Long(t, 1) // every story is played above
			}
			t.Parallel() // most of its time is syncs
			_, s := openStory(t, path)
			all, router, err := s.play(false)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for _, said := range all {
				for _, d := range said.sinks {
					if !d.at.IsZero() {
						want = append(want, fmt.Sprintf("%s for %q is sent %s of %s at %s", d.sink, strings.Join(d.To, "+"), d.alert.Step, d.alert.ID, storyTime(d.at)))
					}
				}
			}
			slices.Sort(want)
			for i, log := range []*changeLog{nil, {}} {
				if i == 1 && trailtest.Short() && number%8 > 0 {
					continue
				}
				synctest.Test(t, func(t *testing.T) {
					got := dispatchStory(t, all, router, s.until, log)
					slices.Sort(got)
					if !slices.Equal(got, want) {
						t.Errorf("the dispatcher with change log %v says\n%s\nthe story\n%s", i == 1, strings.Join(got, "\n"), strings.Join(want, "\n"))
					}
				})
			}
		})
	}
}

// dispatchStory journals the alerts at their times, and says what the sinks got.
// A log that is nil is none.
func dispatchStory(t *testing.T, all []*Alert, router *route.Router, until time.Time, log *changeLog) (said []string) {
	path := filepath.Join(t.TempDir(), "mfawatch.db")
	var mu sync.Mutex
	channels := map[string]sinks.Sink{}
	o := dispatch.Options{Logger: slog.New(slog.DiscardHandler), Router: router}
	for name := range storyKinds {
		channels[name] = storySink{mu: &mu, said: &said, name: name}
	}
	var j *journal.Journal
	var stop func()
	start := func() {
		var err error
		options := journal.Options{Logger: o.Logger}
		if log != nil {
			options.ChangeLog = log
		}
		if j, err = journal.Open(path, options); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		for name, kind := range storyKinds {
			o.Delivery.People = kind != route.Machine
			d, err := dispatch.New(j, name, channels[name], o)
			if err != nil {
				t.Fatal(err)
			}
			go func() { ended <- d.Run(ctx) }()
		}
		stop = func() {
			cancel()
			for range storyKinds {
				if err := <-ended; err != nil {
					t.Error(err)
				}
			}
			if err := j.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	reach := func(at time.Time) {
		time.Sleep(time.Until(at))
		synctest.Wait()
	}
	reach(storyWeek)
	start()
	for from, to := 0, 0; from < len(all); from = to {
		var group []*exposure.Alert
		for to = from; to < len(all) && all[to].At.Equal(all[from].At); to++ {
			group = append(group, all[to].Alert)
		}
		reach(all[from].At)
		storyJournal(t, j, group)
		synctest.Wait()
		time.Sleep(time.Second) // so that it is noted
		synctest.Wait()
		if from <= len(all)/2 && to > len(all)/2 {
			stop()
			start()
			if err := j.Unlink(); err != nil { // it is not restarted again: no syncs
				t.Fatal(err)
			}
		}
	}
	reach(until)
	stop()
	return said
}

func storyJournal(t *testing.T, j *journal.Journal, alerts []*exposure.Alert) {
	t.Helper()
	e := &trail.Event{ID: alerts[0].ID, Account: "1", Time: time.Now(), Name: trail.DeactivateMFADevice}
	if _, err := j.Append(t.Context(), []*trail.Event{e}); err != nil {
		t.Fatal(err)
	}
	_, err := j.Fold(t.Context(), time.Now(), func([]*trail.Event, alerting.State, time.Time) alerting.Outcome {
		return alerting.Outcome{Alerts: alerts}
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
}
