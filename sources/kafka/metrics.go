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
	of := sources.Metrics{Source: source, Registerer: reg}
	m := &metrics{
		Counters:     sources.NewCounters(source, reg),
		lag:          of.GaugeVec("mfawatch_kafka_lag_records", "Records in an assigned partition that have not been acknowledged yet.", "topic", "partition"),
		assigned:     of.Gauge("mfawatch_kafka_assigned_partitions", "Partitions that the consumer group assigned to this process."),
		held:         of.Gauge("mfawatch_kafka_held_bytes", "Bytes read from Kafka and not acknowledged yet."),
		fetchErrors:  of.CounterVec("mfawatch_kafka_fetch_errors_total", "Errors of fetches from Kafka, by reason.", "reason"),
		commitErrors: of.Counter("mfawatch_kafka_commit_errors_total", "Offset commits that failed; the next commit covers them."),
		trimmed:      of.Counter("mfawatch_kafka_trimmed_records_total", "Offsets that retention deleted before they were read: records were lost."),
	}
	for _, r := range errorReasons {
		m.fetchErrors.WithLabelValues(r)
	}
	return m
}
