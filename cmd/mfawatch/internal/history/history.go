// Package history remembers what a service did in the last hours, from its metrics,
// and draws it.
package history

import (
	"math"
	"slices"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// A history has StepCount steps at most, each of StepTime or longer.
const (
	StepTime  = time.Minute
	StepCount = 240
)

// A Step counts the work of a service in about a minute.
type Step struct {
	End      time.Time
	Records  float64 // a second
	P50, P99 float64 // of the latency of deliveries, in seconds; NaN: there were none
}

// A History remembers the last hours of a service, and when its sources and sinks
// last succeeded, from its metrics.
type History struct {
	mu      sync.Mutex
	at      time.Time // when the last step ended; zero: before the first look
	records float64
	latency latencies
	steps   []Step
	last    map[part]time.Time
}

// A part is a source or a sink.
type part struct{ kind, name string } // kind: source or sink

// A latencies is a histogram: how many deliveries took at most so many seconds.
type latencies map[float64]float64

// Look reads the metrics as of now. The first look begins the first step.
func (h *History) Look(now time.Time, metrics []*dto.MetricFamily) {
	records, latency, last := 0.0, latencies{}, map[part]time.Time{}
	for _, f := range metrics {
		for _, m := range f.GetMetric() {
			switch f.GetName() {
			case "mfawatch_records_total":
				records += m.GetCounter().GetValue()
			case "mfawatch_sink_delivery_latency_seconds":
				for _, b := range m.GetHistogram().GetBucket() {
					latency[b.GetUpperBound()] += float64(b.GetCumulativeCount())
				}
				latency[math.Inf(1)] += float64(m.GetHistogram().GetSampleCount())
			case "mfawatch_source_last_delivery_timestamp_seconds":
				noteLast(last, "source", m)
			case "mfawatch_sink_last_delivery_timestamp_seconds":
				noteLast(last, "sink", m)
			}
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = last
	took := now.Sub(h.at)
	if !h.at.IsZero() && took < StepTime {
		return
	}
	if !h.at.IsZero() {
		s := Step{End: now, Records: max(0, records-h.records) / took.Seconds()}
		s.P50, s.P99 = latency.since(h.latency).quantile(0.5), latency.since(h.latency).quantile(0.99)
		h.add(s)
	}
	h.at, h.records, h.latency = now, records, latency
}

// Add adds a step that ended after all others, in place of the oldest if there are
// StepCount already.
func (h *History) Add(s Step) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.add(s)
}

func (h *History) add(s Step) {
	h.steps = append(h.steps[max(0, len(h.steps)+1-StepCount):], s)
}

// noteLast keeps the newest time of a part: each shard has a series of its own.
func noteLast(last map[part]time.Time, kind string, m *dto.Metric) {
	for _, l := range m.GetLabel() {
		if p := (part{kind, l.GetValue()}); l.GetName() == kind && m.GetGauge().GetValue() > 0 {
			if at := time.Unix(int64(m.GetGauge().GetValue()), 0).UTC(); at.After(last[p]) {
				last[p] = at
			}
		}
	}
}

// LastSuccess returns when a source or sink (the kind) last succeeded, zero if it did
// not since the start.
func (h *History) LastSuccess(kind, name string) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last[part{kind, name}]
}

// Steps returns the steps, the oldest first, at most StepCount.
func (h *History) Steps() []Step {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.steps)
}

// since returns what came after before. A series that was reset counts in full.
func (l latencies) since(before latencies) latencies {
	d := latencies{}
	for bound, n := range l {
		d[bound] = n - before[bound]
		if d[bound] < 0 {
			return l
		}
	}
	return d
}

// quantile estimates a quantile as Prometheus does: evenly within a bucket, and
// at most the highest finite bound.
func (l latencies) quantile(q float64) float64 {
	bounds := make([]float64, 0, len(l))
	for bound := range l {
		bounds = append(bounds, bound)
	}
	slices.Sort(bounds)
	if len(bounds) < 2 || l[bounds[len(bounds)-1]] == 0 {
		return math.NaN()
	}
	want := q * l[bounds[len(bounds)-1]]
	lower, below := 0.0, 0.0
	for _, bound := range bounds[:len(bounds)-1] {
		if n := l[bound]; n >= want && n > below {
			return lower + (bound-lower)*(want-below)/(n-below)
		}
		lower, below = bound, l[bound]
	}
	return lower
}
