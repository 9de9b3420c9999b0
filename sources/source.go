// Package sources is where records come from.
package sources

import (
	"context"

	"github.com/mfawatch/mfawatch/processor"
)

// A Source offers deliveries to h until ctx is done, then lets the calls in
// flight return before it returns nil. It retries its own transient errors; an
// error that it returns is one it cannot go on after. A source that has an end,
// as files have, returns nil there.
type Source interface {
	Run(ctx context.Context, h processor.Handler) error
}
