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
	audit := &channel{name: "audit"}
	sink := &servedSink{channel: audit}
	sink.worker.Store(new(dispatch.Worker))
	file := &shard{partition: -1, sinks: map[string]*servedSink{"audit": sink}}
	reg.MustRegister(sinkCollector{&Pipeline{channels: map[string]*channel{"audit": audit}, shards: []*shard{file}}})
	problems, err := testutil.GatherAndLint(reg)
	problems = slices.DeleteFunc(problems, func(p promlint.Problem) bool { return !strings.HasPrefix(p.Metric, "mfawatch_") })
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}
