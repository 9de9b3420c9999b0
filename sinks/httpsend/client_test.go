package httpsend_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/secret"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/httpsend"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
)

func newTestClient(t *testing.T, c httpsend.Config) *httpsend.Client {
	t.Helper()
	p, err := httpsend.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// postHush posts to the server, with secrets wherever there is room for one.
func postHush(ctx context.Context, p *httpsend.Client, server string) (httpsend.Reply, error) {
	u, err := url.Parse(server)
	if err != nil {
		return httpsend.Reply{}, err
	}
	u.User = url.UserPassword("mfawatch", "xyzzy-password")
	return p.Send(ctx, httpsend.Request{
		URL:     u.String() + sinktest.HushPath + sinktest.HushQuery,
		Header:  http.Header{"Authorization": {sinktest.HushValue}},
		Body:    []byte(`{"step":"opened"}`),
		Secrets: []string{sinktest.HushValue},
	})
}

// readRequest reads all of a request whose body is known to end in }.
func readRequest(c *net.TCPConn) {
	var got []byte
	b := make([]byte, 4096)
	for !bytes.HasSuffix(got, []byte("}")) {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		got = append(got, b[:n]...)
	}
}

// waitGone waits until the other side has gone.
func waitGone(c *net.TCPConn) { _, _ = c.Read(make([]byte, 1)) }

// says reads the request and answers with text.
func says(text string) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		readRequest(c)
		_, _ = io.WriteString(c, text)
	}
}

// reset ends a connection so that the other side sees no orderly end.
func reset(c *net.TCPConn) { _ = c.SetLinger(0) }

// drip writes begin, and then more of piece until the client hangs up.
func drip(begin, piece string, every time.Duration) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		readRequest(c)
		_, err := io.WriteString(c, begin)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for ; err == nil; <-tick.C {
			_, err = io.WriteString(c, piece)
		}
	}
}

