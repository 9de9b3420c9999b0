package journal

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// Under a burst folding takes half of the time at most; one event after a calm
// is folded immediately.
func TestFoldIsThrottled(t *testing.T) {
	path := t.TempDir() + "/mfawatch.db"
	synctest.Test(t, func(t *testing.T) {
		j, err := Open(path, options())
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		n := 0
		fold := func(ctx context.Context, cost time.Duration) (took time.Duration, err error) {
			n++
			mustAppend(t, j, event("1", "bob", n))
			begin := time.Now()
			_, err = j.Fold(ctx, begin, func(events []*trail.Event, _ alerting.State, _ time.Time) (out alerting.Outcome) {
				time.Sleep(cost)
				return out
			}, nil)
			return time.Since(begin), err
		}
		for i, want := range []time.Duration{100, 200, 200} { // the cost, and from the second on as long before it
			if took, err := fold(t.Context(), 100*time.Millisecond); took != want*time.Millisecond || err != nil {
				t.Errorf("fold %d took %s, %v, want %dms", i, took, err, want)
			}
		}
		time.Sleep(time.Second)
		if took, err := fold(t.Context(), time.Hour); took != time.Hour || err != nil {
			t.Errorf("after a calm: %s, %v", took, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if took, err := fold(ctx, 0); took != time.Millisecond || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("stopped while it waited: %s, %v", took, err)
		}
		if took, err := fold(t.Context(), 0); took > maxThrottle || err != nil {
			t.Errorf("after a long fold: waited for %s, %v", took, err)
		}
	})
}
