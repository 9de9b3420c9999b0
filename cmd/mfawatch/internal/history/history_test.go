package history

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
)

// When the tests begin.
var start = time.Date(2026, 7, 1, 8, 0, 0, 0, time.UTC)

// A service of which a test makes the metrics.
type measured struct {
	*prometheus.Registry
	records  *prometheus.CounterVec
	latency  *prometheus.HistogramVec
	lastSink *prometheus.GaugeVec
}

func newMeasured() measured {
	m := measured{
		prometheus.NewRegistry(),
		prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mfawatch_records_total"}, []string{"source"}),
		prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "mfawatch_sink_delivery_latency_seconds", Buckets: []float64{1, 2, 4}}, []string{"sink", "partition"}),
		prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "mfawatch_sink_last_delivery_timestamp_seconds"}, []string{"sink", "partition"}),
	}
	m.MustRegister(m.records, m.latency, m.lastSink)
	return m
}

func (m measured) look(t *testing.T, h *History, at time.Time) {
	t.Helper()
	metrics, err := m.Gather()
	if err != nil {
		t.Fatal(err)
	}
	h.Look(at, metrics)
}

// A step has the rate of its time and the latency of its deliveries alone, over all
// sources, sinks and shards.
func TestHistory(t *testing.T) {
	var h History
	m, at := newMeasured(), start
	m.records.WithLabelValues("a").Add(1000)
	m.latency.WithLabelValues("pager", "1").Observe(3)
	m.lastSink.WithLabelValues("pager", "1").Set(100)
	m.lastSink.WithLabelValues("pager", "2").Set(200)
	m.lastSink.WithLabelValues("mail", "1").Set(0)
	m.look(t, &h, at)
	if len(h.Steps()) != 0 {
		t.Fatalf("a step before its end: %v", h.Steps())
	}
	m.records.WithLabelValues("a").Add(60)
	m.records.WithLabelValues("b").Add(120)
	for range 98 {
		m.latency.WithLabelValues("pager", "2").Observe(0.5)
	}
	m.latency.WithLabelValues("mail", "1").Observe(3)
	m.latency.WithLabelValues("mail", "1").Observe(1000)
	m.look(t, &h, at.Add(30*time.Second))
	m.look(t, &h, at.Add(90*time.Second))
	m.records.Reset() // as by a source that was removed
	m.look(t, &h, at.Add(150*time.Second))
	got := h.Steps()
	if len(got) != 2 || got[0].Records != 2 || got[0].P50 < 0.5 || got[0].P50 > 0.52 || got[0].P99 != 4 || !got[0].End.Equal(at.Add(90*time.Second)) {
		t.Fatalf("%+v", got)
	}
	if got[1].Records != 0 || !math.IsNaN(got[1].P99) {
		t.Errorf("nothing happened: %+v", got[1])
	}
	if s := h.LastSuccess("sink", "pager"); s.Unix() != 200 {
		t.Errorf("last success of pager: %v", s)
	}
	if s := h.LastSuccess("sink", "mail"); !s.IsZero() {
		t.Errorf("last success of mail, which had none: %v", s)
	}
}

// The memory of a history is bounded.
func TestHistoryIsBounded(t *testing.T) {
	var h History
	for i := range 10 * StepCount {
		h.Look(start.Add(time.Duration(i)*StepTime), nil)
	}
	if got := h.Steps(); len(got) != StepCount || cap(h.steps) > 2*StepCount || !got[StepCount-1].End.Equal(start.Add((10*StepCount-1)*StepTime)) {
		t.Errorf("%d steps, room for %d", len(got), cap(h.steps))
	}
}

// A line is broken where a value or a step is missing, and a step alone is a dot.
func TestChart(t *testing.T) {
	if Charts(nil, output.Locale{}) != nil {
		t.Error("a chart of nothing")
	}
	end := start.Add(4 * time.Hour)
	nan := math.NaN()
	var steps []Step
	for minutes, values := range map[int][2]float64{0: {10, 0.2}, 1: {5, nan}, 2: {0, 0.1}, 30: {20, 400}, 239: {1, nan}, 241: {9, 9}} {
		steps = append(steps, Step{end.Add(-time.Duration(minutes) * time.Minute), values[0], values[1] / 2, values[1]})
	}
	slices.SortFunc(steps, func(a, b Step) int { return a.End.Compare(b.End) })
	got := Charts(steps, output.Locale{Zone: time.FixedZone("CEST", 2*60*60)})
	if len(got) != 2 || got[0].Lines[0].Path != "M2 61h0M420 2h0M476 64h0L478 48L480 33" || got[0].Text != "now 10/s" || got[0].Top != "20/s" || got[0].From != "10:00" || got[0].To != "14:00 CEST" {
		t.Errorf("records: %+v", got[0])
	}
	if line := got[1].Lines[1].Path; line != "M420 2h0M476 64h0M480 64h0" || got[1].Top != "6.7 min" || !strings.HasPrefix(got[1].Text, "99 %") {
		t.Errorf("latency: %+v", got[1])
	}
	for v, want := range map[float64]string{0: "0 ms", 0.0123: "12 ms", 0.5: "500 ms", 1.234: "1.2 s", 90: "90 s", 7200: "120 min"} {
		if got := Seconds(v); got != want {
			t.Errorf("Seconds(%v) = %s, want %s", v, got, want)
		}
	}
}
