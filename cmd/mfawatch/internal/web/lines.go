package web

import (
	"encoding/json"
	"net/http"
	"time"
)

// lines answers with a list as JSON lines, as they are found.
type lines struct {
	w       http.ResponseWriter
	encoder *json.Encoder
	begun   bool
}

func newLines(w http.ResponseWriter) *lines {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(10 * time.Minute)) // not for the network: not needed
	l := &lines{w: w, encoder: json.NewEncoder(w)}
	l.encoder.SetEscapeHTML(false)
	return l
}

func (l *lines) begin() {
	if !l.begun {
		l.begun = true
		l.w.Header().Set("Content-Type", "application/x-ndjson")
		l.w.Header().Set("Cache-Control", "no-store")
		l.w.Header().Set("X-Content-Type-Options", "nosniff")
		l.w.WriteHeader(http.StatusOK)
	}
}

func (l *lines) write(v any) error {
	l.begin()
	return l.encoder.Encode(v)
}

// end ends the list. One that is cut short must not look whole.
func (l *lines) end(err error) {
	switch {
	case err == nil:
		l.begin()
	case l.begun:
		panic(http.ErrAbortHandler)
	default:
		answer(l.w, nil, err)
	}
}
