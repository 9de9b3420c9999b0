package main

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
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

// metrics counts what the pipeline does about parts that fail, about the
// configuration that is read again, and what people do about what went wrong.
type metrics struct {
	sourceUp       *prometheus.GaugeVec
	sourceRestarts *prometheus.CounterVec
	sinkRestarts   *prometheus.CounterVec
	reloads        *prometheus.CounterVec // by result
	reloadSuccess  prometheus.Gauge
	reloadTime     prometheus.Gauge
	deadLetters    *prometheus.CounterVec // by sink and action
	quarantine     *prometheus.CounterVec // by action
}

// The results of a reload, and what is done about dead letters and records kept
// aside.
const (
	reloadDone    = "done"
	reloadRefused = "refused"
	actionRetry   = "retry"
	actionDrop    = "drop"
)

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	m := &metrics{
		sourceUp: f.NewGaugeVec(prometheus.GaugeOpts{Name: "mfawatch_source_up",
			Help: "Whether a source runs (1), or failed and waits to be started again (0)."}, []string{"source"}),
		sourceRestarts: f.NewCounterVec(prometheus.CounterOpts{Name: "mfawatch_source_restarts_total",
			Help: "How often a source was started again after it had failed."}, []string{"source"}),
		sinkRestarts: f.NewCounterVec(prometheus.CounterOpts{Name: "mfawatch_sink_restarts_total",
			Help: "How often the dispatcher of a sink was started again after it had failed."}, []string{"sink"}),
		reloads: f.NewCounterVec(prometheus.CounterOpts{Name: "mfawatch_config_reloads_total",
			Help: "How often the configuration was read again, by what came of it."}, []string{"result"}),
		reloadSuccess: f.NewGauge(prometheus.GaugeOpts{Name: "mfawatch_config_reload_success",
			Help: "Whether the configuration that was read last is in effect (1), or was refused (0)."}),
		reloadTime: f.NewGauge(prometheus.GaugeOpts{Name: "mfawatch_config_reload_seconds",
			Help: "When a configuration came into effect last, in seconds since 1970."}),
		deadLetters: f.NewCounterVec(prometheus.CounterOpts{Name: "mfawatch_dead_letters_seen_to_total",
			Help: "Dead letters that a person retried or dropped."}, []string{"sink", "action"}),
		quarantine: f.NewCounterVec(prometheus.CounterOpts{Name: "mfawatch_quarantine_seen_to_total",
			Help: "Records kept aside that a person retried, with success, or dropped."}, []string{"action"}),
	}
	for _, result := range []string{reloadDone, reloadRefused} {
		m.reloads.WithLabelValues(result)
	}
	for _, action := range []string{actionRetry, actionDrop} {
		m.quarantine.WithLabelValues(action)
	}
	m.reloadSuccess.Set(1)
	m.reloadTime.SetToCurrentTime()
	return m
}

// forgetSource and forgetSink take away the series of what is gone.
func (m *metrics) forgetSource(name string) {
	m.sourceUp.DeleteLabelValues(name)
	m.sourceRestarts.DeleteLabelValues(name)
}

func (m *metrics) forgetSink(name string) { m.sinkRestarts.DeleteLabelValues(name) }

// reloaded counts a configuration that was read again.
func (m *metrics) reloaded(err error) {
	if err != nil {
		m.reloads.WithLabelValues(reloadRefused).Inc()
		m.reloadSuccess.Set(0)
		return
	}
	m.reloads.WithLabelValues(reloadDone).Inc()
	m.reloadSuccess.Set(1)
	m.reloadTime.SetToCurrentTime()
}

var sinkUpDesc = prometheus.NewDesc("mfawatch_sink_up",
	"Whether a sink gets its alerts told (1), or keeps failing (0).", []string{"sink"}, nil)

// A sinkCollector asks the sinks when it is scraped.
type sinkCollector struct{ p *pipeline }

func (c sinkCollector) Describe(ch chan<- *prometheus.Desc) { ch <- sinkUpDesc }

func (c sinkCollector) Collect(ch chan<- prometheus.Metric) {
	for _, s := range c.p.served() {
		up := 1.0
		if s.Ready() != nil {
			up = 0
		}
		ch <- prometheus.MustNewConstMetric(sinkUpDesc, prometheus.GaugeValue, up, s.name)
	}
}
