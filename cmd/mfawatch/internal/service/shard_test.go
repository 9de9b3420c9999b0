package service

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mfawatch/mfawatch/sinks/dispatch"
)

// Shards share the sends of a sink. Sends that hang in all of them delay no urgent
// send of a human sink.
func TestAdmit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := errors.New("another replica owns the shard")
		var lease error
		owned := &shard{lease: func() error { return lease }}
		try := func(admit func(context.Context, bool) (func(), error), urgent bool) (release func(), err error) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return admit(ctx, urgent)
		}
		for _, people := range []bool{false, true} {
			admit := owned.admit(newChannel("a", nil, dispatch.Options{Delivery: dispatch.DeliveryConfig{Concurrency: 2, People: people}}))
			hung, err := try(admit, false)
			if err != nil {
				t.Fatal(err)
			}
			lease = lost
			if _, err := try(admit, false); !errors.Is(err, lost) {
				t.Errorf("without the lease: %v", err)
			}
			lease = nil
			if _, err := try(admit, false); err != nil {
				t.Errorf("the refused send keeps its place: %v", err)
			}
			if _, err := try(admit, false); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a third send of two: %v", err)
			}
			for range 2 {
				if _, err := try(admit, true); people != (err == nil) {
					t.Errorf("an urgent send, people %t: %v", people, err)
				}
			}
			if _, err := try(admit, true); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a third urgent send of two: %v", err)
			}
			hung()
			if _, err := try(admit, true); err != nil {
				t.Errorf("an urgent send in the place of another one: %v", err)
			}
		}
	})
}
