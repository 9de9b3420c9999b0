package sources

import (
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestCaughtUp(t *testing.T) {
	var log strings.Builder
	c := CaughtUp{Log: slog.New(slog.NewTextHandler(&log, nil))}
	at := time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)
	for _, f := range []struct {
		after time.Duration
		n     int64
		lines int
	}{
		{0, 7, 0}, {time.Second, 0, 1}, // the start
		{2 * time.Second, 3, 1}, {3 * time.Second, 0, 1}, // a moment
		{time.Minute, 1, 1}, {90 * time.Second, 9, 1}, {2 * time.Minute, 0, 2}, {3 * time.Minute, 0, 2},
	} {
		c.Behind(f.n, at.Add(f.after))
		if got := strings.Count(log.String(), "caught up"); got != f.lines {
			t.Errorf("%d behind after %s: %d lines, want %d", f.n, f.after, got, f.lines)
		}
	}
}
