package main

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// newRegistry makes the registry that every package counts on, with what is
// known about the process and the build.
func newRegistry() *prometheus.Registry {
	b := readBuild()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "mfawatch_build_info",
		Help:        "What the running binary was built from; always 1.",
		ConstLabels: prometheus.Labels{"version": b.version, "commit": b.commit, "go_version": b.goVersion},
	})
	info.Set(1)
	reg := prometheus.NewRegistry()
	reg.MustRegister(info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return reg
}

// metrics counts what the pipeline does about sources that fail.
type metrics struct {
	sourceUp       *prometheus.GaugeVec
	sourceRestarts *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		sourceUp: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mfawatch_source_up",
			Help: "Whether a source runs (1), or failed and waits to be started again (0).",
		}, []string{"source"}),
		sourceRestarts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mfawatch_source_restarts_total",
			Help: "How often a source was started again after it had failed.",
		}, []string{"source"}),
	}
	reg.MustRegister(m.sourceUp, m.sourceRestarts)
	return m
}
