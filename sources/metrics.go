package sources

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts what sources do. Every source of a process counts on the same
// ones, apart by their name.
type metrics struct {
	deliveries   *prometheus.CounterVec
	retries      *prometheus.CounterVec
	lag          *prometheus.GaugeVec
	assigned     *prometheus.GaugeVec
	held         *prometheus.GaugeVec
	fetchErrors  *prometheus.CounterVec
	commitErrors *prometheus.CounterVec
	followed     *prometheus.GaugeVec
	behind       *prometheus.GaugeVec
	overflows    *prometheus.CounterVec
}

// The results of a delivery.
const (
	resultAcked  = "acked"
	resultFailed = "failed"
)

func newMetrics(reg prometheus.Registerer) *metrics {
	return &metrics{
		deliveries: registered(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mfawatch_source_deliveries_total",
			Help: "Deliveries offered, by what came of it: acked, or failed and to be offered again.",
		}, []string{"source", "result"})),
		retries: registered(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mfawatch_source_retries_total",
			Help: "Deliveries offered again after they had failed.",
		}, []string{"source"})),
		lag: registered(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mfawatch_kafka_lag_records",
			Help: "Records in an assigned partition that have not been acknowledged yet.",
		}, []string{"source", "topic", "partition"})),
		assigned: registered(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mfawatch_kafka_assigned_partitions",
			Help: "Partitions that the consumer group has given to this process.",
		}, []string{"source"})),
		held: registered(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mfawatch_kafka_held_bytes",
			Help: "Bytes that were read from Kafka and not acknowledged yet.",
		}, []string{"source"})),
		fetchErrors: registered(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mfawatch_kafka_fetch_errors_total",
			Help: "Errors met in reading from Kafka, by reason.",
		}, []string{"source", "reason"})),
		commitErrors: registered(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mfawatch_kafka_commit_errors_total",
			Help: "Offset commits that failed; the next one covers them.",
		}, []string{"source"})),
		followed: registered(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mfawatch_files_followed",
			Help: "Files that are followed.",
		}, []string{"source"})),
		behind: registered(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mfawatch_files_behind_bytes",
			Help: "Bytes in files that are followed, and not acknowledged yet.",
		}, []string{"source"})),
		overflows: registered(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mfawatch_files_overflows_total",
			Help: "How often the system lost count of changes in folders, so that everything was looked at.",
		}, []string{"source"})),
	}
}

// begin makes the values of a source that are known beforehand, so that zero is
// visible.
func (m *metrics) begin(source string) {
	m.deliveries.WithLabelValues(source, resultAcked)
	m.deliveries.WithLabelValues(source, resultFailed)
	m.retries.WithLabelValues(source)
}

func (m *metrics) beginFollow(source string) {
	m.followed.WithLabelValues(source).Set(0)
	m.behind.WithLabelValues(source).Set(0)
	m.overflows.WithLabelValues(source)
}

func (m *metrics) beginKafka(source string) {
	m.begin(source)
	m.assigned.WithLabelValues(source).Set(0)
	m.held.WithLabelValues(source).Set(0)
	m.commitErrors.WithLabelValues(source)
	for _, r := range troubleReasons {
		m.fetchErrors.WithLabelValues(source, r)
	}
}

// registered is c, or the collector of the same name that another source has
// registered before.
func registered[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	if reg == nil {
		return c
	}
	if err := reg.Register(c); err != nil {
		var are prometheus.AlreadyRegisteredError
		if errors.As(err, &are) {
			if existing, ok := are.ExistingCollector.(C); ok {
				return existing
			}
		}
		panic(err) // a name used for two things: a mistake in the program
	}
	return c
}
