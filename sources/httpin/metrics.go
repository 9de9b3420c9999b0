package httpin

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mfawatch/mfawatch/sources"
)

// The results of a request.
const (
	resultTaken        = "taken"        // durable
	resultUnauthorized = "unauthorized" // no token
	resultForbidden    = "forbidden"    // a web page
	resultUnreadable   = "unreadable"   // can never be read
	resultTooLarge     = "too_large"
	resultBusy         = "busy"    // the memory budget is used up
	resultFailed       = "failed"  // could not be journalled
	resultAborted      = "aborted" // the sender went away
)

var results = []string{resultTaken, resultUnauthorized, resultForbidden, resultUnreadable, resultTooLarge, resultBusy, resultFailed, resultAborted}

// metrics holds the metrics of one HTTP source.
type metrics struct {
	*sources.Counters
	requests *prometheus.CounterVec // by result
	held     prometheus.Gauge
	refused  prometheus.Counter // connections
}

func newMetrics(source string, reg prometheus.Registerer) *metrics {
	of := sources.Metrics{Source: source, Registerer: reg}
	m := &metrics{
		Counters: sources.NewCounters(source, reg),
		requests: of.CounterVec("mfawatch_http_requests_total", "Requests to post records, by result.", "result"),
		held:     of.Gauge("mfawatch_http_held_bytes", "Memory that requests under way reserve, of 128 MiB."),
		refused: of.Counter("mfawatch_http_connections_refused_total",
			"Connections closed before they showed a token: too many in all or of one address, or 10 s over."),
	}
	for _, r := range results {
		m.requests.WithLabelValues(r)
	}
	return m
}
