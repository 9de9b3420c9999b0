package httpin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/connlimit"
	"github.com/mfawatch/mfawatch/processor/secret"
	"github.com/mfawatch/mfawatch/sources"
)

// Config is the address that records are posted to, and the credentials of senders.
type Config struct {
	Address string `koanf:"address"` // host:port
	TLS     TLS    `koanf:"tls"`
	// Tokens authenticate a sender, in any header: Authorization as a bearer token
	// or as the password of a user, X-Amz-Firehose-Access-Key, X-Api-Key. One of
	// them is enough, so that tokens can be rotated. Without any, all may post.
	Tokens     []string `koanf:"tokens"`
	TokenFiles []string `koanf:"token_files"` // besides tokens, or instead of them; read for each request
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config { return Config{Address: "127.0.0.1:9465"} }

const (
	minToken = 16
	maxToken = 4096 // the most that Firehose sends
)

// Validate returns every mistake in c. The errors are joined, each of the form
// "field: problem"; none holds a secret. Named files must exist and be
// readable.
func (c Config) Validate() error {
	var errs []error
	host, port, err := net.SplitHostPort(c.Address)
	if n, wrong := strconv.ParseUint(port, 10, 16); err != nil || wrong != nil || n == 0 && host == "" {
		errs = append(errs, fmt.Errorf("address: want host:port such as 127.0.0.1:9465, got %q", c.Address))
		err = errors.ErrUnsupported
	}
	_, wrong := c.tokens()
	errs = append(errs, wrong, c.TLS.validate())
	if err == nil && !secret.Loopback(c.Address) && !c.authenticates() {
		errs = append(errs, fmt.Errorf("address: %s can be reached from other machines, which could post forged records;"+
			" set tokens or token_files, or tls.client_ca_file; or listen on 127.0.0.1", c.Address))
	}
	return errors.Join(errs...)
}

// authenticates reports whether senders need a token or a certificate.
func (c Config) authenticates() bool {
	return len(c.Tokens) > 0 || len(c.TokenFiles) > 0 || c.TLS.ClientCAFile != ""
}

// Bounds on memory and time, so that no sender exhausts the source or delays others.
const (
	bodyBytes     = 64 << 20  // of one body, as it comes; Firehose sends no more
	inflatedBytes = 256 << 20 // of one body, inflated
	memoryBudget  = 128 << 20 // of all requests under way, by what each reserves
	minReserve    = 256 << 10 // the least that a request reserves
	maxReserve    = 8 << 20   // the most, since bodies are streamed; compressed bodies reserve it
	headerBytes   = 96 << 10  // Firehose's common attributes alone may have 64 KB

	headerTime = 10 * time.Second
	proofTime  = 10 * time.Second // from the connection to a token
	bodyTime   = 2 * time.Minute
	answerTime = 3 * time.Minute // that is how long Firehose waits
	idleTime   = 2 * time.Minute
)

// Source accepts records over HTTP POST, in any envelope. One request is one
// delivery; the answer is 200 once the delivery is durable.
//
// An answer of 4xx is permanent: a body that is no JSON or a damaged archive
// (400), an unknown compression (415), a body that is too large (413), no token
// (401), a web page (403). 503 with Retry-After asks the sender to retry: the
// memory budget is used up, or the journal failed. An unreadable record in a good
// body does not affect the others: it is counted, named and skipped, as with
// every source.
type Source struct {
	name       string
	config     Config
	log        *slog.Logger
	metrics    *metrics
	budget     *semaphore.Weighted
	senderWarn rate.Sometimes // bounds log lines that senders cause
	faultWarn  rate.Sometimes // bounds log lines of faults on this side
	address    atomic.Pointer[net.Addr]

	// Set otherwise by tests.
	acquireTimeout time.Duration // how long a request waits for memory
	patience       time.Duration // for requests that are being handled at the end
	body           int64         // of one, as it comes
	inflated       int64
}

var _ sources.Source = (*Source)(nil)

// New returns the source called name. It does not listen yet.
func New(name string, c Config, o sources.Options) (*Source, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Source{
		name:           name,
		config:         c,
		log:            o.Log(name),
		metrics:        newMetrics(name, o.Registerer),
		budget:         semaphore.NewWeighted(memoryBudget),
		senderWarn:     rate.Sometimes{First: 10, Interval: 10 * time.Second},
		faultWarn:      rate.Sometimes{First: 10, Interval: 10 * time.Second},
		acquireTimeout: time.Second,
		patience:       15 * time.Second,
		body:           bodyBytes,
		inflated:       inflatedBytes,
	}, nil
}

// Run listens and serves until ctx is done; then it finishes and answers requests
// under way. It returns an error if it cannot listen or a request was cut off.
func (s *Source) Run(ctx context.Context, h processor.Handler) error {
	listener, err := net.Listen("tcp", s.config.Address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("address: %s is used by another program; choose another port, or stop that program: %w", s.config.Address, err)
	}
	if err != nil {
		return fmt.Errorf("address: listen on %s: %w", s.config.Address, err)
	}
	at := listener.Addr()
	s.address.Store(&at)
	defer s.address.Store(nil)
	s.log.Info("listening", "address", at.String())
	server := s.server(h)
	listener = connlimit.New(listener, proofTime, s.metrics.refused.Inc)
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.patience)
		defer cancel()
		err := server.Shutdown(wait)
		if err != nil {
			err = errors.Join(fmt.Errorf("requests were cut off at shutdown; their senders got no answer and send again: %w", err), server.Close())
		}
		stopped <- err
	})
	if server.TLSConfig != nil {
		err = server.ServeTLS(listener, "", "")
	} else {
		err = server.Serve(listener)
	}
	if stop() { // ctx is not done
		return fmt.Errorf("serve %s: %w", at, errors.Join(err, server.Close()))
	}
	return <-stopped
}

// server returns an HTTP server that bounds the time of requests.
func (s *Source) server(h processor.Handler) *http.Server {
	return &http.Server{
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: 16, MaxReceiveBufferPerConnection: 256 << 10, MaxReceiveBufferPerStream: 256 << 10},
		ConnContext:       connlimit.WithConn,
		Handler:           &handler{Source: s, handle: h},
		ReadHeaderTimeout: headerTime,
		ReadTimeout:       bodyTime,
		WriteTimeout:      answerTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    headerBytes,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		TLSConfig:         s.config.TLS.serving(),
	}
}

// Ready returns nil while the source listens.
func (s *Source) Ready() error {
	if s.address.Load() == nil {
		return errors.New("does not listen yet")
	}
	return nil
}
