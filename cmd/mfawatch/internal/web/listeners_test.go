package web

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/processor/connlimit"
	"github.com/mfawatch/mfawatch/processor/secret"

	dto "github.com/prometheus/client_model/go"
)

// Without a configured address, no other machine can connect: each listener's
// default is this machine alone.
func TestListenersAreOnLoopback(t *testing.T) {
	addresses := map[string]string{"http.address": config.Defaults().HTTP.Address}
	for kind, make := range config.SourceKinds {
		if f := addressField(make()); f.IsValid() {
			addresses["sources."+kind+".address"] = f.String()
		}
	}
	for kind, make := range config.SinkKinds {
		if f := addressField(make()); f.IsValid() {
			addresses["sinks."+kind+".address"] = f.String()
		}
	}
	for field, address := range addresses {
		if !secret.Loopback(address) {
			t.Errorf("%s: the default %q can be reached from other machines", field, address)
		}
	}
	if len(addresses) != 2 {
		t.Errorf("listeners: %v, want http.address and the http source's", addresses)
	}

	// There are no others: a new one fails here.
	var listening []string
	listen := regexp.MustCompile(`\b(net\.Listen([^e]|$)|ListenPacket|ListenConfig|ListenAndServe|tls\.Listen|httptest\.NewServer)`)
	err := filepath.WalkDir("../../../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if bytes.Contains(text, []byte("package main\n")) && !strings.Contains(path, "cmd/") {
			return err // no part of the service
		}
		if listen.Match(text) {
			listening = append(listening, filepath.ToSlash(strings.TrimPrefix(path, "../../../../")))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"cmd/mfawatch/internal/web/server.go", "sources/httpin/source.go",
		"sinks/sinktest/helpers.go", "sources/awstest/server.go", "sources/sourcetest/sourcetest.go"} // for tests
	slices.Sort(want)
	if !reflect.DeepEqual(listening, want) {
		t.Errorf("listeners in %v, want %v", listening, want)
	}
}

func addressField(entry any) reflect.Value {
	v := reflect.ValueOf(entry).Elem()
	if _, ok := config.Keys(v.Type())["address"]; !ok {
		return reflect.Value{}
	}
	return v.FieldByName("Config").FieldByName("Address")
}

// A stranger who sends too slowly, or too much, is sent away, and holds up no
// other client.
func TestMetricsListenerIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipes := make(chan net.Conn)
		s, err := listenHTTP("http.address", "127.0.0.1:0", NewRegistry(), noParts, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.listener.Close(); err != nil {
			t.Fatal(err)
		}
		s.listener = pipeListener{pipes, make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		for _, f := range []struct {
			what, begins string
			within       time.Duration
		}{
			{"nothing is sent", "", 10 * time.Second},
			{"headers that do not end", "GET /metrics HTTP/1.1\r\nHost: localhost\r\n", 5 * time.Second},
			{"a body that does not come", "POST /-/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n", 2 * time.Minute},
			{"a connection that rests", "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 2 * time.Minute},
		} {
			ours, theirs := net.Pipe()
			pipes <- theirs
			began := time.Now()
			go func() { _, _ = io.WriteString(ours, f.begins) }()
			_, _ = io.Copy(io.Discard, ours) // until it is closed
			if took := time.Since(began); took > f.within {
				t.Errorf("%s: ended after %s, want within %s", f.what, took, f.within)
			}
			ours.Close()
		}
		ours, theirs := net.Pipe()
		pipes <- theirs
		go func() {
			_, _ = fmt.Fprintf(ours, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Long: %s\r\n\r\n", strings.Repeat("x", 64<<10))
		}()
		answer, err := http.ReadResponse(bufio.NewReader(ours), nil)
		if err != nil || answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("headers of 64 KiB: %v, %v", answer, err)
		}
		ours.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute) // within the bubble: what closes connections has a moment
	})
}

// Connections that one stranger opens and leaves open end the oldest of them, and
// not the service's files; another client is answered.
func TestConnectionsAreBounded(t *testing.T) {
	s, err := listenHTTP("http.address", "127.0.0.1:0", NewRegistry(), noParts, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	var strangers []net.Conn
	defer func() {
		for _, c := range strangers {
			c.Close()
		}
	}()
	for range 3 * connlimit.PerAddress {
		c, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		strangers = append(strangers, c)
		_, _ = io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
	}
	answer, err := http.Get("http://" + s.Addr() + "/healthz")
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("another client: %v, %v", answer, err)
	} else {
		answer.Body.Close()
	}
	for _, c := range strangers[:2*connlimit.PerAddress] { // until each is closed, or the test ends
		_, _ = io.Copy(io.Discard, c)
	}
	http.DefaultClient.CloseIdleConnections()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A backup may take as long as the journal is large, and a client that stops
// reading is left after a minute.
func TestBackupExtendsItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := &patientClient{ResponseWriter: httptest.NewRecorder()}
		w := &stream{w: client}
		for range 3 {
			time.Sleep(40 * time.Second)
			if _, err := w.Write([]byte("page")); err != nil {
				t.Fatal(err)
			}
			if left := time.Until(client.deadline); left != time.Minute {
				t.Errorf("%s are left for the next part", left)
			}
		}
	})
}

// A patientClient records its deadline.
type patientClient struct {
	http.ResponseWriter
	deadline time.Time
}

func (c *patientClient) SetWriteDeadline(at time.Time) error {
	c.deadline = at
	return nil
}

// A pipeListener accepts what comes through a channel.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l pipeListener) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

func (l pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// More than eight concurrent scrapes are refused: they cannot pile up.
func TestScrapesAreBounded(t *testing.T) {
	reg := NewRegistry()
	scraping, release := make(chan struct{}), make(chan struct{})
	gather := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		scraping <- struct{}{}
		<-release
		return reg.Gather()
	})
	s, err := listenHTTP("http.address", "127.0.0.1:0", gather, noParts, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	scrape := func() int {
		answer, err := client.Get("http://" + s.Addr() + "/metrics")
		if err != nil {
			t.Error(err)
			return 0
		}
		defer answer.Body.Close()
		_, _ = io.Copy(io.Discard, answer.Body)
		return answer.StatusCode
	}
	statuses := make(chan int, 8)
	for range 8 {
		go func() { statuses <- scrape() }()
		<-scraping
	}
	if status := scrape(); status != http.StatusServiceUnavailable {
		t.Errorf("the ninth: %d", status)
	}
	close(release)
	for range 8 {
		if status := <-statuses; status != http.StatusOK {
			t.Errorf("one of eight: %d", status)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
