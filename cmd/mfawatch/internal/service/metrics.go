package service

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics counts restarts of tasks and reloads of the configuration.
type metrics struct {
	sourceUp       *prometheus.GaugeVec
	sourceRestarts *prometheus.CounterVec
	sinkRestarts   *prometheus.CounterVec
	reloads        *prometheus.CounterVec // by result
	reloadSuccess  prometheus.Gauge
	reloadTime     prometheus.Gauge
}

// The results of a reload.
const (
	reloadDone    = "done"
	reloadRefused = "refused"
)

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	m := &metrics{
		sourceUp: f.NewGaugeVec(prometheus.GaugeOpts{Name: "mfawatch_source_up",
			Help: "Whether a source runs (1), or failed and waits for its restart (0)."}, []string{"source"}),
		sourceRestarts: f.NewCounterVec(prometheus.CounterOpts{Name: "mfawatch_source_restarts_total",
			Help: "Restarts of a source after a failure."}, []string{"source"}),
		sinkRestarts: f.NewCounterVec(prometheus.CounterOpts{Name: "mfawatch_sink_restarts_total",
			Help: "Restarts of a sink's worker after a failure."}, []string{"sink"}),
		reloads: f.NewCounterVec(prometheus.CounterOpts{Name: "mfawatch_config_reloads_total",
			Help: "Reloads of the configuration, by result."}, []string{"result"}),
		reloadSuccess: f.NewGauge(prometheus.GaugeOpts{Name: "mfawatch_config_last_reload_successful",
			Help: "Whether the configuration read last is in effect (1), or was refused (0)."}),
		reloadTime: f.NewGauge(prometheus.GaugeOpts{Name: "mfawatch_config_last_reload_success_timestamp_seconds",
			Help: "When the configuration in effect was loaded, in seconds since 1970."}),
	}
	for _, result := range []string{reloadDone, reloadRefused} {
		m.reloads.WithLabelValues(result)
	}
	m.reloadSuccess.Set(1)
	m.reloadTime.SetToCurrentTime()
	return m
}

// forgetSource and forgetSink delete the series of a removed source or sink.
func (m *metrics) forgetSource(name string) {
	m.sourceUp.DeleteLabelValues(name)
	m.sourceRestarts.DeleteLabelValues(name)
}

func (m *metrics) forgetSink(name string) { m.sinkRestarts.DeleteLabelValues(name) }

// reloaded counts a reload.
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
	"Whether a sink delivers its alerts (1), or keeps failing (0).", []string{"sink"}, nil)

// A sinkCollector reads the state of the sinks at each scrape.
type sinkCollector struct{ p *Pipeline }

func (c sinkCollector) Describe(ch chan<- *prometheus.Desc) { ch <- sinkUpDesc }

func (c sinkCollector) Collect(ch chan<- prometheus.Metric) {
	up := map[string]float64{}
	for _, name := range c.p.Sinks() {
		up[name] = 1
	}
	for _, s := range c.p.served() {
		if s.Ready() != nil {
			up[s.name] = 0
		}
	}
	for name, v := range up {
		ch <- prometheus.MustNewConstMetric(sinkUpDesc, prometheus.GaugeValue, v, name)
	}
}
