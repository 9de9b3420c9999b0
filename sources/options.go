package sources

import (
	"context"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/prometheus/client_golang/prometheus"
)

// Options are what every source is given besides its configuration. Both may
// be nil. Several sources may share a Registerer.
type Options struct {
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// log is the logger of the source called name.
func (o Options) log(name string) *slog.Logger {
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return log.With("source", name)
}

// retryWaits are how long a source waits before it offers a failed delivery
// again: longer each time, up to a bound, and never twice the same.
type retryWaits struct{ first, longest time.Duration }

var defaultRetryWaits = retryWaits{100 * time.Millisecond, 30 * time.Second}

func (w retryWaits) start() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.Multiplier = w.first, w.longest, 2
	return b
}

// sleep waits, or returns ctx's error if that is done first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
