package s3

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mfawatch/mfawatch/sources"
	"github.com/mfawatch/mfawatch/sources/bucket"
)

// What is asked of SQS, as permissions and the metrics' labels name it.
const (
	actionReceive    = "ReceiveMessage"
	actionDelete     = "DeleteMessage"
	actionVisibility = "ChangeMessageVisibility"
)

// metrics counts what one S3 source does. Those of the same name are the same
// ones for every source of a process.
type metrics struct {
	*sources.Counters
	received, deleted prometheus.Counter
	returned          prometheus.Counter
	extended          prometheus.Counter
	inFlight          prometheus.Gauge
	age               prometheus.Observer
	ignored           *prometheus.CounterVec
	givenUp           *prometheus.CounterVec
	queueErrors       *prometheus.CounterVec
	objects, resumed  prometheus.Counter
	objectErrors      *prometheus.CounterVec
	skipped           *prometheus.CounterVec
	audited, alarms   prometheus.Counter
}

func newMetrics(source string, reg prometheus.Registerer) *metrics {
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return sources.Registered(reg, prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append([]string{"source"}, labels...)))
	}
	one := func(name, help string) prometheus.Counter { return vec(name, help).WithLabelValues(source) }
	s := &metrics{
		Counters: sources.NewCounters(source, reg),
		received: one("mfawatch_sqs_received_total", "Messages received from the queue, those that came before included."),
		deleted:  one("mfawatch_sqs_deleted_total", "Messages deleted from the queue, since all they name is done."),
		returned: one("mfawatch_sqs_returned_total", "Messages put back into the queue, to come again after a wait."),
		extended: one("mfawatch_sqs_extended_total", "Times that the visibility of a message was prolonged."),
		inFlight: sources.Registered(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mfawatch_sqs_in_flight_messages",
			Help: "Messages that were received and are neither deleted nor put back yet.",
		}, []string{"source"})).WithLabelValues(source),
		age: sources.Registered(reg, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "mfawatch_sqs_message_age_seconds",
			Help:    "Time from a message's being sent until it was received first.",
			Buckets: []float64{0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 6 * 3600, 24 * 3600, 4 * 24 * 3600},
		}, []string{"source"})).WithLabelValues(source),
		ignored:      vec("mfawatch_sqs_ignored_total", "Messages that name nothing to be read, and were deleted: test messages and the like.", "reason"),
		givenUp:      vec("mfawatch_sqs_quarantined_total", "Messages given up and kept in the quarantine, by cause.", "cause"),
		queueErrors:  vec("mfawatch_sqs_errors_total", "Calls that the queue did not answer well, by what was asked and what is wrong.", "action", "fault"),
		objects:      one("mfawatch_s3_objects_total", "Objects opened."),
		resumed:      one("mfawatch_s3_resumed_total", "Times that the rest of an object was asked for, after the connection broke."),
		objectErrors: vec("mfawatch_s3_errors_total", "Objects that could not be read, by what is wrong.", "fault"),
		skipped:      vec("mfawatch_s3_skipped_total", "Objects not read for what their keys say, by reason.", "reason"),
		audited:      one("mfawatch_s3_audited_total", "Objects that a filter skips, looked into to see that nothing is missed."),
		alarms:       one("mfawatch_s3_audit_alarms_total", "Objects that a filter skips and that hold records of IAM all the same: the filter is wrong."),
	}
	for _, i := range ignorances {
		s.ignored.WithLabelValues(source, string(i))
	}
	s.givenUp.WithLabelValues(source, causeMessage)
	for _, f := range bucket.Faults {
		s.objectErrors.WithLabelValues(source, string(f))
		if ownFault(f) {
			s.givenUp.WithLabelValues(source, string(f))
		}
		for _, action := range [...]string{actionReceive, actionDelete, actionVisibility} {
			s.queueErrors.WithLabelValues(source, action, string(f))
		}
	}
	for _, reason := range skipReasons {
		s.skipped.WithLabelValues(source, reason)
	}
	return s
}
