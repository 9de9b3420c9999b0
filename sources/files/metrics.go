package files

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mfawatch/mfawatch/sources"
)

// followMetrics counts what a source does that follows files.
type followMetrics struct {
	followed, behind prometheus.Gauge
	overflows        prometheus.Counter
}

func newFollowMetrics(source string, reg prometheus.Registerer) *followMetrics {
	gauge := func(name, help string) prometheus.Gauge {
		return sources.Registered(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"source"})).WithLabelValues(source)
	}
	return &followMetrics{
		followed: gauge("mfawatch_files_followed", "Files that are followed."),
		behind:   gauge("mfawatch_files_behind_bytes", "Bytes in followed files that are not acknowledged yet."),
		overflows: sources.Registered(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mfawatch_files_overflows_total",
			Help: "Lost events of changes in folders; each one triggered a poll.",
		}, []string{"source"})).WithLabelValues(source),
	}
}