// Whatever a server does, the verdict says what is known, and no secret is in
// the error.
func TestPostFaults(t *testing.T) {
	// Only what a time limit ends is given little time, which is still long for a
	// slow machine: it must not make one fault out of another.
	hurried := map[string]bool{"no headers in time": true, "slow-drip headers": true}
	echo := func(w http.ResponseWriter, r *http.Request) { // a server that repeats all it knows
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		_, _ = io.WriteString(w, r.Host+r.RequestURI+" "+r.URL.Path+" "+r.URL.Query().Get("token")+" "+token+
			" http://mfawatch:xyzzy-password@"+r.Host+" Basic "+sinktest.HushBasic)
	}
	tests := []struct {
		name   string
		server func(t *testing.T) string
		want   []sinks.Verdict
		error  string // is in the error's text
	}{
		{"refused", func(t *testing.T) string {
			s := httptest.NewServer(nil)
			s.Close()
			return s.URL
		}, []sinks.Verdict{sinks.VerdictRetry}, "refused"},
		{"reset before it was read", func(t *testing.T) string { return sinktest.Raw(t, reset) },
			[]sinks.Verdict{sinks.VerdictAmbiguous, sinks.VerdictRetry}, ""}, // how far it came is a matter of luck
		{"reset after it was read", func(t *testing.T) string {
			return sinktest.Raw(t, func(c *net.TCPConn) { readRequest(c); reset(c) })
		}, []sinks.Verdict{sinks.VerdictAmbiguous}, "no answer"},
		{"closed after it was read", func(t *testing.T) string { return sinktest.Raw(t, readRequest) },
			[]sinks.Verdict{sinks.VerdictAmbiguous}, "no answer"},
		{"no headers in time", func(t *testing.T) string {
			return sinktest.Raw(t, func(c *net.TCPConn) { readRequest(c); waitGone(c) })
		},
			[]sinks.Verdict{sinks.VerdictAmbiguous}, "no answer: context deadline exceeded"},
		{"slow-drip headers", func(t *testing.T) string {
			return sinktest.Raw(t, drip("HTTP/1.1 200 OK\r\n", "X: y\r\n", 5*time.Millisecond))
		}, []sinks.Verdict{sinks.VerdictAmbiguous}, "no answer"},
		{"headers without end", func(t *testing.T) string {
			return sinktest.Raw(t, drip("HTTP/1.1 200 OK\r\n", strings.Repeat("X: y\r\n", 1000), time.Microsecond))
		}, []sinks.Verdict{sinks.VerdictAmbiguous}, "no answer"},
		{"garbage", func(t *testing.T) string { return sinktest.Raw(t, says("220 smtp.example.net ESMTP\r\n")) },
			[]sinks.Verdict{sinks.VerdictAmbiguous}, "no answer"},
		{"garbage that repeats the request", func(t *testing.T) string { return sinktest.Raw(t, says(sinktest.HushValue+"\r\n")) },
			[]sinks.Verdict{sinks.VerdictAmbiguous}, "malformed HTTP status code \"(hidden)\""},
		{"a secret where the reply is cut to be shown", func(t *testing.T) string {
			s := sinktest.QuietServer(t, sinktest.Answers(400, "text/plain", strings.Repeat("a", httpsend.MaxExcerpt-25)+" "+sinktest.HushValue))
			s.Start()
			return s.URL
		}, []sinks.Verdict{sinks.VerdictPermanent}, "400"},
		{"cut reply", func(t *testing.T) string {
			return sinktest.Raw(t, says("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"ok\":"))
		}, []sinks.Verdict{sinks.VerdictAmbiguous}, "broke off"},
		{"reply reset", func(t *testing.T) string {
			return sinktest.Raw(t, func(c *net.TCPConn) {
				readRequest(c)
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
				reset(c)
			})
		}, []sinks.Verdict{sinks.VerdictAmbiguous}, ""},
		{"endless body", func(t *testing.T) string {
			return sinktest.Raw(t, drip("HTTP/1.1 200 OK\r\n\r\n", strings.Repeat("x", 10_000), time.Microsecond))
		}, []sinks.Verdict{sinks.VerdictDelivered}, ""},
		{"endless body of an error", func(t *testing.T) string {
			return sinktest.Raw(t, drip("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\r\n", strings.Repeat("x", 10_000), time.Microsecond))
		}, []sinks.Verdict{sinks.VerdictPermanent}, "400"},
		{"cut body of an error", func(t *testing.T) string {
			return sinktest.Raw(t, says("HTTP/1.1 400 Bad Request\r\nContent-Length: 100\r\n\r\n{"))
		}, []sinks.Verdict{sinks.VerdictPermanent}, "400"},
		{"a page where nothing was asked", func(t *testing.T) string {
			s := sinktest.QuietServer(t, sinktest.Answers(200, "text/html", "<html>Log in"))
			s.Start()
			return s.URL
		}, []sinks.Verdict{sinks.VerdictDelivered}, ""},
		{"a page of a proxy", func(t *testing.T) string {
			s := sinktest.QuietServer(t, sinktest.Answers(502, "text/html", "<html><h1>502 Bad Gateway</h1>"))
			s.Start()
			return s.URL
		}, []sinks.Verdict{sinks.VerdictAmbiguous}, "502 Bad Gateway, with a page of HTML"},
		{"the reason in the reply", func(t *testing.T) string {
			s := sinktest.QuietServer(t, sinktest.Answers(400, "application/problem+json", "{\n \"title\":\"no \x1b[31msuch \u202efield\"}"))
			s.Start()
			return s.URL
		}, []sinks.Verdict{sinks.VerdictPermanent}, "400 Bad Request: { \"title\":\"no \uFFFD[31msuch \uFFFDfield\"}"},
		{"a reply that repeats the request", func(t *testing.T) string {
			s := sinktest.QuietServer(t, echo)
			s.Start()
			return s.URL
		}, []sinks.Verdict{sinks.VerdictPermanent}, "422"},
		{"a certificate of nobody known", func(t *testing.T) string {
			s := sinktest.QuietServer(t, sinktest.Answers(200, "text/plain", "ok"))
			s.StartTLS()
			return s.URL
		}, []sinks.Verdict{sinks.VerdictMisconfigured}, "certificate signed by unknown authority"},
		{"plain HTTP where TLS was due", func(t *testing.T) string {
			s := sinktest.QuietServer(t, sinktest.Answers(200, "text/plain", "ok"))
			s.Start()
			return strings.Replace(s.URL, "http:", "https:", 1)
		}, []sinks.Verdict{sinks.VerdictMisconfigured}, "check the server's certificate and tls"},
		{"a link-local address", func(*testing.T) string { return "http://169.254.169.254" },
			[]sinks.Verdict{sinks.VerdictMisconfigured}, "allow_link_local"},
		{"a link-local address in another form", func(*testing.T) string { return "http://[::ffff:a9fe:a9fe]" },
			[]sinks.Verdict{sinks.VerdictMisconfigured}, "allow_link_local"},
		{"no host", func(*testing.T) string { return "http:" }, []sinks.Verdict{sinks.VerdictMisconfigured}, "no URL"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if hurried[tt.name] {
				t.Parallel()
			}
			server := tt.server(t)
			attempt := func() (httpsend.Reply, error) {
				limit := time.Minute
				if hurried[tt.name] {
					limit = 2 * time.Second
				}
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				return postHush(ctx, newTestClient(t, httpsend.Config{}), server)
			}
			got, err := attempt()
			v, _ := sinks.VerdictOf(err)
			ok := false
			for _, want := range tt.want {
				ok = ok || v == want
			}
			if !ok {
				t.Errorf("%s, want %s: %v", v, tt.want, err)
			}
			if len(got.Body) > httpsend.MaxReply {
				t.Errorf("%d bytes of the reply were kept", len(got.Body))
			}
			if err == nil {
				return
			}
			if !strings.Contains(err.Error(), tt.error) || len(err.Error()) > 600 {
				t.Errorf("want %q in the error: %v", tt.error, err)
			}
			sinktest.Hushed(t, err.Error())
			if _, again := attempt(); len(tt.want) == 1 && again.Error() != err.Error() {
				t.Errorf("the same failure reads otherwise the next time, and would be logged again: %v; %v", err, again)
			}
			var withURL *url.Error
			if errors.As(err, &withURL) { // nor to a caller that unwraps the error
				t.Errorf("the error wraps one that holds the URL: %v", withURL)
			}
		})
	}
}

