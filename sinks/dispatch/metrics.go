package dispatch

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/sinks"
)

// metrics are the series of one sink.
type metrics struct {
	sends      *prometheus.CounterVec // by result
	duration   prometheus.Histogram
	delivered  prometheus.Histogram
	done       prometheus.Histogram
	last       prometheus.Gauge
	retries    prometheus.Counter
	throttled  prometheus.Counter
	superseded prometheus.Counter
	suppressed prometheus.Counter
	unrouted   prometheus.Counter
	muted      prometheus.Gauge
	open       prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer, name string, j statser) *metrics {
	reg = prometheus.WrapRegistererWith(prometheus.Labels{"sink": name}, reg)
	f := promauto.With(reg)
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return f.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	m := &metrics{
		sends: f.NewCounterVec(prometheus.CounterOpts{Name: "mfawatch_sink_sends_total",
			Help: "Attempts to send an alert, by how they ended."}, []string{"result"}),
		duration: f.NewHistogram(prometheus.HistogramOpts{Name: "mfawatch_sink_send_duration_seconds",
			Help: "Time that an attempt to send took.", Buckets: []float64{.001, .005, .025, .1, .5, 1, 2.5, 5, 10, 30}}),
		delivered: f.NewHistogram(prometheus.HistogramOpts{Name: "mfawatch_event_delivered_latency_seconds",
			Help:    "Time from eventTime until the alert was delivered.",
			Buckets: []float64{1, 5, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 6 * 3600, 24 * 3600, 7 * 24 * 3600}}),
		done: f.NewHistogram(prometheus.HistogramOpts{Name: "mfawatch_sink_delivery_latency_seconds",
			Help:    "Time from the journalling of the event, or the end of its mute time or group window, until its delivery was journalled.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600, 6 * 3600, 24 * 3600}}),
		last:       gauge("mfawatch_sink_last_delivery_timestamp_seconds", "When a delivery was last journalled, in seconds since 1970; 0 if none was since the start."),
		retries:    counter("mfawatch_sink_retries_total", "Attempts to send an alert that failed before."),
		throttled:  counter("mfawatch_sink_throttled_seconds_total", "Time for which the channel asked to be sent nothing."),
		superseded: counter("mfawatch_sink_superseded_total", "Alerts that were not sent, since a later alert of the exposure replaced them."),
		suppressed: counter("mfawatch_sink_suppressed_total", "Alerts that were not sent, since the routes suppress them."),
		unrouted:   counter("mfawatch_sink_unrouted_total", "Alerts that were sent since no route matches them."),
		muted:      gauge("mfawatch_sink_held_exposures", "Exposures whose alerts wait for the end of mute times."),
		open:       gauge("mfawatch_sink_circuit_open", "1 while the channel is down or misconfigured and only tried with one alert at a time, else 0."),
	}
	for _, v := range sinks.Verdicts {
		m.sends.WithLabelValues(string(v))
	}
	reg.MustRegister(statsCollector{j, name})
	return m
}

// sent counts an attempt with n alerts.
func (m *metrics) sent(v sinks.Verdict, n int, took time.Duration) {
	m.sends.WithLabelValues(string(v)).Add(float64(n))
	m.duration.Observe(took.Seconds())
}

func (m *metrics) circuit(open bool) {
	m.open.Set(0)
	if open {
		m.open.Set(1)
	}
}

// A statser returns the statistics of the journal.
type statser interface {
	Stats() (journal.Stats, error)
}

var (
	pendingDesc = prometheus.NewDesc("mfawatch_sink_pending",
		"Alerts that are still to be sent to the sink.", nil, nil)
	oldestDesc = prometheus.NewDesc("mfawatch_sink_oldest_pending_seconds",
		"Age of the oldest alert that is still to be sent to the sink.", nil, nil)
	deadDesc = prometheus.NewDesc("mfawatch_sink_dead_letters",
		"Alerts that were given up, kept for a person to handle.", nil, nil)
)

// A statsCollector reads the journal when it is scraped.
type statsCollector struct {
	statser
	sink string
}

func (c statsCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{pendingDesc, oldestDesc, deadDesc} {
		ch <- d
	}
}

func (c statsCollector) Collect(ch chan<- prometheus.Metric) {
	st, err := c.Stats()
	if err != nil {
		return // closed: the other series are still collected
	}
	s, ok := st.Sinks[c.sink]
	if !ok {
		return
	}
	age := 0.0
	if !s.Oldest.IsZero() {
		age = max(0, time.Since(s.Oldest).Seconds())
	}
	for d, v := range map[*prometheus.Desc]float64{pendingDesc: float64(s.Pending), oldestDesc: age, deadDesc: float64(s.Dead)} {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v)
	}
}
