package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mfawatch/mfawatch/sinks/dispatch"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
)

// A pipeListener is a network without one, so that time in it can be fake.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Whatever the receiver answers first, the alert is delivered in the end, or is a
// dead letter where it never could be; and a receiver that knows the alert's ID
// has it once.
func TestFaults(t *testing.T) {
	status := func(code int, headers ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(headers); i += 2 {
				w.Header().Set(headers[i], headers[i+1])
			}
			w.WriteHeader(code)
		}
	}
	begins := func(text string) http.HandlerFunc { // an answer, and then ends the connection
		return func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(c, text)
			_ = c.Close()
		}
	}
	late := func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(14 * time.Second):
		case <-r.Context().Done():
		}
	}
	drip := func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, "x")
			_ = http.NewResponseController(w).Flush()
			select {
			case <-time.After(time.Second):
			case <-r.Context().Done():
			}
		}
	}
	date := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", time.Now().Add(20*time.Minute).UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	dns := &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "hooks.invalid", IsNotFound: true}}
	untrusted := &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}

	const anyTime = 10 * time.Minute
	tests := []struct {
		name     string
		first    http.HandlerFunc // nil: it is not reached
		dial     error
		requests int
		dead     bool
		min, max time.Duration // until it is delivered, or dead
	}{
		{"200", status(200), nil, 1, false, 0, 0},
		{"202", status(202), nil, 1, false, 0, 0},
		{"200 late", late, nil, 1, false, 14 * time.Second, 14 * time.Second},
		{"301", status(301, "Location", "/"), nil, 2, false, 1, anyTime},
		{"400", status(400), nil, 1, true, 0, 0},
		{"401", status(401), nil, 2, false, 1, anyTime},
		{"403", status(403), nil, 2, false, 1, anyTime},
		{"404", status(404), nil, 1, true, 0, 0},
		{"408", status(408), nil, 2, false, 1, time.Second},
		{"409", status(409), nil, 1, true, 0, 0},
		{"410", status(410), nil, 2, false, 1, anyTime},
		{"413", status(413), nil, 1, true, 0, 0},
		{"422", status(422), nil, 1, true, 0, 0},
		{"429", status(429), nil, 2, false, 1, time.Second},
		{"429 with a time", status(429, "Retry-After", "90"), nil, 2, false, 90 * time.Second, 90 * time.Second},
		{"429 with a long time", status(429, "Retry-After", "99999999999999999999"), nil, 2, false, time.Hour, time.Hour},
		{"500", status(500), nil, 2, false, 1, time.Second},
		{"502", status(502), nil, 2, false, 1, time.Second},
		{"503", status(503), nil, 2, false, 1, time.Second},
		{"503 with a date", date, nil, 2, false, 20*time.Minute - time.Second, 20 * time.Minute},
		{"504", status(504), nil, 2, false, 1, time.Second},
		{"closed without an answer", begins(""), nil, 2, false, 1, time.Second},
		{"cut reply", begins("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"), nil, 2, false, 1, time.Second},
		{"no answer", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, nil, 2, false, 30 * time.Second, 31 * time.Second},
		{"slow body", drip, nil, 2, false, 30 * time.Second, 31 * time.Second},
		{"DNS error", nil, dns, 1, false, 1, time.Second},
		{"TLS error", nil, untrusted, 1, false, 1, anyTime},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var requests []http.Header
				var bodies [][]byte
				l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
				server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					body, err := io.ReadAll(r.Body)
					if err != nil {
						t.Error(err)
					}
					if _, err := verified(r, body, firstSecret, time.Now()); err != nil {
						t.Error(err)
					}
					requests, bodies = append(requests, r.Header.Clone()), append(bodies, body)
					if len(requests) == 1 && tt.first != nil {
						tt.first(w, r)
					}
				})}
				served := make(chan error)
				go func() { served <- server.Serve(l) }()

				w, err := New(Config{URL: "http://hooks.invalid" + sinktest.HushPath, Secrets: []string{firstSecret}})
				if err != nil {
					t.Fatal(err)
				}
				dials := 0
				w.http.Transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
					if dials++; dials == 1 && tt.dial != nil {
						return nil, tt.dial
					}
					return l.dial(ctx, network, address)
				}
				w.http.Transport.Proxy = nil
				r := sinktest.NewRig(t, filepath.Join(t.TempDir(), "mfawatch.db"), w, dispatch.DeliveryConfig{})
				begin := time.Now()
				sinktest.Journal(t, r.Journal, sinktest.BareAlert("x", "x-1"))
				r.Idle()
				if took := time.Since(begin); took < tt.min || took > tt.max+100*time.Millisecond {
					t.Errorf("it took %s, want %s to %s", took, tt.min, tt.max)
				}
				letters, err := r.Journal.DeadLetters("a")
				if err != nil || len(letters) == 1 != tt.dead || len(requests) != tt.requests {
					t.Errorf("%d requests, %d dead letters, %v; want %d, dead %t", len(requests), len(letters), err, tt.requests, tt.dead)
				}
				for i, header := range requests {
					if header.Get("Webhook-Id") != "x-1" || !bytes.Equal(bodies[i], bodies[0]) {
						t.Errorf("request %d is of %q: %s", i, header.Get("Webhook-Id"), bodies[i])
					}
				}
				sinktest.Hushed(t, r.Log.String())
				if tt.min > 0 && tt.name != "200 late" && !strings.Contains(r.Log.String(), "err=") {
					t.Errorf("the failure was not logged: %s", r.Log.String())
				}
				r.Stop()
				_ = w.Close()
				_ = server.Close()
				<-served
				synctest.Wait()
			})
		})
	}
}
