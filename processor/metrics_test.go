package processor

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/journal/store"
)

type openStats []exposure.Open

func (s openStats) Stats() (journal.Stats, error) { return journal.Stats{}, store.ErrClosed }
func (s openStats) Open() []exposure.Open         { return s }

// The series by account are bounded, and their sum is every open exposure.
func TestOpenExposuresByAccountAreBounded(t *testing.T) {
	var open openStats
	for account := range 3 * maxAccounts {
		for _, severity := range []exposure.Severity{exposure.High, exposure.Critical} {
			open = append(open, exposure.Open{Account: fmt.Sprintf("%012d", account), Severity: severity})
		}
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(statsCollector{open})
	n, err := testutil.GatherAndCount(reg, "mfawatch_account_open_exposures")
	if err != nil || n != 2*(maxAccounts+1) {
		t.Errorf("%d series, %v", n, err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	total := 0.0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "mfawatch_account_open_exposures" {
				total += m.GetGauge().GetValue()
			}
		}
	}
	if total != float64(len(open)) {
		t.Errorf("the series add up to %v of %d", total, len(open))
	}
}
