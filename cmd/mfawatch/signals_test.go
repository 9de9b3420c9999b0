package main

import (
	"context"
	"os"
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

// A signal that comes twice, to the process and to its group, is one signal.
func TestOneSignalSentTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signals, done := make(chan os.Signal), make(chan struct{})
		var first, second int
		go onSignals(signals, done, func() { first++ }, func() { second++ })
		for _, step := range []struct {
			after  time.Duration
			second int
		}{{0, 0}, {0, 0}, {sameSignal - 1, 0}, {1, 1}} {
			time.Sleep(step.after) // of the bubble
			signals <- os.Interrupt
			synctest.Wait()
			if first != 1 || second != step.second {
				t.Errorf("a signal %s later: stopped %d times, immediately %d times, want 1 and %d", step.after, first, second, step.second)
			}
		}
		close(done)
	})
}
