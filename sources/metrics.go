package sources

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Counters counts the deliveries of one source. Every source of a process
// registers the same metrics; the label source distinguishes them.
type Counters struct {
	Acked   prometheus.Counter // deliveries that the handler acknowledged
	Failed  prometheus.Counter // deliveries that the handler refused; they are offered again
	Retries prometheus.Counter // deliveries offered again
}

// NewCounters returns the counters of the source called name, at zero.
func NewCounters(name string, reg prometheus.Registerer) *Counters {
	m := Metrics{name, reg}
	deliveries := m.CounterVec("mfawatch_source_deliveries_total", "Deliveries offered, by result: acked, or failed and offered again later.", "result")
	return &Counters{
		Acked:   deliveries.WithLabelValues("acked"),
		Failed:  deliveries.WithLabelValues("failed"),
		Retries: m.Counter("mfawatch_source_retries_total", "Deliveries offered again after they had failed."),
	}
}

// Metrics makes the metrics of one source. Each has the label source, so that several
// sources of a process share it.
type Metrics struct {
	Source     string
	Registerer prometheus.Registerer // nil: they are counted and not shown
}

// CounterVec returns the source's counters of a name, by further labels.
func (m Metrics) CounterVec(name, help string, labels ...string) *prometheus.CounterVec {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append([]string{"source"}, labels...))
	return Registered(m.Registerer, vec).MustCurryWith(prometheus.Labels{"source": m.Source})
}

// Counter returns the source's counter of a name.
func (m Metrics) Counter(name, help string) prometheus.Counter {
	return m.CounterVec(name, help).WithLabelValues()
}

// GaugeVec returns the source's gauges of a name, by further labels.
func (m Metrics) GaugeVec(name, help string, labels ...string) *prometheus.GaugeVec {
	vec := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, append([]string{"source"}, labels...))
	return Registered(m.Registerer, vec).MustCurryWith(prometheus.Labels{"source": m.Source})
}

// Gauge returns the source's gauge of a name.
func (m Metrics) Gauge(name, help string) prometheus.Gauge {
	return m.GaugeVec(name, help).WithLabelValues()
}

// Delivered counts one delivery, whose handler returned err.
func (c *Counters) Delivered(err error) {
	if err != nil {
		c.Failed.Inc()
		return
	}
	c.Acked.Inc()
}

// Registered registers c. If another source has registered a collector of the
// same name before, Registered returns that one. A nil Registerer registers
// nothing.
func Registered[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	if reg == nil {
		return c
	}
	if err := reg.Register(c); err != nil {
		if are, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
			if existing, ok := are.ExistingCollector.(C); ok {
				return existing
			}
		}
		panic(err) // a name used for two things: a mistake in the program
	}
	return c
}
