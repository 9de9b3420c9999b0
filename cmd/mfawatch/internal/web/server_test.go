package web

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestReadyzFailsWithEachPart(t *testing.T) {
	var broken error
	parts := func(yield func(string, error) bool) {
		_ = yield("processor", nil) && yield("source trail", broken)
	}
	answer := func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		readyz(w, parts)
		return w
	}
	if w := answer(); w.Code != http.StatusOK || w.Body.String() != "processor: ok\nsource trail: ok\n" {
		t.Errorf("all well: %d %q", w.Code, w.Body)
	}
	broken = errors.New("no broker\nanswers \x1b]0;owned\a")
	if w := answer(); w.Code != http.StatusServiceUnavailable || w.Body.String() != "processor: ok\nsource trail: no broker answers \uFFFD]0;owned\uFFFD\n" {
		t.Errorf("a part is not ready: %d %q", w.Code, w.Body)
	}
}

// noParts is the readiness of a service without parts.
func noParts(func(string, error) bool) {}

func TestHTTPServer(t *testing.T) {
	s, err := listenHTTP("http.address", "127.0.0.1:0", NewRegistry(), noParts, slog.New(slog.DiscardHandler))
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
	_, err = listenHTTP("http.address", address, NewRegistry(), noParts, slog.New(slog.DiscardHandler))
	want := "http.address: " + address + " is taken by another program; choose another port, or stop that program"
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestAdminMetricsLint(t *testing.T) {
	reg := prometheus.NewRegistry()
	newAdminMetrics(reg).deadLetters.WithLabelValues("audit", actionDrop)
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}

// A Unix socket is its owner's alone. That of a process that was killed is
// replaced, one that is in use is not, and a file that is no socket stays.
func TestUnixSocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "mfawatch") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "admin.sock")
	killed, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	killed.SetUnlinkOnClose(false)
	killed.Close()
	s, err := listenHTTP("http.admin_address", "unix:"+path, NewRegistry(), noParts, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 || s.Addr() != "unix:"+path {
		t.Errorf("%v, %v, %s", info, err, s.Addr())
	}
	if _, err := listen("http.admin_address", "unix:"+path); err == nil || !strings.Contains(err.Error(), "is taken by another program") {
		t.Errorf("in use: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := listen("http.admin_address", "unix:"+path); err == nil {
		l.Close()
		t.Error("a file was taken for a socket")
	}
	if text, err := os.ReadFile(path); string(text) != "precious" {
		t.Errorf("the file holds %q, %v", text, err)
	}
}
