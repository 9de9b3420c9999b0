package dispatch

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/sinks"
)

type metrics struct {
	sends     *prometheus.CounterVec   // by sink and result
	duration  *prometheus.HistogramVec // by sink
	delivered *prometheus.HistogramVec // by sink
	done      *prometheus.HistogramVec // by sink
	retries   *prometheus.CounterVec   // by sink
	throttled *prometheus.CounterVec   // by sink
	overtaken *prometheus.CounterVec   // by sink
	leftOut   *prometheus.CounterVec   // by sink
	untaken   *prometheus.CounterVec   // by sink
	held      *prometheus.GaugeVec     // by sink
	open      *prometheus.GaugeVec     // by sink
}

func newMetrics(reg prometheus.Registerer, j stock, sinks []string) *metrics {
	f := promauto.With(reg)
	m := &metrics{
		sends: f.NewCounterVec(prometheus.CounterOpts{Name: "mfawatch_sink_sends_total",
			Help: "Attempts to send an alert, by how they ended."}, []string{"sink", "result"}),
		duration: f.NewHistogramVec(prometheus.HistogramOpts{Name: "mfawatch_sink_send_seconds",
			Help: "Time that an attempt to send took.", Buckets: []float64{.001, .005, .025, .1, .5, 1, 2.5, 5, 10, 30}}, []string{"sink"}),
		delivered: f.NewHistogramVec(prometheus.HistogramOpts{Name: "mfawatch_event_delivered_seconds",
			Help:    "Time from eventTime until the sink was told.",
			Buckets: []float64{1, 5, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 6 * 3600, 24 * 3600, 7 * 24 * 3600}}, []string{"sink"}),
		done: f.NewHistogramVec(prometheus.HistogramOpts{Name: "mfawatch_sink_done_seconds",
			Help:    "Time from the event's being journalled until it was journalled that the sink was told.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600, 6 * 3600, 24 * 3600}}, []string{"sink"}),
		retries: f.NewCounterVec(prometheus.CounterOpts{Name: "mfawatch_sink_retries_total",
			Help: "Attempts to send an alert that failed before."}, []string{"sink"}),
		throttled: f.NewCounterVec(prometheus.CounterOpts{Name: "mfawatch_sink_throttled_seconds_total",
			Help: "Time that the channel asked to be left alone."}, []string{"sink"}),
		overtaken: f.NewCounterVec(prometheus.CounterOpts{Name: "mfawatch_sink_overtaken_total",
			Help: "Alerts that were not sent, since a later step made them old news before they could be."}, []string{"sink"}),
		leftOut: f.NewCounterVec(prometheus.CounterOpts{Name: "mfawatch_sink_left_out_total",
			Help: "Alerts that the sink was not told, since the routes keep them from it."}, []string{"sink"}),
		untaken: f.NewCounterVec(prometheus.CounterOpts{Name: "mfawatch_sink_untaken_total",
			Help: "Alerts that the sink was told as all are, since no route takes them."}, []string{"sink"}),
		held: f.NewGaugeVec(prometheus.GaugeOpts{Name: "mfawatch_sink_held_exposures",
			Help: "Exposures of which the sink is told at the end of quiet hours."}, []string{"sink"}),
		open: f.NewGaugeVec(prometheus.GaugeOpts{Name: "mfawatch_sink_circuit_open",
			Help: "1 while the channel is down or misconfigured and only tried with one alert at a time, else 0."}, []string{"sink"}),
	}
	for _, name := range sinks {
		m.sink(name)
	}
	if reg != nil {
		reg.MustRegister(stockCollector{j})
	}
	return m
}

// sinkMetrics is the series of one sink.
type sinkMetrics struct {
	sends     *prometheus.CounterVec // by result
	duration  prometheus.Observer
	delivered prometheus.Observer
	done      prometheus.Observer
	retries   prometheus.Counter
	throttled prometheus.Counter
	overtaken prometheus.Counter
	leftOut   prometheus.Counter
	untaken   prometheus.Counter
	held      prometheus.Gauge
	open      prometheus.Gauge
}

func (m *metrics) sink(name string) *sinkMetrics {
	s := &sinkMetrics{
		sends:     m.sends.MustCurryWith(prometheus.Labels{"sink": name}),
		duration:  m.duration.WithLabelValues(name),
		delivered: m.delivered.WithLabelValues(name),
		done:      m.done.WithLabelValues(name),
		retries:   m.retries.WithLabelValues(name),
		throttled: m.throttled.WithLabelValues(name),
		overtaken: m.overtaken.WithLabelValues(name),
		leftOut:   m.leftOut.WithLabelValues(name),
		untaken:   m.untaken.WithLabelValues(name),
		held:      m.held.WithLabelValues(name),
		open:      m.open.WithLabelValues(name),
	}
	for _, v := range sinks.Verdicts {
		s.sends.WithLabelValues(string(v))
	}
	return s
}

// sent counts an attempt with n alerts.
func (s *sinkMetrics) sent(v sinks.Verdict, n int, took time.Duration) {
	s.sends.WithLabelValues(string(v)).Add(float64(n))
	s.duration.Observe(took.Seconds())
}

func (s *sinkMetrics) circuit(open bool) {
	s.open.Set(0)
	if open {
		s.open.Set(1)
	}
}

// A stock says what the journal holds at the moment.
type stock interface {
	Stats() (journal.Stats, error)
}

var (
	pendingDesc = prometheus.NewDesc("mfawatch_sink_pending",
		"Alerts that the sink has still to be told.", []string{"sink"}, nil)
	oldestDesc = prometheus.NewDesc("mfawatch_sink_oldest_pending_seconds",
		"Age of the oldest alert that the sink has still to be told.", []string{"sink"}, nil)
	deadDesc = prometheus.NewDesc("mfawatch_sink_dead_letters",
		"Alerts that the sink was not told and will not be, kept for a person to see to.", []string{"sink"}, nil)
)

// A stockCollector asks the journal when it is scraped.
type stockCollector struct{ stock }

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
	for name, s := range st.Sinks {
		age := 0.0
		if !s.Oldest.IsZero() {
			age = max(0, time.Since(s.Oldest).Seconds())
		}
		gauge := func(d *prometheus.Desc, v float64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, name)
		}
		gauge(pendingDesc, float64(s.Pending))
		gauge(oldestDesc, age)
		gauge(deadDesc, float64(s.Dead))
	}
}
