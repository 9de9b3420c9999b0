package journal

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	fsync  prometheus.Histogram
	errors prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	return &metrics{
		fsync: f.NewHistogram(prometheus.HistogramOpts{Name: "mfawatch_journal_fsync_duration_seconds",
			Help:    "Time that a transaction of the journal took to be written to disk.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10}}),
		errors: f.NewCounter(prometheus.CounterOpts{Name: "mfawatch_journal_commit_errors_total",
			Help: "Transactions of the journal that failed."}),
	}
}
