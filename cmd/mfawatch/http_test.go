package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/mfawatch/mfawatch/sinks/dispatch"
)

func TestReadyzFailsWithEachPart(t *testing.T) {
	var broken error
	checks := []readiness{
		{"processor", func() error { return nil }},
		{"source trail", func() error { return broken }},
	}
	answer := func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		readyz(w, checks)
		return w
	}
	if w := answer(); w.Code != http.StatusOK || w.Body.String() != "processor: ok\nsource trail: ok\n" {
		t.Errorf("all well: %d %q", w.Code, w.Body)
	}
	broken = errors.New("no broker\nanswers")
	if w := answer(); w.Code != http.StatusServiceUnavailable || w.Body.String() != "processor: ok\nsource trail: no broker answers\n" {
		t.Errorf("a part is not ready: %d %q", w.Code, w.Body)
	}
}

func TestHTTPServer(t *testing.T) {
	s, err := listenHTTP("127.0.0.1:0", newRegistry(), func() []readiness { return nil }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, f := range []struct {
		method, path string
		status       int
		text         string
	}{
		{"GET", "/healthz", 200, "ok"},
		{"GET", "/readyz", 200, ""},
		{"GET", "/metrics", 200, "go_goroutines "},
		{"GET", "/metrics", 200, `mfawatch_build_info{commit="`},
		{"GET", "/metrics", 200, "process_start_time_seconds "},
		{"GET", "/etc/passwd", 404, ""},
		{"POST", "/metrics", 405, ""},
	} {
		request, err := http.NewRequestWithContext(t.Context(), f.method, "http://"+s.Addr()+f.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != f.status || !strings.Contains(string(body), f.text) {
			t.Errorf("%s %s: %d, %v, want %d and %q", f.method, f.path, answer.StatusCode, err, f.status, f.text)
		}
	}
	for name, timeout := range map[string]any{
		"header": s.server.ReadHeaderTimeout, "read": s.server.ReadTimeout, "write": s.server.WriteTimeout, "idle": s.server.IdleTimeout,
	} {
		if timeout == 0 {
			t.Errorf("no %s timeout", name)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close after Run: %v", err)
	}
}

func TestHTTPAddressTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	address := l.Addr().String()
	_, err = listenHTTP(address, newRegistry(), func() []readiness { return nil }, slog.New(slog.DiscardHandler))
	want := "http.address: " + address + " is taken by another program; choose another port, or stop that program"
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestMetricsLint(t *testing.T) {
	reg := newRegistry()
	m := newMetrics(reg)
	m.sourceUp.WithLabelValues("trail")
	m.sourceRestarts.WithLabelValues("trail")
	m.sinkRestarts.WithLabelValues("audit")
	m.deadLetters.WithLabelValues("audit", actionDrop)
	sink := &servedSink{name: "audit"}
	sink.dispatcher.Store(new(dispatch.Worker))
	reg.MustRegister(sinkCollector{&pipeline{sinks: map[string]*servedSink{"audit": sink}}})
	problems, err := testutil.GatherAndLint(reg)
	problems = slices.DeleteFunc(problems, func(p promlint.Problem) bool { return !strings.HasPrefix(p.Metric, "mfawatch_") })
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}
