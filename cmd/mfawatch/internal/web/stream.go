package web

import (
	"net/http"
	"time"
)

// A stream answers with what is found, as it is found.
type stream struct {
	w       http.ResponseWriter
	kind    string // Content-Type
	started bool
}

// streamPatience bounds how long a client may take to read a part of a stream. The
// whole takes as long as it is large.
const streamPatience = time.Minute

func (s *stream) start() {
	_ = http.NewResponseController(s.w).SetWriteDeadline(time.Now().Add(streamPatience)) // not supported in tests: not needed
	if !s.started {
		s.started = true
		s.w.Header().Set("Content-Type", s.kind)
		s.w.Header().Set("Cache-Control", "no-store")
		s.w.WriteHeader(http.StatusOK)
	}
}

func (s *stream) Write(b []byte) (int, error) {
	s.start()
	return s.w.Write(b)
}

// end ends the answer. After an error the connection is aborted, so that an answer
// cut short does not look whole.
func (s *stream) end(err error) {
	switch {
	case err == nil:
		s.start()
	case s.started:
		panic(http.ErrAbortHandler)
	default:
		answer(s.w, nil, err)
	}
}
