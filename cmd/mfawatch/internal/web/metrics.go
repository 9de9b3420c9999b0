package web

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// NewRegistry makes the registry that every package counts on, with what is
// known about the process and the build.
func NewRegistry() *prometheus.Registry {
	b := ReadBuild()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "mfawatch_build_info",
		Help:        "What the running binary was built from; always 1.",
		ConstLabels: prometheus.Labels{"version": b.Version, "commit": b.Commit, "go_version": b.GoVersion},
	})
	info.Set(1)
	reg := prometheus.NewRegistry()
	reg.MustRegister(info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return reg
}

// adminMetrics counts what people do about dead letters and records kept aside.
type adminMetrics struct {
	deadLetters *prometheus.CounterVec // by sink and action
	quarantine  *prometheus.CounterVec // by action
}

// What is done about dead letters and records kept aside.
const (
	actionRetry = "retry"
	actionDrop  = "drop"
)

func newAdminMetrics(reg prometheus.Registerer) *adminMetrics {
	f := promauto.With(reg)
	m := &adminMetrics{
		deadLetters: f.NewCounterVec(prometheus.CounterOpts{Name: "mfawatch_dead_letters_handled_total",
			Help: "Dead letters that a person retried or dropped."}, []string{"sink", "action"}),
		quarantine: f.NewCounterVec(prometheus.CounterOpts{Name: "mfawatch_quarantine_handled_total",
			Help: "Records kept aside that a person retried, with success, or dropped."}, []string{"action"}),
	}
	for _, action := range []string{actionRetry, actionDrop} {
		m.quarantine.WithLabelValues(action)
	}
	return m
}
