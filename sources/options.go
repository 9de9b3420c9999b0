package sources

import (
	"context"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/prometheus/client_golang/prometheus"
)

// Options holds the dependencies that every source has besides its configuration.
// Each may be nil. Sources may share a Registerer and an OffsetStore.
type Options struct {
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Offsets    OffsetStore // nil: a source that needs it starts over each time
	// Alone says that this process has to read everything, since no other one
	// shares its journal.
	Alone bool
}

// OffsetStore stores offsets over a restart, each a text by name. journal.Journal
// implements it.
type OffsetStore interface {
	Offsets(source string) (map[string][]byte, error)
	KeepOffsets(ctx context.Context, source string, keep map[string][]byte, forget []string) error
}

// Log returns the logger of the source called name.
func (o Options) Log(name string) *slog.Logger {
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return log.With("source", name)
}

// Backoff is the wait before a failed delivery is offered again. It doubles from
// First up to Longest, with jitter.
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
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