// A body that comes by drops ends the attempt in time.
func TestPostSlowBody(t *testing.T) {
	t.Parallel()
	p := newTestClient(t, httpsend.Config{})
	p.HTTP.Timeout = 2 * time.Second
	_, err := postHush(t.Context(), p, sinktest.Raw(t, drip("HTTP/1.1 200 OK\r\n\r\n", "x", 5*time.Millisecond)))
	if v, _ := sinks.VerdictOf(err); v != sinks.VerdictAmbiguous || !strings.Contains(err.Error(), "broke off") {
		t.Errorf("%v: %v", v, err)
	}
}

// Redirects are not followed: they would take the alert and its signature along.
func TestPostRedirect(t *testing.T) {
	var followed atomic.Bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Store(true) }))
	defer elsewhere.Close()
	for _, status := range []int{300, 301, 302, 303, 304, 307, 308} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", elsewhere.URL+r.RequestURI)
			w.WriteHeader(status)
		}))
		_, err := postHush(t.Context(), newTestClient(t, httpsend.Config{}), s.URL)
		s.Close()
		if v, _ := sinks.VerdictOf(err); v != sinks.VerdictMisconfigured || !strings.Contains(err.Error(), "redirects are not followed") {
			t.Errorf("%d: %v", status, err)
		} else {
			sinktest.Hushed(t, err.Error())
		}
	}
	if followed.Load() {
		t.Error("a redirect was followed")
	}
}

// A name that cannot be resolved may be resolved later.
func TestPostDNS(t *testing.T) {
	p := newTestClient(t, httpsend.Config{})
	p.Transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "hooks.invalid", IsNotFound: true}}
	}
	_, err := postHush(t.Context(), p, "https://hooks.invalid")
	if v, _ := sinks.VerdictOf(err); v != sinks.VerdictRetry || !strings.Contains(err.Error(), "no such host") {
		t.Errorf("%v", err)
	}
	sinktest.Hushed(t, err.Error())
}

// The end of an attempt from outside is named by its cause, and the request may
// have arrived.
func TestPostCancelled(t *testing.T) {
	arrived := make(chan struct{})
	why := errors.New("no answer within 30s")
	ctx, cancel := context.WithCancelCause(t.Context())
	server := sinktest.Raw(t, func(c *net.TCPConn) {
		readRequest(c)
		close(arrived)
		waitGone(c)
	})
	go func() { <-arrived; cancel(why) }()
	_, err := postHush(ctx, newTestClient(t, httpsend.Config{}), server)
	if v, _ := sinks.VerdictOf(err); v != sinks.VerdictAmbiguous || !errors.Is(err, why) {
		t.Errorf("%v: %v", v, err)
	}
	sinktest.Hushed(t, err.Error())
}

