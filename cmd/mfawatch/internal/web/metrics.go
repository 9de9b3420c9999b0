package web

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/build"
)

// NewRegistry returns the registry of the program, with the metrics of the
// process and the build.
func NewRegistry() *prometheus.Registry {
	b := build.Read()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "mfawatch_build_info",
		Help:        "Version of the running binary; always 1.",
		ConstLabels: prometheus.Labels{"version": b.Version, "commit": b.Commit, "go_version": b.GoVersion},
	})
	info.Set(1)
	reg := prometheus.NewRegistry()
	reg.MustRegister(info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return reg
}

// adminMetrics counts dead letters and quarantined records that were handled.
type adminMetrics struct {
	deadLetters *prometheus.CounterVec // by sink and action
	quarantine  *prometheus.CounterVec // by action
}

// The actions on dead letters and quarantined records.
const (
	actionRetry = "retry"
	actionDrop  = "drop"
)

func newAdminMetrics(reg prometheus.Registerer) *adminMetrics {
	f := promauto.With(reg)
	m := &adminMetrics{
		deadLetters: f.NewCounterVec(prometheus.CounterOpts{Name: "mfawatch_dead_letters_handled_total",
			Help: "Dead letters retried or dropped by a person."}, []string{"sink", "action"}),
		quarantine: f.NewCounterVec(prometheus.CounterOpts{Name: "mfawatch_quarantine_handled_total",
			Help: "Quarantined records retried with success, or dropped, by a person."}, []string{"action"}),
	}
	for _, action := range []string{actionRetry, actionDrop} {
		m.quarantine.WithLabelValues(action)
	}
	return m
}
