package sources

import "github.com/prometheus/client_golang/prometheus"

// The results of a request.
const (
	httpTaken        = "taken"        // durable
	httpUnauthorized = "unauthorized" // no token
	httpForbidden    = "forbidden"    // a web page
	httpUnreadable   = "unreadable"   // can never be read
	httpTooLarge     = "too_large"
	httpBusy         = "busy"    // no room at the moment
	httpFailed       = "failed"  // could not be journalled
	httpAborted      = "aborted" // the sender went away
)

var httpResults = []string{httpTaken, httpUnauthorized, httpForbidden, httpUnreadable, httpTooLarge, httpBusy, httpFailed, httpAborted}

// httpMetrics counts what is posted. Every HTTP source of a process counts on the
// same ones.
type httpMetrics struct {
	requests *prometheus.CounterVec
	held     *prometheus.GaugeVec
}

func newHTTPMetrics(reg prometheus.Registerer) *httpMetrics {
	return &httpMetrics{
		requests: registered(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mfawatch_http_requests_total",
			Help: "Requests to post records, by what came of it.",
		}, []string{"source", "result"})),
		held: registered(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mfawatch_http_held_bytes",
			Help: "Memory that requests under way may take; 128 MiB is all there is.",
		}, []string{"source"})),
	}
}

func (m *httpMetrics) begin(source string) {
	for _, r := range httpResults {
		m.requests.WithLabelValues(source, r)
	}
	m.held.WithLabelValues(source).Set(0)
}
