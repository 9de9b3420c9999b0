package httpsend

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
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

	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/processor/secret"
	"github.com/mfawatch/mfawatch/sinks"
)

// The bounds on a request, and on the parts of its reply that are read and shown.
const (
	MaxReply       = 64 << 10        // bytes that are read of a reply if nothing else is said, and of its headers
	MaxErrorText   = 300             // bytes
	MaxExcerpt     = 200             // bytes of a reply that are shown
	connectTimeout = 5 * time.Second // of a connection, and of its TLS handshake
	idleConnection = 90 * time.Second
)

// Client reaches the server of an HTTP channel: a connection pool of its own, no
// redirects, bounded replies, and errors that carry a verdict and no secret. The
// context of a call bounds its time.
type Client struct {
	HTTP      *http.Client
	Transport *http.Transport
}

// New returns a client for c. It opens no connection. The caller closes it.
func New(c Config) (*Client, error) {
	trust, err := sinks.ClientTLS(c.TLS)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: connectTimeout}
	if !c.AllowLinkLocal {
		dialer.ControlContext = refuseLinkLocal
	}
	t := &http.Transport{
		Proxy:                  environmentProxy,
		DialContext:            dialer.DialContext,
		OnProxyConnectResponse: proxyAnswered,
		TLSClientConfig:        trust,
		TLSHandshakeTimeout:    connectTimeout,
		MaxResponseHeaderBytes: MaxReply,
		IdleConnTimeout:        idleConnection,
		MaxIdleConnsPerHost:    64, // more than a sink sends concurrently
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // so that the bound on a reply is one on what comes in
	}
	return &Client{
		Transport: t,
		HTTP: &http.Client{
			Transport:     t,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Close closes idle connections.
func (p *Client) Close() error {
	p.Transport.CloseIdleConnections()
	return nil
}

// Request is one request of a channel.
type Request struct {
	Method  string // POST if empty
	URL     string
	Header  http.Header
	Body    []byte
	Secrets []string // what besides the URL must not be seen in an error
	Bound   int64    // bytes that are read of the reply; 0: 64 KiB
}

// Reply is the answer to a Request.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte // as far as the bound of the request
}

// IsPage reports whether a server answered with a page for people: one to log in
// at, or to say that it is asleep. None of an API is one, whatever its status.
func (r Reply) IsPage() bool {
	return strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") || bytes.HasPrefix(bytes.TrimSpace(r.Body), []byte("<"))
}

// Send sends r once and returns the reply, also beside an error where there was an
// answer, since a channel may know its meaning better. The error is nil for a status
// of 2xx whose reply came to its end or its bound; any other carries the verdict: see
// StatusError and unanswered. It holds neither r.URL nor r.Secrets. Send returns soon
// after ctx is done.
func (p *Client) Send(ctx context.Context, r Request) (Reply, error) {
	var sent atomic.Bool
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	req, err := http.NewRequestWithContext(traced, cmp.Or(r.Method, http.MethodPost), r.URL, bytes.NewReader(r.Body))
	if err != nil || req.URL.Host == "" {
		return Reply{}, sinks.Misconfigured(errors.New("the address is no URL; want one such as https://alerts.example.net/hook"))
	}
	maps.Copy(req.Header, r.Header)
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", userAgent())
	}
	hide := secret.Redactor(req.URL, r.Secrets)
	fail := func(err error) error { return &Error{req.Method, req.URL.Host, hide, err} }

	resp, err := p.HTTP.Do(req)
	if err != nil {
		return Reply{}, fail(unanswered(ctx, err, sent.Load()))
	}
	defer resp.Body.Close()
	body, cut := io.ReadAll(io.LimitReader(resp.Body, cmp.Or(r.Bound, MaxReply)))
	got := Reply{resp.StatusCode, resp.Header, body}
	err = StatusError(resp.StatusCode, resp.Header, time.Now())
	switch {
	case err != nil:
		return got, fail(fmt.Errorf("%w%s", err, excerpt(got, hide)))
	case cut != nil:
		return got, fail(sinks.Ambiguous(fmt.Errorf("answered %d, but the reply broke off: %w", resp.StatusCode, Cause(ctx, cut))))
	}
	return got, nil
}

// unanswered gives the verdict on a request that brought no answer. A request
// that failed before its first byte was written is tried again, except
// certificates and keys, which time alone does not mend. Once it was being
// written, it may have arrived.
func unanswered(ctx context.Context, err error, sent bool) error {
	err = Cause(ctx, err)
	switch v, _ := sinks.VerdictOf(err); {
	case v != sinks.VerdictRetry:
		return err
	case TLSRefused(err):
		return sinks.Misconfigured(fmt.Errorf("%w; check the server's certificate and tls", err))
	case sent:
		return sinks.Ambiguous(fmt.Errorf("no answer: %w", err))
	}
	return err
}

// Cause returns err without the URL, and without our own port, which would make
// another error of each attempt. If ctx is done, it returns the cause of that.
func Cause(ctx context.Context, err error) error {
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

// TLSRefused reports whether one side did not want the other's certificate, or
// does not speak TLS as the other does.
func TLSRefused(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || errors.Is(err, http.ErrSchemeMismatch) {
		return true
	}
	op, ok := errors.AsType[*net.OpError](err)
	return ok && (op.Op == "remote error" || op.Op == "local error") // a TLS alert
}

// environmentProxy returns the proxy of the environment. Its errors do not repeat the
// address, which may hold a password.
func environmentProxy(r *http.Request) (*url.URL, error) {
	u, err := http.ProxyFromEnvironment(r)
	if err != nil {
		return nil, sinks.Misconfigured(errors.New("HTTPS_PROXY or HTTP_PROXY is no URL"))
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
		return sinks.Misconfigured(fmt.Errorf("the proxy answered %s", StatusText(s)))
	default:
		return fmt.Errorf("the proxy answered %s", StatusText(s))
	}
}

// refuseLinkLocal keeps requests from the addresses at which clouds hand out
// credentials to every process on the machine.
func refuseLinkLocal(_ context.Context, _, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err == nil && a.Addr().IsLinkLocalUnicast() {
		return sinks.Misconfigured(fmt.Errorf("%s is a link-local address; set allow_link_local: true if it is meant", a.Addr()))
	}
	return nil
}

// Error names the host of a request that failed, and no secret.
type Error struct {
	method, host string
	hide         *strings.Replacer
	err          error
}

func (e *Error) Error() string {
	text := e.hide.Replace(e.err.Error())
	return safetext.Clean(e.method+" to "+e.host+": "+text, MaxErrorText+MaxExcerpt)
}

func (e *Error) Unwrap() error { return e.err }

// excerpt returns the part of a reply to show: some of it if it is text for a
// person or a program, nothing of a page.
func excerpt(r Reply, hide *strings.Replacer) string {
	text := bytes.TrimSpace(r.Body)
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case len(text) == 0:
		return ""
	case kind == "text/html" || kind == "application/xhtml+xml" || text[0] == '<':
		return ", with a page of HTML"
	case kind == "text/plain" || strings.HasSuffix(kind, "json"):
		shown := strings.Join(strings.Fields(hide.Replace(string(text))), " ")
		return ": " + safetext.Clean(shown, MaxExcerpt)
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
