package web

import (
	"encoding/json"
	"net/http"
	"time"
)

// lines answers with JSON lines, each as it is found.
type lines struct {
	w       http.ResponseWriter
	encoder *json.Encoder
	started bool
}

func newLines(w http.ResponseWriter) *lines {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(10 * time.Minute)) // not supported in tests: not needed
	l := &lines{w: w, encoder: json.NewEncoder(w)}
	l.encoder.SetEscapeHTML(false)
	return l
}

func (l *lines) start() {
	if !l.started {
		l.started = true
		l.w.Header().Set("Content-Type", "application/x-ndjson")
		l.w.Header().Set("Cache-Control", "no-store")
		l.w.Header().Set("X-Content-Type-Options", "nosniff")
		l.w.WriteHeader(http.StatusOK)
	}
}

func (l *lines) write(v any) error {
	l.start()
	return l.encoder.Encode(v)
}

// end ends the list. After an error the connection is aborted, so that a list cut
// short does not look complete.
func (l *lines) end(err error) {
	switch {
	case err == nil:
		l.start()
	case l.started:
		panic(http.ErrAbortHandler)
	default:
		answer(l.w, nil, err)
	}
}
