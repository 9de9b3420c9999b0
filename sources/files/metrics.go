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
	m := sources.Metrics{Source: source, Registerer: reg}
	return &followMetrics{
		followed:  m.Gauge("mfawatch_files_followed", "Files that are followed."),
		behind:    m.Gauge("mfawatch_files_behind_bytes", "Bytes in followed files that are not acknowledged yet."),
		overflows: m.Counter("mfawatch_files_overflows_total", "Lost events of changes in folders; each one triggered a poll."),
	}
}
