package sources

import (
	"context"

	"github.com/mfawatch/mfawatch/processor"
)

// Source offers deliveries to h until ctx is done, then waits for the calls in
// flight and returns nil. A finite source, such as files, returns nil at its end.
// Run retries transient errors; an error that it returns is permanent.
type Source interface {
	Run(ctx context.Context, h processor.Handler) error
}
