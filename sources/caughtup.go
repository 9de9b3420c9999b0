package sources

import (
	"log/slog"
	"sync"
	"time"
)

// A CaughtUp logs that a source has read all that there is: at the start, and after
// it was behind for a minute or more. It is safe for concurrent use.
type CaughtUp struct {
	Log *slog.Logger

	mu     sync.Mutex
	begun  bool
	behind time.Time // since then; zero: it is not
}

// minBehind is how long a source is behind before the end of that is worth a line.
const minBehind = time.Minute

// Behind notes how much there was to read at a time, in units of the source.
func (c *CaughtUp) Behind(n int64, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case n > 0 && c.behind.IsZero():
		c.behind = now
	case n > 0:
	case !c.begun, !c.behind.IsZero() && now.Sub(c.behind) >= minBehind:
		c.begun = true
		c.Log.Info("caught up: all that there is has been read")
		fallthrough
	default:
		c.behind = time.Time{}
	}
}
