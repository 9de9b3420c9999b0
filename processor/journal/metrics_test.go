package journal

import (
	"errors"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mfawatch/mfawatch/processor/trail"
)

func TestMetrics(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	o := options()
	o.Registerer = reg
	j, err := Open(t.TempDir()+"/mfawatch.db", o)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	mustAppend(t, j, event("1", "bob", 1))
	other, err := Open(t.TempDir()+"/mfawatch.db", o) // a shard of the same process
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	mustAppend(t, other, event("1", "bob", 1))
	failNext(j, false)
	if _, err := j.Append(t.Context(), []*trail.Event{event("1", "bob", 2)}); !errors.Is(err, errInjected) {
		t.Fatal(err)
	}
	problems, err := testutil.GatherAndLint(reg)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
	families, err := reg.Gather()
	if err != nil || len(families) != 2 {
		t.Fatal(families, err)
	}
	for _, f := range families {
		if n := f.GetMetric()[0].GetCounter().GetValue(); f.GetName() == "mfawatch_journal_commit_errors_total" && n != 1 {
			t.Errorf("%v failed transactions counted, want 1", n)
		}
		if f.GetName() == "mfawatch_journal_fsync_duration_seconds" {
			if h := f.GetMetric()[0].GetHistogram(); h.GetSampleCount() != 2 || h.GetSampleSum() <= 0 {
				t.Errorf("fsync: %v", h)
			}
		}
	}
}
