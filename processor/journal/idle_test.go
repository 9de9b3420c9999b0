package journal

import (
	"context"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Idle waits for a fold that is on disk and not in memory yet.
func TestIdleWhileAFoldIsWritten(t *testing.T) {
	j := temp(t)
	enlist(t, j, "a")
	mustAppend(t, j, event("1", "bob", 1))
	ctx, cancel := context.WithCancel(t.Context())
	idle := make(chan error, 1)
	update, asked := j.store.Update, false
	j.store.Update = func(f func(*bolt.Tx) error) error {
		err := update(f)
		if !asked {
			asked = true
			go func() { idle <- j.Idle(ctx) }()
			select {
			case err := <-idle:
				t.Errorf("idle, with a pending alert: %v", err)
				idle <- err
			case <-time.After(50 * time.Millisecond): // so long it may wait; a mistake would show immediately
			}
		}
		return err
	}
	mustFold(t, j, each)
	if got := numbers(t, j, "a"); len(got) != 1 {
		t.Errorf("pending: %v", got)
	}
	cancel()
	if err := <-idle; err == nil {
		t.Error("idle, with a pending alert")
	}
}
