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
	retries    prometheus.Counter
	throttled  prometheus.Counter
	superseded prometheus.Counter
	suppressed prometheus.Counter
	unrouted   prometheus.Counter
	muted      prometheus.Gauge
	open       prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer, name string, j stock) *metrics {
	reg = prometheus.WrapRegistererWith(prometheus.Labels{"sink": name}, reg)
	f := promauto.With(reg)
	m := &metrics{
		sends: f.NewCounterVec(prometheus.CounterOpts{Name: "mfawatch_sink_sends_total",
			Help: "Attempts to send an alert, by how they ended."}, []string{"result"}),
		duration: f.NewHistogram(prometheus.HistogramOpts{Name: "mfawatch_sink_send_duration_seconds",
			Help: "Time that an attempt to send took.", Buckets: []float64{.001, .005, .025, .1, .5, 1, 2.5, 5, 10, 30}}),
		delivered: f.NewHistogram(prometheus.HistogramOpts{Name: "mfawatch_event_delivered_latency_seconds",
			Help:    "Time from eventTime until the sink was told.",
			Buckets: []float64{1, 5, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 6 * 3600, 24 * 3600, 7 * 24 * 3600}}),
		done: f.NewHistogram(prometheus.HistogramOpts{Name: "mfawatch_sink_delivery_latency_seconds",
			Help:    "Time from the event's being journalled until it was journalled that the sink was told.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600, 6 * 3600, 24 * 3600}}),
		retries: f.NewCounter(prometheus.CounterOpts{Name: "mfawatch_sink_retries_total",
			Help: "Attempts to send an alert that failed before."}),
		throttled: f.NewCounter(prometheus.CounterOpts{Name: "mfawatch_sink_throttled_seconds_total",
			Help: "Time that the channel asked to be left alone."}),
		superseded: f.NewCounter(prometheus.CounterOpts{Name: "mfawatch_sink_superseded_total",
			Help: "Alerts that were not sent, since a later step made them old news before they could be."}),
		suppressed: f.NewCounter(prometheus.CounterOpts{Name: "mfawatch_sink_suppressed_total",
			Help: "Alerts that the sink was not told, since the routes keep them from it."}),
		unrouted: f.NewCounter(prometheus.CounterOpts{Name: "mfawatch_sink_unrouted_total",
			Help: "Alerts that the sink was told as all are, since no route takes them."}),
		muted: f.NewGauge(prometheus.GaugeOpts{Name: "mfawatch_sink_held_exposures",
			Help: "Exposures of which the sink is told at the end of quiet hours."}),
		open: f.NewGauge(prometheus.GaugeOpts{Name: "mfawatch_sink_circuit_open",
			Help: "1 while the channel is down or misconfigured and only tried with one alert at a time, else 0."}),
	}
	for _, v := range sinks.Verdicts {
		m.sends.WithLabelValues(string(v))
	}
	reg.MustRegister(stockCollector{j, name})
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

// A stock says what the journal holds at the moment.
type stock interface {
	Stats() (journal.Stats, error)
}

var (
	pendingDesc = prometheus.NewDesc("mfawatch_sink_pending",
		"Alerts that the sink has still to be told.", nil, nil)
	oldestDesc = prometheus.NewDesc("mfawatch_sink_oldest_pending_seconds",
		"Age of the oldest alert that the sink has still to be told.", nil, nil)
	deadDesc = prometheus.NewDesc("mfawatch_sink_dead_letters",
		"Alerts that the sink was not told and will not be, kept for a person to see to.", nil, nil)
)

// A stockCollector asks the journal when it is scraped.
type stockCollector struct {
	stock
	sink string
}

func (c stockCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{pendingDesc, oldestDesc, deadDesc} {
		ch <- d
	}
}

func (c stockCollector) Collect(ch chan<- prometheus.Metric) {
	st, err := c.Stats()
	if err != nil {
		return // closed: the others' series must not suffer from it
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
