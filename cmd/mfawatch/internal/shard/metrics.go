package shard

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	restore                      prometheus.Histogram
	restarts                     prometheus.Counter
	committed, aborted, rejected prometheus.Counter
	foreign, leftOut             prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	transactions := f.NewCounterVec(prometheus.CounterOpts{Name: "mfawatch_shard_transactions_total",
		Help: "Transactions of the shared journal, by result."}, []string{"result"})
	return &metrics{
		restore: f.NewHistogram(prometheus.HistogramOpts{Name: "mfawatch_shard_restore_duration_seconds",
			Help:    "Time that a shard took to be restored.",
			Buckets: []float64{.1, .25, .5, 1, 2.5, 5, 10, 30, 60}}),
		restarts: f.NewCounter(prometheus.CounterOpts{Name: "mfawatch_shard_restarts_total",
			Help: "Shards that failed and were restored again."}),
		committed: transactions.WithLabelValues("committed"),
		aborted:   transactions.WithLabelValues("aborted"),
		rejected:  transactions.WithLabelValues("rejected"),
		foreign: f.NewCounter(prometheus.CounterOpts{Name: "mfawatch_shard_foreign_records_total",
			Help: "Records of the events topic that mfawatch did not write; they are quarantined."}),
		leftOut: f.NewCounter(prometheus.CounterOpts{Name: "mfawatch_shard_quarantine_left_out_total",
			Help: "Records that were lost to the quarantine of a shard because it was full."}),
	}
}

var (
	ownedDesc  = prometheus.NewDesc("mfawatch_shards_owned", "Shards that this replica serves.", nil, nil)
	allDesc    = prometheus.NewDesc("mfawatch_shards", "Shards of the shared journal, on all replicas together.", nil, nil)
	behindDesc = prometheus.NewDesc("mfawatch_shard_changelog_lag", "Records of the journal topic that are left to restore.", []string{"partition"}, nil)
	lagDesc    = prometheus.NewDesc("mfawatch_shard_lag", "Events of a shard that are not journalled yet, as of the last read.", []string{"partition"}, nil)
	lastDesc   = prometheus.NewDesc("mfawatch_shard_last_commit_timestamp_seconds", "When the last transaction of a shard was committed, in seconds since 1970.", []string{"partition"}, nil)
)

// A collector reads the state of the shards at each scrape.
type collector struct{ c *Cluster }

func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{allDesc, ownedDesc, behindDesc, lagDesc, lastDesc} {
		ch <- d
	}
}

func (c collector) Collect(ch chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	owned := 0.0
	for _, st := range c.c.Statuses() {
		p := strconv.Itoa(int(st.Partition))
		if st.LastCommit != nil {
			send(behindDesc, float64(st.ChangeLogLag), p)
		}
		if st.State == Serving {
			owned++
			send(lagDesc, float64(st.Lag), p)
			send(lastDesc, float64(st.LastCommit.UnixMilli())/1000, p)
		}
	}
	send(ownedDesc, owned)
	send(allDesc, float64(c.c.Partitions()))
}
