package sinktest

import (
	"bytes"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// A HTTPServer is an HTTP server on the loopback that keeps the bodies of its
// requests, and ends requests badly when it is asked to. What it processes, it
// processes one after the other.
type HTTPServer struct {
	*httptest.Server

	mu     sync.Mutex
	faults []Fault
	sent   []string
	Spare  func(r *http.Request) bool // requests that end well whatever is injected, and are not kept: looks
}

// NewHTTPServer starts a server that h answers, except for injected faults.
func NewHTTPServer(t testing.TB, h http.Handler) *HTTPServer {
	s := &HTTPServer{}
	var turn sync.Mutex
	done := make(chan struct{})
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		s.mu.Lock()
		var f Fault
		if s.Spare == nil || !s.Spare(r) {
			s.sent = append(s.sent, string(body))
			if len(s.faults) > 0 {
				f, s.faults = s.faults[0], s.faults[1:]
			}
		}
		s.mu.Unlock()
		process := func(w http.ResponseWriter) {
			turn.Lock()
			defer turn.Unlock()
			h.ServeHTTP(w, r)
		}
		switch {
		case f.Hang != nil:
			close(f.Hang)
			select {
			case <-r.Context().Done():
			case <-done:
			}
		case f.Status != 0:
			maps.Copy(w.Header(), f.Header)
			w.WriteHeader(f.Status)
			_, _ = io.WriteString(w, f.Body)
		case f.Reset:
			faultyEnd(w, "")
		case f.After:
			process(httptest.NewRecorder())
			faultyEnd(w, "")
		case f.Cut:
			process(httptest.NewRecorder())
			faultyEnd(w, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{")
		default:
			process(w)
		}
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	t.Cleanup(func() {
		close(done)
		s.Close()
	})
	return s
}

// faultyEnd writes text and resets the connection; where there is text, it ends
// it in an orderly way, so that the text arrives.
func faultyEnd(w http.ResponseWriter, text string) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	_, _ = io.WriteString(c, text)
	if tcp, ok := c.(*net.TCPConn); ok && text == "" {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// Inject makes the next request end as f says.
func (s *HTTPServer) Inject(f Fault) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, f)
	return true
}

// Bodies returns the bodies of all requests so far.
func (s *HTTPServer) Bodies() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.sent)
}

// Journal journals the alerts, each with an event of its own.
func Journal(t testing.TB, j *journal.Journal, alerts ...*processor.Alert) {
	t.Helper()
	for _, a := range alerts {
		if _, err := j.Append(t.Context(), []*trail.Event{{ID: "event of " + a.ID, Account: "1", Time: a.Time, Name: trail.DeactivateMFADevice}}); err != nil {
			t.Fatal(err)
		}
		_, err := j.Fold(t.Context(), time.Now(), func([]*trail.Event, alerting.State, time.Time) alerting.Outcome {
			return alerting.Outcome{Alerts: []*exposure.Alert{a}}
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
	}
}

// HeldRecords returns the state of a channel that gets each alert as a record.
func HeldRecords(records []*processor.Alert, of *processor.Alert) (h Held) {
	seen := map[string]bool{}
	for _, a := range records {
		if caseOf(a) != caseOf(of) || seen[a.ID] {
			continue
		}
		seen[a.ID] = true
		h.Cases = 1
		h.Notes++
		h.State = State(h.State, a.Step)
	}
	return h
}

// State is the state after a step.
func State(before string, step exposure.Step) string {
	switch step {
	case exposure.Resolved:
		return "resolved"
	case exposure.Escalated, exposure.Exploited, exposure.Suspect:
		return "escalated"
	}
	if before != "" {
		return before
	}
	return "open"
}
