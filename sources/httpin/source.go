package httpin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/sources"
)

// Config says where records may be posted to, and who may do so.
type Config struct {
	Address string `koanf:"address"` // host:port
	TLS     TLS    `koanf:"tls"`
	// Tokens are what a sender may show, in any header: Authorization as a bearer
	// token or as the password of a user, X-Amz-Firehose-Access-Key, X-Api-Key.
	// Each is enough, so that one can be replaced. None: nobody is asked.
	Tokens     []string `koanf:"tokens"`
	TokenFiles []string `koanf:"token_files"` // beside tokens, or in their place; read for each request
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config { return Config{Address: "127.0.0.1:9465"} }

const (
	minToken = 16
	maxToken = 4096 // what Firehose sends at most
)

// Validate tells every mistake in c. The errors are joined, each of the form
// "field: problem"; none holds a secret. Files that are named have to be there
// and readable.
func (c Config) Validate() error {
	var errs []error
	host, port, err := net.SplitHostPort(c.Address)
	if n, wrong := strconv.ParseUint(port, 10, 16); err != nil || wrong != nil || n == 0 && host == "" {
		errs = append(errs, fmt.Errorf("address: want host:port such as 127.0.0.1:9465, got %q", c.Address))
		err = errors.ErrUnsupported
	}
	_, wrong := c.tokens()
	errs = append(errs, wrong, c.TLS.validate())
	if err == nil && !onlyHere(c.Address) && !c.asks() {
		errs = append(errs, fmt.Errorf("address: %s can be reached from other machines, and anybody there could post records that never were;"+
			" set tokens or token_files, or tls.client_ca_file; or listen on 127.0.0.1", c.Address))
	}
	return errors.Join(errs...)
}

// asks reports whether a sender has to show something.
func (c Config) asks() bool {
	return len(c.Tokens) > 0 || len(c.TokenFiles) > 0 || c.TLS.ClientCAFile != ""
}

// onlyHere reports whether only this machine can reach an address.
func onlyHere(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// Bounds on what is taken at once, so that memory stays bounded and nobody holds
// up the others.
const (
	bodyBytes     = 64 << 20  // of one body, as it comes; Firehose sends no more
	inflatedBytes = 256 << 20 // of one body, inflated
	heldBodies    = 128 << 20 // of all requests that are handled, by what each may take
	leastRoom     = 256 << 10 // so much each takes at least
	mostRoom      = 8 << 20   // and at most, since bodies are streamed; one that is compressed may take so much
	headerBytes   = 96 << 10  // Firehose's common attributes alone may have 64 KB

	headerTime = 10 * time.Second
	bodyTime   = 2 * time.Minute
	answerTime = 3 * time.Minute // that is how long Firehose waits
	idleTime   = 2 * time.Minute
)

// Source takes records that are posted, in whatever carrier. One request is one
// delivery; it is answered 200 once that is durable.
//
// What is answered 4xx can never be taken: a body that is no JSON, or is damaged
// where it is compressed (400), compressed in a way that is not read (415), too
// large (413), without a token (401), or from a web page (403). 503 with Retry-After asks for the same again: too much is being
// handled, or it could not be journalled. A record in a good body that cannot be
// read is no reason to refuse the others: it is counted, named and left behind,
// as with every source.
type Source struct {
	name    string
	config  Config
	log     *slog.Logger
	metrics *metrics
	room    *semaphore.Weighted
	mention rate.Sometimes // bounds what strangers can write into the log
	trouble rate.Sometimes // and what goes wrong here
	address atomic.Pointer[net.Addr]

	// Set otherwise by tests.
	waitRoom time.Duration // how long a request waits for room
	patience time.Duration // for requests that are being handled at the end
	body     int64         // of one, as it comes
	inflated int64
}

var _ sources.Source = (*Source)(nil)

// New returns the source called name. It does not listen yet.
func New(name string, c Config, o sources.Options) (*Source, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := &Source{
		name:     name,
		config:   c,
		log:      o.Log(name),
		metrics:  newMetrics(name, o.Registerer),
		room:     semaphore.NewWeighted(heldBodies),
		mention:  rate.Sometimes{First: 10, Interval: 10 * time.Second},
		trouble:  rate.Sometimes{First: 10, Interval: 10 * time.Second},
		waitRoom: time.Second,
		patience: 15 * time.Second,
		body:     bodyBytes,
		inflated: inflatedBytes,
	}
	return s, nil
}

// Run listens and serves until ctx is done; then the requests that are being
// handled are finished and answered. Its error is that it cannot listen.
func (s *Source) Run(ctx context.Context, h processor.Handler) error {
	listener, err := net.Listen("tcp", s.config.Address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("address: %s is taken by another program; choose another port, or stop that program: %w", s.config.Address, err)
	}
	if err != nil {
		return fmt.Errorf("address: listen on %s: %w", s.config.Address, err)
	}
	at := listener.Addr()
	s.address.Store(&at)
	defer s.address.Store(nil)
	server := s.server(h)
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.patience)
		defer cancel()
		err := server.Shutdown(wait)
		if err != nil {
			err = errors.Join(fmt.Errorf("requests were cut off at the end; their senders were not answered and send again: %w", err), server.Close())
		}
		stopped <- err
	})
	if server.TLSConfig != nil {
		err = server.ServeTLS(listener, "", "")
	} else {
		err = server.Serve(listener)
	}
	if stop() { // nobody asked it to end
		return fmt.Errorf("serve %s: %w", at, errors.Join(err, server.Close()))
	}
	return <-stopped
}

// server is what serves requests, and ends those that take too long.
func (s *Source) server(h processor.Handler) *http.Server {
	return &http.Server{
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

// Ready is why nothing can be posted, nil if it can.
func (s *Source) Ready() error {
	if s.address.Load() == nil {
		return errors.New("does not listen yet")
	}
	return nil
}
