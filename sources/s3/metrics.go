package s3

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mfawatch/mfawatch/sources"
	"github.com/mfawatch/mfawatch/sources/bucket"
)

// The calls to SQS, as permissions and the labels of metrics name them.
const (
	actionReceive    = "ReceiveMessage"
	actionDelete     = "DeleteMessage"
	actionVisibility = "ChangeMessageVisibility"
)

// metrics holds the metrics of one S3 source. All sources of a process share the
// collectors.
type metrics struct {
	*sources.Counters
	received, deleted prometheus.Counter
	returned          prometheus.Counter
	extended          prometheus.Counter
	inFlight          prometheus.Gauge
	age               prometheus.Observer
	ignored           *prometheus.CounterVec
	quarantined       *prometheus.CounterVec
	queueErrors       *prometheus.CounterVec
	objects, resumed  prometheus.Counter
	objectErrors      *prometheus.CounterVec
	skipped           *prometheus.CounterVec
	audited, alarms   prometheus.Counter
}

func newMetrics(source string, reg prometheus.Registerer) *metrics {
	of := sources.Metrics{Source: source, Registerer: reg}
	vec, one := of.CounterVec, of.Counter
	s := &metrics{
		Counters: sources.NewCounters(source, reg),
		received: one("mfawatch_sqs_received_total", "Messages received from the queue, redeliveries included."),
		deleted:  one("mfawatch_sqs_deleted_total", "Messages deleted from the queue after they were acknowledged."),
		returned: one("mfawatch_sqs_returned_total", "Messages put back into the queue, to come again after a wait."),
		extended: one("mfawatch_sqs_extended_total", "Times that the visibility of a message was prolonged."),
		inFlight: of.Gauge("mfawatch_sqs_in_flight_messages", "Messages that were received and are neither deleted nor put back yet."),
		age: sources.Registered(reg, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "mfawatch_sqs_message_age_seconds",
			Help:    "Time from the sending of a message until it was first received.",
			Buckets: []float64{0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 6 * 3600, 24 * 3600, 4 * 24 * 3600},
		}, []string{"source"})).WithLabelValues(source),
		ignored:      vec("mfawatch_sqs_ignored_total", "Messages without objects or records, deleted unread, such as test messages.", "reason"),
		quarantined:  vec("mfawatch_sqs_quarantined_total", "Messages sent to the quarantine, by cause.", "cause"),
		queueErrors:  vec("mfawatch_sqs_errors_total", "Calls to the queue that failed, by action and fault.", "action", "fault"),
		objects:      one("mfawatch_s3_objects_total", "Objects opened."),
		resumed:      one("mfawatch_s3_resumed_total", "Downloads that were resumed after the connection broke."),
		objectErrors: vec("mfawatch_s3_errors_total", "Objects that could not be read, by fault.", "fault"),
		skipped:      vec("mfawatch_s3_skipped_total", "Objects skipped unread, by reason.", "reason"),
		audited:      one("mfawatch_s3_audited_total", "Skipped objects that were read as a sample."),
		alarms:       one("mfawatch_s3_audit_alarms_total", "Skipped objects that hold records of IAM: the filter is wrong."),
	}
	for _, i := range ignoreReasons {
		s.ignored.WithLabelValues(string(i))
	}
	s.quarantined.WithLabelValues(causeUnparsable)
	for _, f := range bucket.Faults {
		s.objectErrors.WithLabelValues(string(f))
		if ownFault(f) {
			s.quarantined.WithLabelValues(string(f))
		}
		for _, action := range [...]string{actionReceive, actionDelete, actionVisibility} {
			s.queueErrors.WithLabelValues(action, string(f))
		}
	}
	for _, reason := range skipReasons {
		s.skipped.WithLabelValues(reason)
	}
	return s
}
