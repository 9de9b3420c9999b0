package dispatch_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/secret"
	"github.com/mfawatch/mfawatch/sinks/dispatch"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
	"github.com/mfawatch/mfawatch/sinks/webhook"
)

// BenchmarkCommitToSocket is how long an alert takes from the journal's commit
// until it is read from the channel's socket, when nothing else goes on.
func BenchmarkCommitToSocket(b *testing.B) {
	arrived := make(chan time.Time, 1)
	server := newBenchServer(b, arrived)
	hook, err := webhook.New(webhook.Config{URL: secret.URL(server)})
	if err != nil {
		b.Fatal(err)
	}
	defer hook.Close()
	j := sinktest.OpenJournal(b, filepath.Join(b.TempDir(), "mfawatch.db"))
	d, err := dispatch.New(j, "hook", hook, dispatch.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error)
	go func() { ended <- d.Run(ctx) }()
	var took []time.Duration
	for n := 0; b.Loop(); n++ {
		if err := j.Idle(ctx); err != nil {
			b.Fatal(err)
		}
		sinktest.Journal(b, j, sinktest.BareAlert(fmt.Sprintf("x%d", n), fmt.Sprintf("x%d-1", n))) // returns with the commit
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
	server := sinktest.NewHTTPServer(b, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived <- time.Now() }))
	return server.URL
}
