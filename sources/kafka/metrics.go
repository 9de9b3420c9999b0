package kafka

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mfawatch/mfawatch/sources"
)

// metrics holds the metrics of one Kafka source.
type metrics struct {
	*sources.Counters
	lag          *prometheus.GaugeVec // by topic and partition
	assigned     prometheus.Gauge
	held         prometheus.Gauge
	fetchErrors  *prometheus.CounterVec // by reason
	commitErrors prometheus.Counter
	trimmed      prometheus.Counter
}

func newMetrics(source string, reg prometheus.Registerer) *metrics {
	gauges := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return sources.Registered(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, append([]string{"source"}, labels...)))
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return sources.Registered(reg, prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append([]string{"source"}, labels...)))
	}
	of := prometheus.Labels{"source": source}
	m := &metrics{
		Counters: sources.NewCounters(source, reg),
		lag: gauges("mfawatch_kafka_lag_records",
			"Records in an assigned partition that have not been acknowledged yet.", "topic", "partition").MustCurryWith(of),
		assigned: gauges("mfawatch_kafka_assigned_partitions",
			"Partitions that the consumer group assigned to this process.").With(of),
		held: gauges("mfawatch_kafka_held_bytes",
			"Bytes read from Kafka and not acknowledged yet.").With(of),
		fetchErrors: counters("mfawatch_kafka_fetch_errors_total",
			"Errors of fetches from Kafka, by reason.", "reason").MustCurryWith(of),
		commitErrors: counters("mfawatch_kafka_commit_errors_total",
			"Offset commits that failed; the next commit covers them.").With(of),
		trimmed: counters("mfawatch_kafka_trimmed_records_total",
			"Offsets that retention deleted before they were read: records were lost.").With(of),
	}
	for _, r := range errorReasons {
		m.fetchErrors.WithLabelValues(r)
	}
	return m
}
