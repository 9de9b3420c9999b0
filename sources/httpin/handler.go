package httpin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/connlimit"
	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// handler serves one Run of a source.
type handler struct {
	*Source
	handle processor.Handler
}

// A reply is the answer to a request.
type reply struct {
	status  int
	result  string // of the metric
	message string // for the sender
	retry   int    // seconds, of Retry-After
}

var accepted = reply{status: http.StatusOK, result: resultTaken}

// retryLater asks the sender to retry after a fault on this side.
func retryLater(why string) reply { return reply{http.StatusServiceUnavailable, resultFailed, why, 5} }

func (d *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.URL.Path == "/healthz" {
		w.WriteHeader(http.StatusOK) // for load balancers
		return
	}
	rep := d.answer(w, r)
	d.metrics.requests.WithLabelValues(rep.result).Inc()
	if rep.status >= 400 && rep.result != resultFailed { // logged where it failed
		d.senderWarn.Do(func() {
			d.log.Warn("request refused", "status", rep.status, "why", rep.message, "from", origin(r))
		})
	}
	if rep.status >= 400 && r.Header.Get("Expect") == "" {
		// Many senders read no answer before they have sent their body.
		_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, d.body))
	}
	rep.write(w, r)
}

// answer handles a request and returns the reply.
func (d *handler) answer(w http.ResponseWriter, r *http.Request) reply {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return reply{http.StatusMethodNotAllowed, resultUnreadable, "records are posted: want POST", 0}
	}
	if rep, ok := d.admit(w, r); !ok {
		return rep
	}
	connlimit.Prove(r.Context())
	if coding := unknownCoding(r.Header); coding != "" {
		return reply{http.StatusUnsupportedMediaType, resultUnreadable, "Content-Encoding " + strconv.Quote(safetext.Clean(coding, 32)) + " is not read; want gzip or zstd", 0}
	}
	if r.ContentLength > d.body {
		return reply{http.StatusRequestEntityTooLarge, resultTooLarge, errTooLarge.Error(), 0}
	}
	reserved := reserveFor(r)
	if !d.acquire(r.Context(), reserved) {
		return overBudget
	}
	defer func() { d.release(reserved) }()
	b := openBody(http.MaxBytesReader(w, r.Body, d.body), d.inflated)
	defer b.Close()
	if b.layers > 0 && reserved < maxReserve { // the headers did not say so
		if !d.acquire(r.Context(), maxReserve-reserved) {
			return overBudget
		}
		reserved = maxReserve
	}
	if b.err == nil && !b.begins() {
		return reply{http.StatusBadRequest, resultUnreadable, errNoRecords.Error(), 0}
	}
	part := processor.Part{Origin: trail.Place(origin(r)), Body: b}
	if b.archive() { // the processor inflates it
		part.MaxInflated = d.inflated
	}
	return d.deliver(r.Context(), part, b)
}

var overBudget = reply{http.StatusServiceUnavailable, resultBusy, "the memory budget for requests is used up", 2}

// acquire reserves n bytes of the memory budget, waiting for a moment.
func (d *handler) acquire(ctx context.Context, n int64) bool {
	ctx, cancel := context.WithTimeout(ctx, d.acquireTimeout)
	defer cancel()
	if d.budget.Acquire(ctx, n) != nil {
		return false
	}
	d.metrics.held.Add(float64(n))
	return true
}

func (d *handler) release(n int64) {
	d.budget.Release(n)
	d.metrics.held.Sub(float64(n))
}

// admit reports whether the sender may post, and returns the refusal otherwise.
func (d *handler) admit(w http.ResponseWriter, r *http.Request) (reply, bool) {
	if !d.config.authenticates() {
		if fromWebPage(r) {
			return reply{http.StatusForbidden, resultForbidden, "web pages may not post here: set tokens, or name this machine by its IP address or localhost", 0}, false
		}
		return reply{}, true
	}
	admitted, err := d.config.authenticated(r)
	if err != nil {
		d.faultWarn.Do(func() {
			d.log.Error("tokens cannot be read, so every sender is refused; check token_files", "err", err)
		})
		return retryLater("the tokens cannot be read at the moment"), false
	}
	if !admitted {
		w.Header().Add("WWW-Authenticate", "Bearer")
		w.Header().Add("WWW-Authenticate", `Basic realm="mfawatch"`)
		return reply{http.StatusUnauthorized, resultUnauthorized, "want one of the source's tokens, such as Authorization: Bearer TOKEN", 0}, false
	}
	return reply{}, true
}

// deliver hands a part to the handler. The part reads b.
func (d *handler) deliver(ctx context.Context, part processor.Part, b *body) reply {
	err := d.handle(ctx, processor.Delivery{Source: d.name, Parts: processor.One(part)})
	rep := d.outcome(ctx, err, b.err)
	if rep.status == http.StatusOK {
		d.metrics.Acked.Inc()
	} else {
		d.metrics.Failed.Inc()
	}
	return rep
}

// outcome returns the reply to a delivery; read is the error of its body.
func (d *handler) outcome(ctx context.Context, err, read error) reply {
	switch {
	case err == nil && read == nil:
		return accepted
	case errors.Is(read, errTooLarge), errors.Is(read, errInflated):
		return reply{http.StatusRequestEntityTooLarge, resultTooLarge, read.Error(), 0}
	case errors.Is(read, errDamaged):
		return reply{http.StatusBadRequest, resultUnreadable, safetext.Clean(read.Error(), 200), 0}
	case read != nil, ctx.Err() != nil:
		return reply{http.StatusBadRequest, resultAborted, "the body did not come to its end", 0}
	}
	d.senderWarn.Do(func() {
		d.log.Warn("delivery failed; its sender was asked to send it again", "err", err)
	})
	return retryLater("the records could not be journalled; send them again")
}

// firehoseRequest returns the ID of a request of Amazon Data Firehose, "" for
// other senders.
func firehoseRequest(r *http.Request) string {
	id := r.Header.Get("X-Amz-Firehose-Request-Id")
	return id[:min(len(id), 256)]
}

// origin returns the origin of a request.
func origin(r *http.Request) string {
	if id := firehoseRequest(r); id != "" {
		return "firehose://" + safetext.Clean(id, 64)
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	return "http://" + host
}

// write writes the reply. Firehose expects its request's ID back, as JSON, with
// every status. Only 200 is success; it drops the records at 413 and retries the
// others.
// See docs.aws.amazon.com/firehose/latest/dev/httpdeliveryrequestresponse.html.
func (rep reply) write(w http.ResponseWriter, r *http.Request) {
	body := []byte(nil)
	if id := firehoseRequest(r); id != "" {
		w.Header().Set("Content-Type", "application/json")
		body, _ = json.Marshal(struct {
			RequestID string `json:"requestId"`
			Timestamp int64  `json:"timestamp"`
			Error     string `json:"errorMessage,omitempty"`
		}{id, time.Now().UnixMilli(), rep.message})
	} else if rep.message != "" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		body = []byte(rep.message + "\n")
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if rep.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(rep.retry))
	}
	w.WriteHeader(rep.status)
	_, _ = w.Write(body)
}
