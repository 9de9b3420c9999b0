package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestExitAfter(t *testing.T) {
	for _, tt := range []struct {
		name  string
		takes time.Duration
		exits bool
	}{
		{"stops in time", 9 * time.Second, false},
		{"hangs", time.Hour, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				exited := false
				stop := exitAfter(ctx, func() time.Duration { return 10 * time.Second }, func() { exited = true })
				time.Sleep(time.Hour) // nothing happens before ctx is done
				cancel()
				time.Sleep(tt.takes)
				stop()
				synctest.Wait()
				if exited != tt.exits {
					t.Errorf("exited: %v, want %v", exited, tt.exits)
				}
			})
		})
	}
}
