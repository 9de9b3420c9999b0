package sinks

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

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
	j := conformJournal(b, filepath.Join(b.TempDir(), "mfawatch.db"))
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
		conformTell(b, j, conformAlert(fmt.Sprintf("x%d", n), fmt.Sprintf("x%d-1", n))) // returns with the commit
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
