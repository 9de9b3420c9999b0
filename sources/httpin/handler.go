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
	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// handler serves one Run of a source.
type handler struct {
	*Source
	handle processor.Handler
}

// A reply is what a request came to.
type reply struct {
	status  int
	result  string // of the metric
	message string // for the sender
	retry   int    // seconds, of Retry-After
}

var taken200 = reply{status: http.StatusOK, result: resultTaken}

// later asks for the same again, for something went wrong here.
func later(why string) reply { return reply{http.StatusServiceUnavailable, resultFailed, why, 5} }

func (d *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.URL.Path == "/healthz" {
		w.WriteHeader(http.StatusOK) // for what balances load
		return
	}
	rep := d.answer(w, r)
	d.metrics.requests.WithLabelValues(rep.result).Inc()
	if rep.status >= 400 && rep.result != resultFailed { // which was told where it failed
		d.mention.Do(func() {
			d.log.Warn("a request was not taken", "status", rep.status, "why", rep.message, "from", origin(r))
		})
	}
	if rep.status >= 400 && r.Header.Get("Expect") == "" {
		// Many senders read no answer before all of theirs is sent.
		_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, d.body))
	}
	rep.write(w, r)
}

// answer takes what was posted, or says why not.
func (d *handler) answer(w http.ResponseWriter, r *http.Request) reply {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return reply{http.StatusMethodNotAllowed, resultUnreadable, "records are posted: want POST", 0}
	}
	if rep, ok := d.admit(w, r); !ok {
		return rep
	}
	if coding := unknownCoding(r.Header); coding != "" {
		return reply{http.StatusUnsupportedMediaType, resultUnreadable, "Content-Encoding " + strconv.Quote(safetext.Clean(coding, 32)) + " is not read; want gzip or zstd", 0}
	}
	if r.ContentLength > d.body {
		return reply{http.StatusRequestEntityTooLarge, resultTooLarge, errTooLarge.Error(), 0}
	}
	room := roomFor(r)
	if !d.take(r.Context(), room) {
		return noRoom
	}
	defer func() { d.giveBack(room) }()
	b := openBody(http.MaxBytesReader(w, r.Body, d.body), d.inflated)
	defer b.Close()
	if b.layers > 0 && room < mostRoom { // which its headers did not say
		if !d.take(r.Context(), mostRoom-room) {
			return noRoom
		}
		room = mostRoom
	}
	if b.opened == nil && !b.begins() {
		return reply{http.StatusBadRequest, resultUnreadable, errNoRecords.Error(), 0}
	}
	return d.deliver(r.Context(), processor.Part{Origin: trail.Place(origin(r)), Body: b}, b)
}

var noRoom = reply{http.StatusServiceUnavailable, resultBusy, "too much is being handled", 2}

// take waits for room, not for long.
func (d *handler) take(ctx context.Context, room int64) bool {
	ctx, cancel := context.WithTimeout(ctx, d.waitRoom)
	defer cancel()
	if d.room.Acquire(ctx, room) != nil {
		return false
	}
	d.metrics.held.Add(float64(room))
	return true
}

func (d *handler) giveBack(room int64) {
	d.room.Release(room)
	d.metrics.held.Sub(float64(room))
}

// admit reports whether the sender may post, and returns the answer to one that
// may not.
func (d *handler) admit(w http.ResponseWriter, r *http.Request) (reply, bool) {
	if !d.config.asks() {
		if fromWebPage(r) {
			return reply{http.StatusForbidden, resultForbidden, "web pages may not post here: set tokens, or name this machine by its IP address or localhost", 0}, false
		}
		return reply{}, true
	}
	admitted, err := d.config.admits(r)
	if err != nil {
		d.trouble.Do(func() { d.log.Error("no token can be read, so that nobody is admitted", "err", err) })
		return later("the tokens cannot be read at the moment"), false
	}
	if !admitted {
		w.Header().Add("WWW-Authenticate", "Bearer")
		w.Header().Add("WWW-Authenticate", `Basic realm="mfawatch"`)
		return reply{http.StatusUnauthorized, resultUnauthorized, "want one of the source's tokens, such as Authorization: Bearer TOKEN", 0}, false
	}
	return reply{}, true
}

// deliver hands a part to the handler. b is what the part reads.
func (d *handler) deliver(ctx context.Context, part processor.Part, b *body) reply {
	err := d.handle(ctx, processor.Delivery{Source: d.name, Parts: func(yield func(processor.Part, error) bool) { yield(part, nil) }})
	rep := d.outcome(ctx, err, b.err)
	if rep.status == http.StatusOK {
		d.metrics.Acked.Inc()
	} else {
		d.metrics.Failed.Inc()
	}
	return rep
}

// outcome says what a delivery came to; read is what the body could not be read
// for.
func (d *handler) outcome(ctx context.Context, err, read error) reply {
	switch {
	case err == nil && read == nil:
		return taken200
	case errors.Is(read, errTooLarge), errors.Is(read, errInflated):
		return reply{http.StatusRequestEntityTooLarge, resultTooLarge, read.Error(), 0}
	case errors.Is(read, errDamaged):
		return reply{http.StatusBadRequest, resultUnreadable, safetext.Clean(read.Error(), 200), 0}
	case read != nil, ctx.Err() != nil:
		return reply{http.StatusBadRequest, resultAborted, "the body did not come to its end", 0}
	}
	d.mention.Do(func() {
		d.log.Warn("records could not be taken; their sender was asked to send them again", "err", err)
	})
	return later("the records could not be journalled; send them again")
}

// firehoseRequest is the ID of a request of Amazon Data Firehose, "" if it is
// none.
func firehoseRequest(r *http.Request) string {
	id := r.Header.Get("X-Amz-Firehose-Request-Id")
	return id[:min(len(id), 256)]
}

// origin says where a request came from.
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

// write answers. Firehose wants its request's ID back, as JSON, whatever it is
// told; it takes 200 alone for success, gives up at 413, and sends again for the
// rest.
// (docs.aws.amazon.com/firehose/latest/dev/httpdeliveryrequestresponse.html)
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
