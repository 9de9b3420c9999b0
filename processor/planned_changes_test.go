package processor

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/rule"
)

func announcing(t *testing.T, user, ticket string, from, until time.Duration) *exposure.PlannedChange {
	t.Helper()
	m, err := rule.Compile(map[string]any{"user": user})
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	return &exposure.PlannedChange{Match: m, From: begin.Add(from), Until: begin.Add(until), Ticket: ticket, Approver: "ann"}
}

// Planned changes that did not happen, or are not over in time, are logged once
// and counted, over restarts too.
func TestExpectedChangesAreReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		policy := exposure.DefaultPolicy()
		policy.PlannedChanges = []*exposure.PlannedChange{
			announcing(t, "bob", "CHG-1", 0, time.Hour),
			announcing(t, "eve", "CHG-2", 0, time.Hour),
			announcing(t, "dan", "CHG-3", 24*time.Hour, 48*time.Hour),
		}
		r.SetPolicy(policy)
		states := func() string {
			var s []string
			for _, state := range changeStates {
				s = append(s, strings.Repeat(state[:3]+" ", int(testutil.ToFloat64(r.metrics.plannedChanges.WithLabelValues(state)))))
			}
			return strings.TrimSpace(strings.Join(s, ""))
		}
		run := func(d time.Duration) {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			if err := r.Run(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Handle(t.Context(), delivery(inBytes("a", object(record("DeactivateMFADevice", "bob", 1))))); err != nil {
			t.Fatal(err)
		}
		run(30 * time.Minute)
		if got := states(); got != "upc act use" {
			t.Errorf("at first: %s", got)
		}
		if s := r.log.String(); strings.Contains(s, "planned change") {
			t.Errorf("reported before its time: %s", s)
		}
		run(2 * time.Hour)
		if got := states(); got != "upc use unu" {
			t.Errorf("in the end: %s", got)
		}
		if n := testutil.ToFloat64(r.metrics.overdue); n != 1 {
			t.Errorf("%v overdue", n)
		}
		log := r.log.String()
		for _, want := range []string{
			`msg="planned change is overdue: the exposure is still open; human sinks are alerted now" ticket=CHG-1 approver=ann`,
			`msg="planned change expired unused: remove the entry, or find out why the change was not made" ticket=CHG-2 approver=ann`,
		} {
			if strings.Count(log, want) != 1 {
				t.Errorf("%q is not there once: %s", want, log)
			}
		}
		if strings.Contains(log, "CHG-3") {
			t.Errorf("reported before its time: %s", log)
		}

		// After a restart the journal knows what was used.
		again := newProcessor(r.line, Options{Logger: slog.New(slog.DiscardHandler), Policy: policy})
		again.reportPlannedChanges(time.Now())
		if n := testutil.ToFloat64(again.metrics.plannedChanges.WithLabelValues(changeUsed)); n != 1 {
			t.Errorf("%v used after a restart", n)
		}
	})
}