func TestPostTLS(t *testing.T) {
	s := sinktest.QuietServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Errorf("%s", r.Proto)
		}
	})
	s.EnableHTTP2 = true
	s.StartTLS()
	trusted := secret.TLSConfig{CAFile: sinktest.WritePEM(t, s)}
	otherName, inTime := trusted, trusted
	otherName.ServerName = "hooks.example.org"
	inTime.ServerName = "example.com" // httptest's certificate has it
	later := func() time.Time { return time.Now().Add(100 * 365 * 24 * time.Hour) }
	for _, tt := range []struct {
		name string
		tls  secret.TLSConfig
		now  func() time.Time
		want sinks.Verdict
	}{
		{"trusted", trusted, nil, sinks.VerdictDelivered},
		{"under its other name", inTime, nil, sinks.VerdictDelivered},
		{"wrong name", otherName, nil, sinks.VerdictMisconfigured},
		{"expired", trusted, later, sinks.VerdictMisconfigured},
	} {
		p := newTestClient(t, httpsend.Config{TLS: tt.tls})
		p.Transport.TLSClientConfig.Time = tt.now
		_, err := postHush(t.Context(), p, s.URL)
		if v, _ := sinks.VerdictOf(err); v != tt.want {
			t.Errorf("%s: %s, want %s: %v", tt.name, v, tt.want, err)
		}
		if err != nil {
			sinktest.Hushed(t, err.Error())
		}
	}
}

// A proxy that does not connect us is known by its answer; our request was not
// sent.
func TestPostProxy(t *testing.T) {
	target := sinktest.QuietServer(t, sinktest.Answers(200, "text/plain", "ok"))
	target.StartTLS()
	for status, want := range map[int]sinks.Verdict{407: sinks.VerdictMisconfigured, 403: sinks.VerdictMisconfigured, 429: sinks.VerdictRetry, 502: sinks.VerdictRetry, 503: sinks.VerdictRetry} {
		proxy := httptest.NewServer(sinktest.Answers(status, "text/html", "<html>xyzzy"))
		u, err := url.Parse(proxy.URL)
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword("mfawatch", "xyzzy-proxy-password")
		p := newTestClient(t, httpsend.Config{TLS: secret.TLSConfig{CAFile: sinktest.WritePEM(t, target)}})
		p.Transport.Proxy = http.ProxyURL(u)
		_, err = postHush(t.Context(), p, target.URL)
		if v, _ := sinks.VerdictOf(err); v != want || !strings.Contains(err.Error(), "the proxy answered") {
			t.Errorf("%d: %s, want %s: %v", status, v, want, err)
		} else {
			sinktest.Hushed(t, err.Error())
		}
		proxy.Close()
	}
}

// Our own certificate is shown to a server that asks for one.
func TestPostClientCertificate(t *testing.T) {
	s := sinktest.QuietServer(t, func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) == 0 {
			w.WriteHeader(http.StatusTeapot)
		}
	})
	s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	s.StartTLS()
	own := s.TLS.Certificates[0] // any will do
	pkcs8, err := x509.MarshalPKCS8PrivateKey(own.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	c := secret.TLSConfig{CAFile: sinktest.WritePEM(t, s)}
	_, err = postHush(t.Context(), newTestClient(t, httpsend.Config{TLS: c}), s.URL)
	if v, _ := sinks.VerdictOf(err); v != sinks.VerdictMisconfigured || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("without a certificate: %s: %v", v, err)
	}

	c.CertFile, c.KeyFile = c.CAFile, filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(c.KeyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600); err != nil {
		t.Fatal(err)
	}
	p := newTestClient(t, httpsend.Config{TLS: c})
	if _, err := postHush(t.Context(), p, s.URL); err != nil {
		t.Errorf("with a certificate: %v", err)
	}
	p.Transport.CloseIdleConnections()
	if err := os.Remove(c.KeyFile); err != nil { // as while it is being renewed
		t.Fatal(err)
	}
	_, err = postHush(t.Context(), p, s.URL)
	if v, _ := sinks.VerdictOf(err); v != sinks.VerdictMisconfigured || !strings.Contains(err.Error(), "tls.key_file") {
		t.Errorf("with a certificate that is gone: %s: %v", v, err)
	}
}
