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
	"github.com/mfawatch/mfawatch/processor/trail"
)

// A Service is the running service that a Server serves.
type Service interface {
	prometheus.Gatherer

	// Config returns the configuration in effect.
	Config() *config.Config
	// Journals returns the journals that are served now. One that is closed since
	// fails.
	Journals() []*journal.Journal
	// Append makes events durable, and returns how many are new.
	Append(ctx context.Context, events []*trail.Event) (fresh int, err error)
	// Ready yields each part by name with why it is not ready, nil if it is.
	Ready(yield func(part string, err error) bool)
	// Sinks returns the names of the sinks, sorted.
	Sinks() []string
	// Stats returns the journal's stats.
	Stats() (journal.Stats, error)
	// Again has a source read the objects of a quarantined message.
	Again(ctx context.Context, source, message string) error
	// Reload reads the configuration again, and returns the changes.
	Reload() (config.Changes, error)
}

// Listen listens on http.address, so that a start fails if the address is taken.
// The server serves once Run is called. It is nil if http.address is off. The caller
// closes it.
func Listen(s Service, reg prometheus.Registerer, logger *slog.Logger) (*Server, error) {
	address := s.Config().HTTP.Address
	if address == config.HTTPOff {
		return nil, nil
	}
	server, err := listenHTTP(address, s, s.Ready, logger)
	if err != nil {
		return nil, err
	}
	server.admit(NewAdmin(s, reg).Handler(), s.Reload, func() bool { return adminOpen(s.Config().HTTP) })
	pages := pages{s}
	server.mux.Handle("GET /{$}", pages.handler())
	server.mux.Handle("GET /exposures/{id}", pages.handler())
	server.server.Handler = pages.ownHostsOnly(server.server.Handler)
	return server, nil
}

// A Server serves metrics, health, pages and the admin API.
type Server struct {
	listener net.Listener
	mux      *http.ServeMux
	server   *http.Server
}

// listenHTTP listens on address and serves metrics and health once Run is called.
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

// Addr returns the address of the server, or off without one.
func (s *Server) Addr() string {
	if s == nil {
		return config.HTTPOff
	}
	return s.listener.Addr().String()
}

// Run serves until ctx is done; requests in progress get another second.
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
	if stop() { // ctx is not done
		return fmt.Errorf("serve %s: %w", s.Addr(), err)
	}
	return <-stopped
}

// Close releases the address if Run was never called.
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

// line returns the text on one line.
func line(text string) string { return strings.Join(strings.Fields(text), " ") }
