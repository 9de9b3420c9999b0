package sinks

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mfawatch/mfawatch/processor"
)

// One channel that is dead and one that is slow delay nobody else: in fake time,
// the others are told at the moment of the commit.
func TestFiftySinksOneDeadOneSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var mu sync.Mutex
		told := map[string]map[string]time.Time{}
		all := map[string]Sink{}
		for i := range 50 {
			name := fmt.Sprintf("sink-%02d", i)
			told[name] = map[string]time.Time{}
			s := &fakeSink{t: t}
			s.answer = func(ctx context.Context, a *processor.Alert, _ string) (string, error) {
				switch i {
				case 0: // dead: it never answers
					<-ctx.Done()
					return "", ctx.Err()
				case 1: // slow
					select {
					case <-time.After(20 * time.Second):
					case <-ctx.Done():
						return "", ctx.Err()
					}
				}
				mu.Lock()
				defer mu.Unlock()
				told[name][a.ID] = time.Now()
				return "", nil
			}
			all[name] = s
		}
		r.start(Options{}, all)
		committed := map[string]time.Time{}
		for i := range 40 { // more than the dead one has sends, for longer than one lasts
			id := fmt.Sprintf("x%d-1", i)
			tell(t, r.j, id)
			committed[id] = time.Now()
			time.Sleep(time.Second)
		}
		time.Sleep(5 * time.Minute)
		mu.Lock()
		for name, times := range told {
			if name == "sink-00" {
				continue
			}
			if len(times) != len(committed) {
				t.Errorf("%s was told %d of %d", name, len(times), len(committed))
			}
			for id, at := range times {
				if late := at.Sub(committed[id]); name != "sink-01" && late != 0 {
					t.Errorf("%s was told %s after %s", name, id, late)
				}
			}
		}
		mu.Unlock()
		r.stop()
	})
}

// BenchmarkCommitToSocket is how long an alert takes from the journal's commit
// until it is read from the channel's socket, when nothing else goes on.
func BenchmarkCommitToSocket(b *testing.B) {
	arrived := make(chan time.Time, 1)
	server := newBenchServer(b, arrived)
	hook, err := NewWebhook(WebhookConfig{URL: SecretURL(server)})
	if err != nil {
		b.Fatal(err)
	}
	defer hook.Close()
	j := openJournal(b, filepath.Join(b.TempDir(), "mfawatch.db"))
	d, err := NewDispatcher(j, map[string]Sink{"hook": hook}, Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error)
	go func() { ended <- d.Run(ctx) }()
	var took []time.Duration
	for n := 0; b.Loop(); n++ {
		if err := d.Idle(ctx); err != nil {
			b.Fatal(err)
		}
		tell(b, j, fmt.Sprintf("x%d-1", n)) // returns with the commit
		committed := time.Now()
		took = append(took, max(0, (<-arrived).Sub(committed)))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	cancel()
	if err := <-ended; err != nil {
		b.Error(err)
	}
	if err := j.Close(); err != nil {
		b.Error(err)
	}
}

// newBenchServer is a channel that says when a request arrived.
func newBenchServer(b *testing.B, arrived chan<- time.Time) (url string) {
	b.Helper()
	server := newFaultyServer(b, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived <- time.Now() }))
	return server.URL
}
