package sources

import (
	"context"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/prometheus/client_golang/prometheus"
)

// Options are what every source is given besides its configuration. All may
// be nil. Several sources may share a Registerer, and what keeps places.
type Options struct {
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Places     Bookkeeper // nil: a source that needs it begins anew each time
}

// A Bookkeeper keeps places over a restart: some text by name. journal.Journal is
// one.
type Bookkeeper interface {
	Bookmarks(source string) (map[string][]byte, error)
	KeepBookmarks(ctx context.Context, source string, keep map[string][]byte, forget []string) error
}

// Log returns the logger of the source called name.
func (o Options) Log(name string) *slog.Logger {
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return log.With("source", name)
}

// Backoff says how long a source waits before it offers a failed delivery
// again: longer each time, up to a bound, and never twice the same.
type Backoff struct{ First, Longest time.Duration }

// DefaultBackoff is the backoff of deliveries that are offered again.
var DefaultBackoff = Backoff{100 * time.Millisecond, 30 * time.Second}

// Start returns the waits in their order.
func (w Backoff) Start() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.Multiplier = w.First, w.Longest, 2
	return b
}

// Sleep waits for d. If ctx is done first, it returns ctx's error.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
