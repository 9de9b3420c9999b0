package dispatch

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/sinks"
)

// Once a person ended an exposure at the channel, the channel gets no more of
// it, unless it opens again or turns critical; from then on it goes on.
func TestClosedExposureIsSentCriticalAlerts(t *testing.T) {
	for _, c := range []struct {
		name   string
		alerts []string // after reduced, which is sent, and escalated, which is superseded
		want   []string // of them, delivered
	}{
		{"nothing more", []string{"a updated high", "a resolved info"}, nil},
		{"somebody came in", []string{"a updated high", "a exploited critical", "a resolved info"}, []string{"a-exploited", "a-resolved"}},
		{"an intruder's work", []string{"a updated critical", "a resolved info"}, []string{"a-updated", "a-resolved"}},
		{"it opens again", []string{"a opened high", "a updated high"}, []string{"a-opened", "a-updated"}},
		{"a campaign grows", []string{"a campaign high", "a resolved info"}, []string{"a-campaign", "a-resolved"}},
		{"not of others", []string{"b opened high", "b escalated high", "a resolved info"}, []string{"b-opened"}},
	} {
		for _, restart := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				var delivered []string
				s := &fakeSink{t: t, answer: func(_ context.Context, a *processor.Alert, ref string) (string, error) {
					if a.Step == exposure.Escalated {
						return ref, sinks.ClosedByPerson(errors.New("closed"))
					}
					delivered = append(delivered, a.ID)
					return "ticket", nil
				}}
				o := delivery(DeliveryConfig{People: true})
				r.start(o, map[string]sinks.Sink{"a": s})
				tellSteps(t, r.j, "a reduced low", "a escalated high")
				r.idle()
				again := func() {
					if restart {
						r.stop()
						r.start(o, map[string]sinks.Sink{"a": s})
					}
				}
				delivered = nil
				for _, alert := range c.alerts {
					again()
					tellSteps(t, r.j, alert)
					r.idle()
				}
				r.stop()
				equal(t, c.name+": delivered", delivered, c.want)
			})
		}
	}
}

// All of its alerts may be waiting already, too.
func TestClosedExposureWithQueuedAlerts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var up atomic.Bool
		var delivered []string
		s := &fakeSink{t: t, answer: func(_ context.Context, a *processor.Alert, ref string) (string, error) {
			switch {
			case !up.Load():
				return ref, errors.New("down")
			case a.Step == exposure.Escalated:
				return ref, sinks.ClosedByPerson(errors.New("closed"))
			}
			delivered = append(delivered, a.ID)
			return "ticket", nil
		}}
		tellLater := delivery(DeliveryConfig{})
		r.start(tellLater, map[string]sinks.Sink{"a": s})
		tellSteps(t, r.j, "a opened high", "a escalated high", "a updated high", "a exploited critical", "a resolved info")
		synctest.Wait()
		up.Store(true)
		r.idle()
		r.stop()
		equal(t, "delivered", delivered, []string{"a-opened", "a-exploited", "a-resolved"})
	})
}
