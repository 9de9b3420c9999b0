package sinks

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

const (
	maxReply       = 64 << 10 // bytes that are read of a reply if nothing else is said, and of its headers
	maxErrorText   = 300      // bytes
	maxExcerpt     = 200      // bytes of a reply that are shown
	idleConnection = 90 * time.Second
)

// A poster is how every HTTP channel reaches its server: one connection pool of
// its own, time limits, no redirects, bounded replies, and errors that carry a
// verdict and no secret.
type poster struct {
	client    *http.Client
	transport *http.Transport
}

// newPoster connects to nobody. The caller closes the poster.
func newPoster(c HTTPConfig) (*poster, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	trust, err := clientTLS(c.TLS)
	if err != nil {
		return nil, err
	}
	connect := cmp.Or(c.ConnectTimeout, DefaultHTTPConfig().ConnectTimeout)
	answer := cmp.Or(c.ReplyTimeout, DefaultHTTPConfig().ReplyTimeout)
	dialer := &net.Dialer{Timeout: connect}
	if !c.AllowLinkLocal {
		dialer.ControlContext = refuseLinkLocal
	}
	t := &http.Transport{
		Proxy:                  environmentProxy,
		DialContext:            dialer.DialContext,
		OnProxyConnectResponse: proxyAnswered,
		TLSClientConfig:        trust,
		TLSHandshakeTimeout:    connect,
		ResponseHeaderTimeout:  answer,
		MaxResponseHeaderBytes: maxReply,
		IdleConnTimeout:        idleConnection,
		MaxIdleConnsPerHost:    64, // more than a sink sends at once
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // so that the bound on a reply is one on what comes in
	}
	return &poster{
		transport: t,
		client: &http.Client{
			Transport:     t,
			Timeout:       2*connect + answer,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Close closes the connections that nobody uses.
func (p *poster) Close() error {
	p.transport.CloseIdleConnections()
	return nil
}

// A request is what a channel wants sent.
type request struct {
	method  string // POST if empty
	url     string
	header  http.Header
	body    []byte
	secrets []string // what besides the URL must not be seen in an error
	bound   int64    // bytes that are read of the reply; 0: 64 KiB
}

// A reply is what came back.
type reply struct {
	status int
	header http.Header
	body   []byte // as far as the bound of the request
}

// post sends r once and returns what came back, also beside an error where
// there was an answer: a channel that knows better what it means may look. The
// error is nil for a status of 2xx whose reply came to its end or its bound,
// and else carries the verdict: see judgeStatus and unanswered. Neither r.url
// nor r.secrets are in it. It returns soon after ctx is done.
func (p *poster) post(ctx context.Context, r request) (reply, error) {
	var sent atomic.Bool
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	req, err := http.NewRequestWithContext(traced, cmp.Or(r.method, http.MethodPost), r.url, bytes.NewReader(r.body))
	if err != nil || req.URL.Host == "" {
		return reply{}, Misconfigured(errors.New("the address is no URL; want one such as https://alerts.example.net/hook"))
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", userAgent())
	}
	hide := hider(req.URL, r.secrets)
	fail := func(err error) error { return &postError{req.Method, req.URL.Host, hide, err} }

	resp, err := p.client.Do(req)
	if err != nil {
		return reply{}, fail(unanswered(ctx, err, sent.Load()))
	}
	defer resp.Body.Close()
	body, cut := io.ReadAll(io.LimitReader(resp.Body, cmp.Or(r.bound, maxReply)))
	got := reply{resp.StatusCode, resp.Header, body}
	err = judgeStatus(resp.StatusCode, resp.Header, time.Now())
	switch {
	case err != nil:
		return got, fail(fmt.Errorf("%w%s", err, excerpt(got, hide)))
	case cut != nil:
		return got, fail(Ambiguous(fmt.Errorf("answered %d, but the reply broke off: %w", resp.StatusCode, cause(ctx, cut))))
	}
	return got, nil
}

// unanswered gives the verdict on a request that brought no answer. What was
// wrong before a byte of it was written is tried again, but for certificates
// and keys, which time alone does not mend. Once it was being written, nobody
// knows whether it arrived.
func unanswered(ctx context.Context, err error, sent bool) error {
	err = cause(ctx, err)
	switch v, _ := judge(err); {
	case v != retry:
		return err
	case tlsRefused(err):
		return Misconfigured(fmt.Errorf("%w; check the server's certificate and tls", err))
	case sent:
		return Ambiguous(fmt.Errorf("no answer: %w", err))
	}
	return err
}

// cause leaves out of err what repeats the URL, and our own port, which would
// make another error of each attempt. Where ctx ended it, it says why.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Source != nil {
		return &net.OpError{Op: op.Op, Net: op.Net, Addr: op.Addr, Err: op.Err}
	}
	return err
}

// tlsRefused reports whether one side did not want the other's certificate, or
// does not speak TLS as the other does.
func tlsRefused(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || errors.Is(err, http.ErrSchemeMismatch) {
		return true
	}
	op, ok := errors.AsType[*net.OpError](err)
	return ok && (op.Op == "remote error" || op.Op == "local error") // a TLS alert
}

// environmentProxy is the proxy of the environment. What is wrong with that is
// not repeated: it may hold a password.
func environmentProxy(r *http.Request) (*url.URL, error) {
	u, err := http.ProxyFromEnvironment(r)
	if err != nil {
		return nil, Misconfigured(errors.New("HTTPS_PROXY or HTTP_PROXY is no URL"))
	}
	return u, nil
}

// proxyAnswered gives the verdict on a proxy that does not connect us: the
// request was not sent.
func proxyAnswered(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
	switch s := resp.StatusCode; {
	case s == http.StatusOK:
		return nil
	case s >= 400 && s < 500 && s != http.StatusRequestTimeout && s != http.StatusTooManyRequests:
		return Misconfigured(fmt.Errorf("the proxy answered %s", statusText(s)))
	default:
		return fmt.Errorf("the proxy answered %s", statusText(s))
	}
}

// refuseLinkLocal keeps requests from the addresses at which clouds hand out
// credentials to whoever asks on the machine.
func refuseLinkLocal(_ context.Context, _, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err == nil && a.Addr().IsLinkLocalUnicast() {
		return Misconfigured(fmt.Errorf("%s is a link-local address; set allow_link_local: true if it is meant", a.Addr()))
	}
	return nil
}

// A postError says where to a request went that failed, and nothing secret.
type postError struct {
	method, host string
	hide         *strings.Replacer
	err          error
}

func (e *postError) Error() string {
	text := e.hide.Replace(e.err.Error())
	return exposure.Clean(e.method+" to "+e.host+": "+text, maxErrorText+maxExcerpt)
}

func (e *postError) Unwrap() error { return e.err }

// excerpt is what to show of a reply: some of it if it is text for a person or
// a program, nothing of a page.
func excerpt(r reply, hide *strings.Replacer) string {
	text := bytes.TrimSpace(r.body)
	kind, _, _ := mime.ParseMediaType(r.header.Get("Content-Type"))
	switch {
	case len(text) == 0:
		return ""
	case kind == "text/html" || kind == "application/xhtml+xml" || text[0] == '<':
		return ", with a page of HTML"
	case kind == "text/plain" || strings.HasSuffix(kind, "json"):
		shown := strings.Join(strings.Fields(hide.Replace(string(text))), " ")
		return ": " + exposure.Clean(shown, maxExcerpt)
	}
	return ""
}

// userAgent names the program and its version.
func userAgent() string {
	if info, ok := debug.ReadBuildInfo(); ok && strings.HasPrefix(info.Main.Version, "v") {
		return "mfawatch/" + info.Main.Version
	}
	return "mfawatch/devel"
}
