package web

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/processor/journal"
)

// A Service is the running service, as its web server knows it.
type Service interface {
	prometheus.Gatherer

	// Config returns the configuration in effect.
	Config() *config.Config
	// Journal returns the journal, which is open while the server runs.
	Journal() *journal.Journal
	// Ready yields each part by its name, and why it is not ready; nil: it is. A
	// part that is not ready does not take the others down.
	Ready(yield func(part string, err error) bool)
	// Sinks returns the names of the sinks, sorted.
	Sinks() []string
	// Stats returns what the journal holds for each sink.
	Stats() (journal.Stats, error)
	// Again has a source read again what a message names that it gave up.
	Again(ctx context.Context, source, message string) error
	// Reload reads the configuration again, and returns what changed.
	Reload() (config.Changes, error)
}

// Listen takes the address of the configuration for a service, so that one that
// cannot be had refuses the start, and serves from when Run is called. It returns
// nil where nothing is to be served. The caller closes the server.
func Listen(s Service, reg prometheus.Registerer, logger *slog.Logger) (*Server, error) {
	address := s.Config().HTTP.Address
	if address == config.HTTPOff {
		return nil, nil
	}
	server, err := listenHTTP(address, s, s.Ready, logger)
	if err != nil {
		return nil, err
	}
	server.admit(NewAdmin(s.Journal(), reg, s.Again).Handler(), s.Reload, func() bool { return adminOpen(s.Config().HTTP) })
	pages := pages{s}.handler()
	server.mux.Handle("GET /{$}", pages)
	server.mux.Handle("GET /exposures/{id}", pages)
	return server, nil
}

// A Server serves metrics and health, and what people do to a running
// service.
type Server struct {
	listener net.Listener
	mux      *http.ServeMux
	server   *http.Server
}

// listenHTTP takes the address, so that one that cannot be had refuses the
// start, and serves from when Run is called.
func listenHTTP(address string, metrics prometheus.Gatherer, ready iter.Seq2[string, error], logger *slog.Logger) (*Server, error) {
	listener, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("http.address: %s is taken by another program; choose another port, or stop that program: %w", address, err)
	}
	if err != nil {
		return nil, fmt.Errorf("http.address: listen on %s: %w", address, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(logger.Handler(), slog.LevelError),
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: 8,
	}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { readyz(w, ready) })
	return &Server{listener, mux, &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}}, nil
}

// Addr is where the server listens, if there is one.
func (s *Server) Addr() string {
	if s == nil {
		return config.HTTPOff
	}
	return s.listener.Addr().String()
}

// Run serves until ctx is done; requests under way then have a second.
func (s *Server) Run(ctx context.Context) error {
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		err := s.server.Shutdown(wait)
		if err != nil {
			err = s.server.Close()
		}
		stopped <- err
	})
	err := s.server.Serve(s.listener)
	if stop() { // nobody asked it to end
		return fmt.Errorf("serve %s: %w", s.Addr(), err)
	}
	return <-stopped
}

// Close gives the address back, if Run was never called.
func (s *Server) Close() error {
	if err := s.listener.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// readyz answers 200 when every part is ready, else 503, with a line for each.
func readyz(w http.ResponseWriter, ready iter.Seq2[string, error]) {
	status := http.StatusOK
	var body strings.Builder
	for part, err := range ready {
		if err != nil {
			status = http.StatusServiceUnavailable
			fmt.Fprintf(&body, "%s: %s\n", part, line(err.Error()))
			continue
		}
		fmt.Fprintf(&body, "%s: ok\n", part)
	}
	plain(w, status, body.String())
}

func plain(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}

// line puts a text on one line.
func line(text string) string { return strings.Join(strings.Fields(text), " ") }
