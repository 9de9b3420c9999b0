package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/service"
	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
)

// patience is how long a test waits at most.
const patience = time.Minute

// A watched is a service with a web server. Its configuration may be changed.
type watched struct {
	*service.Pipeline
	server Servers
	http   atomic.Pointer[config.HTTPConfig] // nil: its own
}

func (w *watched) Config() *config.Config {
	c := *w.Pipeline.Config()
	if changed := w.http.Load(); changed != nil {
		c.HTTP = *changed
	}
	return &c
}

// running is a service that runs until the test ends, and has handled the records.
func running(t *testing.T, records string) *watched {
	t.Helper()
	return runningWith(t, "", records)
}

// runningWith is running with more lines in its configuration.
func runningWith(t *testing.T, lines, records string) *watched {
	t.Helper()
	dir := t.TempDir()
	c, err := config.Load("test", fmt.Appendf(nil, `
sources: {local: {type: files, paths: [%q]}}
sinks: {audit: {type: file, path: %q}}
journal: {path: %q}
http: {address: '127.0.0.1:0'}
shutdown_timeout: 20ms
%s`, dir, filepath.Join(dir, "alerts.jsonl"), filepath.Join(dir, "mfawatch.db"), lines), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	reg, log := NewRegistry(), slog.New(slog.DiscardHandler)
	service, err := service.New(c, config.Deps{Log: log, Level: new(slog.LevelVar), Metrics: reg}, reg, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &watched{Pipeline: service}
	if p.server, err = Listen(p, reg, log); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() { ended <- p.Run(ctx) }()
	go func() { ended <- p.server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ended, <-ended); err != nil {
			t.Error(err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	handle(t, p, records)
	return p
}

// handle has the service handle records.
func handle(t testing.TB, p *watched, records string) {
	t.Helper()
	d := processor.Delivery{Source: "test", Parts: func(yield func(processor.Part, error) bool) {
		yield(processor.Part{Origin: trail.Place("test"), Bytes: []byte(records)}, nil)
	}}
	if err := p.Handle(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	waiting, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	if err := p.Journal().Idle(waiting); err != nil {
		t.Fatal(err)
	}
}

// browse asks the pipeline for a page, as a browser that knows it as host.
func browse(t *testing.T, p *watched, host, path string, header ...string) (status int, h http.Header, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.server.Addr()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if host != "" {
		r.Host = host
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(text)
}

// handleShared has a replica handle a record.
func handleShared(t testing.TB, p *replica, record, name string) {
	t.Helper()
	d := processor.Delivery{Source: "test", Parts: func(yield func(processor.Part, error) bool) {
		yield(processor.Part{Origin: trail.Place(name), Bytes: []byte(record)}, nil)
	}}
	if err := p.Handle(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}

const hostileUser = `<script>alert(1)</script>`

func deactivation(user string) string {
	at := time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)
	return fmt.Sprintf(`{"Records":[{"eventVersion":"1.08","userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/alice","accountId":"111122223333","accessKeyId":"ASIAEXAMPLE","userName":"alice","sessionContext":{"attributes":{"mfaAuthenticated":"false"}}},"eventTime":%q,"eventSource":"iam.amazonaws.com","eventName":"DeactivateMFADevice","awsRegion":"us-east-1","sourceIPAddress":"198.51.100.7","userAgent":"\"><img src=x onerror=alert(1)>%ctxt","requestParameters":{"userName":%q,"serialNumber":"arn:aws:iam::111122223333:mfa/bob"},"responseElements":null,"eventID":"0a1b2c3d-0000-4000-8000-000000000001","recipientAccountId":"111122223333"}]}`, at, 0x202e, user)
}

func TestPages(t *testing.T) {
	p := running(t, deactivation(hostileUser))
	status, header, front := browse(t, p, "", "/")
	if status != 200 || !strings.HasPrefix(header.Get("Content-Type"), "text/html") || !strings.Contains(header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Fatalf("front page: %d %v", status, header)
	}
	open := p.Journal().Open()
	if len(open) != 1 {
		t.Fatalf("%d exposures are open", len(open))
	}
	status, _, story := browse(t, p, "", "/exposures/"+open[0].ID)
	if status != 200 {
		t.Fatalf("story: %d", status)
	}
	for name, text := range map[string]string{"front page": front, "story": story} {
		own := 0
		if name == "front page" {
			own = 1 // script
		}
		if strings.Count(text, "<script") != own || strings.Contains(text, "<script>alert") || strings.Contains(text, "<img") {
			t.Errorf("%s: an attacker's text is markup:\n%s", name, text)
		}
		if strings.ContainsRune(text, 0x202e) {
			t.Errorf("%s: an attacker's text turns the line around:\n%s", name, text)
		}
		if !strings.Contains(text, "&lt;script&gt;alert(1)&lt;/script&gt;") {
			t.Errorf("%s: the user is not there:\n%s", name, text)
		}
	}
	for _, want := range []string{"/exposures/" + open[0].ID, "Open exposures", "audit", "source local"} {
		if !strings.Contains(front, want) {
			t.Errorf("front page: no %q", want)
		}
	}
	for _, want := range []string{"198.51.100.7", "without MFA", "CloudTrail record", "0a1b2c3d-0000-4000-8000-000000000001", "The record", "Who was notified", "<li>audit: delivered at "} {
		if !strings.Contains(story, want) {
			t.Errorf("story: no %q", want)
		}
	}
	if status, _, text := browse(t, p, "", "/exposures/none"); status != 404 || !strings.Contains(text, "retention") {
		t.Errorf("no such exposure: %d %q", status, text)
	}
}

// Pages follow a link from a chat or a mail, but no page of another site gets to
// read them under a name of its own.
func TestWhoMaySeePages(t *testing.T) {
	p := running(t, string(trailtest.New(1).Object(3, 0)))
	for _, c := range []struct {
		address, url, host string
		admin              bool
		want               int
	}{
		{"127.0.0.1:0", "", "127.0.0.1", false, 200},
		{"127.0.0.1:0", "", "localhost:9464", false, 200},
		{"127.0.0.1:0", "", "rebound.evil.example", false, 403},
		{"127.0.0.1:0", "https://watch.example.net/", "watch.example.net", false, 200},
		{"0.0.0.0:9464", "", "10.0.0.7:9464", false, 403},
		{"0.0.0.0:9464", "", "10.0.0.7:9464", true, 200},
		{"0.0.0.0:9464", "https://watch.example.net", "watch.example.net", false, 200},
		{"0.0.0.0:9464", "https://watch.example.net", "WATCH.example.net:443", false, 200},
		{"0.0.0.0:9464", "https://watch.example.net", "evil.example", false, 403},
	} {
		p.http.Store(&config.HTTPConfig{Address: c.address, URL: c.url, Admin: c.admin})
		status, header, body := browse(t, p, c.host, "/", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate")
		if status != c.want {
			t.Errorf("%+v: %d %s", c, status, body)
		}
		if status == 200 && !strings.Contains(header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
			t.Errorf("%+v: it can be framed", c)
		}
	}
}

// A page of a foreign name reads neither metrics nor readiness of a server on
// loopback; the probe of liveness says nothing, and stays open.
func TestForeignHostsReadNothing(t *testing.T) {
	p := running(t, deactivation("bob"))
	for path, want := range map[string]int{"/metrics": 403, "/readyz": 403, "/": 403, "/api/v1/quarantine": 403, "/healthz": 200} {
		if status, _, text := browse(t, p, "evil.example:9464", path); status != want {
			t.Errorf("%s under a foreign name: %d %.80s, want %d", path, status, text, want)
		}
	}
	for _, path := range []string{"/metrics", "/readyz"} {
		if status, _, _ := browse(t, p, "localhost:9464", path); status != 200 {
			t.Errorf("%s under localhost: %d", path, status)
		}
	}
}
