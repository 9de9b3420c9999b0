package dispatch

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/sinks"
)

// tellSteps journals alerts, each "exposure step severity".
func tellSteps(t testing.TB, j *journal.Journal, alerts ...string) {
	t.Helper()
	for _, text := range alerts {
		words := strings.Fields(text)
		x, id := words[0], strings.Join(words[:2], "-")
		if _, err := j.Append(t.Context(), []*trail.Event{{ID: id, Account: "1", Time: time.Now(), Name: trail.DeactivateMFADevice}}); err != nil {
			t.Fatal(err)
		}
		_, err := j.Fold(t.Context(), time.Now(), func(_ []*trail.Event, _ alerting.State, _ time.Time) (out alerting.Outcome) {
			out.Alerts = append(out.Alerts, &exposure.Alert{ID: id, Exposure: &x, Time: time.Now(), Title: id,
				Step: exposure.Step(words[1]), Severity: exposure.Severity(words[2])})
			return out
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
	}
}

// If an exposure ends while earlier alerts are queued, people are sent the end,
// critical alerts, and those that may have arrived.
func TestEndSupersedes(t *testing.T) {
	down := errors.New("connection refused")
	for _, c := range []struct {
		name    string
		machine bool
		err     error
		before  []string // while the channel is down
		after   []string
		want    []string // delivered in the end
	}{
		{"all of it", false, down, []string{"a opened high", "a updated high"}, []string{"a escalated high", "a resolved info"}, []string{"a-resolved"}},
		{"not what is critical", false, down, []string{"a opened high"}, []string{"a exploited critical", "a escalated critical", "a resolved info"},
			[]string{"a-exploited", "a-resolved"}},
		{"not of others", false, down, []string{"a opened high", "b opened high"}, []string{"b resolved info"}, []string{"a-opened", "b-resolved"}},
		{"not what may have arrived", false, sinks.Ambiguous(down), []string{"a opened high"}, []string{"a escalated high", "a resolved info"},
			[]string{"a-opened", "a-resolved"}},
		{"nothing for machines", true, down, []string{"a opened high"}, []string{"a escalated high", "a resolved info"},
			[]string{"a-opened", "a-escalated", "a-resolved"}},
		{"nothing while it lasts", false, down, []string{"a opened high"}, []string{"a escalated high"}, []string{"a-opened", "a-escalated"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				var up atomic.Bool
				s := &fakeSink{t: t, answer: func(_ context.Context, _ *processor.Alert, ref string) (string, error) {
					if !up.Load() {
						return ref, c.err
					}
					return "delivered", nil
				}}
				r.start(delivery(DeliveryConfig{People: !c.machine, Retry: RetryConfig{Max: time.Minute}}), map[string]sinks.Sink{"a": s})
				defer r.stop()
				tellSteps(t, r.j, c.before...)
				time.Sleep(10 * time.Minute)
				tellSteps(t, r.j, c.after...)
				synctest.Wait()
				up.Store(true)
				r.idle()
				_, delivered := s.lists()
				slices.Sort(delivered)
				slices.Sort(c.want)
				equal(t, "delivered", delivered, c.want)
			})
		})
	}
}

// The reference that an exposure has is there for its end, though a step between
// was passed over, and over a restart.
func TestSupersedingKeepsTheRef(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var up atomic.Bool
		up.Store(true)
		var refs []string
		s := &fakeSink{t: t, answer: func(_ context.Context, a *processor.Alert, ref string) (string, error) {
			if !up.Load() {
				return ref, errors.New("down")
			}
			refs = append(refs, string(a.Step)+" "+ref)
			return "ticket", nil
		}}
		o := delivery(DeliveryConfig{People: true})
		r.start(o, map[string]sinks.Sink{"a": s})
		tellSteps(t, r.j, "a opened high")
		r.idle()
		up.Store(false)
		tellSteps(t, r.j, "a escalated high", "a resolved info")
		time.Sleep(time.Hour)
		r.stop()
		up.Store(true)
		r.start(o, map[string]sinks.Sink{"a": s})
		r.idle()
		r.stop()
		equal(t, "refs", refs, []string{"opened ", "resolved ticket"})
	})
}
