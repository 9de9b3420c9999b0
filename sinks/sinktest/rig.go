package sinktest

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/dispatch"
)

// A Rig is a journal whose alerts a dispatcher sends to one sink.
type Rig struct {
	Journal *journal.Journal
	Log     strings.Builder // of the dispatcher; read it after Stop, or while it is idle

	t      *testing.T
	cancel context.CancelFunc
	ended  chan error
}

// NewRig opens the journal at path and runs a dispatcher for s, named "a".
func NewRig(t *testing.T, path string, s sinks.Sink, c dispatch.DeliveryConfig) *Rig {
	t.Helper()
	r := &Rig{Journal: OpenJournal(t, path), t: t, ended: make(chan error)}
	d, err := dispatch.New(r.Journal, "a", s, dispatch.Options{
		Logger: slog.New(slog.NewTextHandler(&r.Log, nil)), Delivery: c,
	})
	if err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, r.cancel = context.WithCancel(t.Context())
	go func() { r.ended <- d.Run(ctx) }()
	return r
}

// Idle waits until the sink is done with every alert.
func (r *Rig) Idle() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 1000*time.Hour)
	defer cancel()
	if err := r.Journal.Idle(ctx); err != nil {
		r.t.Fatalf("idle: %v", err)
	}
}

// Stop ends the dispatcher and closes the journal.
func (r *Rig) Stop() {
	r.t.Helper()
	r.cancel()
	if err := <-r.ended; err != nil {
		r.t.Errorf("run: %v", err)
	}
	if err := r.Journal.Close(); err != nil {
		r.t.Error(err)
	}
}

// OpenJournal opens a journal that logs nothing.
func OpenJournal(t testing.TB, path string) *journal.Journal {
	t.Helper()
	j, err := journal.Open(path, journal.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// BareAlert is an alert of the exposure x with that ID and little else.
func BareAlert(x, id string) *processor.Alert {
	return &processor.Alert{ID: id, Exposure: &x, Time: time.Now(), Title: "title of " + id}
}

// Equal wants two lists to be the same.
func Equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
