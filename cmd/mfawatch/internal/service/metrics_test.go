package service

import (
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/mfawatch/mfawatch/sinks/dispatch"
)

func TestMetricsLint(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := newMetrics(reg)
	m.sourceUp.WithLabelValues("trail")
	m.sourceRestarts.WithLabelValues("trail")
	m.sinkRestarts.WithLabelValues("audit")
	sink := &servedSink{name: "audit"}
	sink.worker.Store(new(dispatch.Worker))
	reg.MustRegister(sinkCollector{&Pipeline{sinks: map[string]*servedSink{"audit": sink}}})
	problems, err := testutil.GatherAndLint(reg)
	problems = slices.DeleteFunc(problems, func(p promlint.Problem) bool { return !strings.HasPrefix(p.Metric, "mfawatch_") })
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}
