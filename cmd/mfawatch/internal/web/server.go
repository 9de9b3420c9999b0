package web

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/shard"
	"github.com/mfawatch/mfawatch/processor/connlimit"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/secret"
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
	// Numbered yields the same journals with their partitions; -1: the journal is a
	// file.
	Numbered(yield func(partition int, j *journal.Journal) bool)
	// Replicas returns the replicas that share the journal; none: it is a file.
	Replicas(ctx context.Context) ([]shard.Replica, error)
	// ShardStatuses returns the statuses of this replica's shards.
	ShardStatuses() []shard.Status
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

// Listen listens on http.address, and on http.admin_address for this machine alone,
// so that a start fails if one is taken. The servers serve once Run is called. There
// is none if both are off. The caller closes them.
func Listen(s Service, reg prometheus.Registerer, logger *slog.Logger) (Servers, error) {
	settings := func() config.HTTPConfig { return s.Config().HTTP }
	admin := NewAdmin(s, reg)
	board := newBoard(s, admin)
	board.group.own = handlerOf(append(admin.routes(), board.routes()...))
	all, shown := Servers{watch: board.watch}, new(shownViews)
	for _, at := range []struct {
		field, address string
		local          func() bool
	}{
		{"http.address", settings().Address, func() bool { return secret.Loopback(settings().Address) }},
		{"http.admin_address", settings().LocalAddress(), func() bool { return true }},
	} {
		if at.address == config.HTTPOff {
			continue
		}
		server, err := listenHTTP(at.field, at.address, s, s.Ready, logger)
		if err != nil {
			return all, errors.Join(err, all.Close())
		}
		a := access{settings, at.local}
		server.admit(board.group, s.Reload, a)
		ended, end := context.WithCancel(context.Background())
		server.server.RegisterOnShutdown(end)
		pages := pages{board, a, rand.Text(), make(chan struct{}, maxStreams), shown, ended.Done()}
		for _, pattern := range []string{"GET /{$}", "GET /exposures/{id}", "GET /events", "/deadletters", "/quarantine"} {
			server.mux.Handle(pattern, pages.handler())
		}
		server.server.Handler = pages.ownHostsOnly(server.server.Handler)
		all.all = append(all.all, server)
		if at.field == "http.address" && !strings.HasPrefix(server.Addr(), config.UnixPrefix) {
			all.public = server.Addr()
		}
	}
	return all, nil
}

// Servers are the servers of a service.
type Servers struct {
	all    []*Server
	public string                    // address of the server at http.address
	watch  func(ctx context.Context) // looks at the health and the metrics of the service
}

// PublicAddr returns the address of the server at http.address, "" if there is none
// that other replicas could reach.
func (s Servers) PublicAddr() string { return s.public }

// Len returns the number of servers.
func (s Servers) Len() int { return len(s.all) }

// Run runs all servers until ctx is done, or one fails.
func (s Servers) Run(ctx context.Context) error {
	all, ctx := errgroup.WithContext(ctx)
	for _, server := range s.all {
		all.Go(func() error { return server.Run(ctx) })
	}
	all.Go(func() error {
		s.watch(ctx)
		return nil
	})
	return all.Wait()
}

// Close releases the addresses if Run was never called.
func (s Servers) Close() error {
	var errs []error
	for _, server := range s.all {
		errs = append(errs, server.Close())
	}
	return errors.Join(errs...)
}

// Addr returns the addresses, or off without one.
func (s Servers) Addr() string {
	if s.Len() == 0 {
		return config.HTTPOff
	}
	var all []string
	for _, server := range s.all {
		all = append(all, server.Addr())
	}
	return strings.Join(all, " ")
}

// A Server serves metrics, health, pages and the admin API.
type Server struct {
	listener net.Listener
	mux      *http.ServeMux
	server   *http.Server
}

// listen listens on an address of the configuration.
func listen(field, address string) (net.Listener, error) {
	network, where := "tcp", address
	if path, ok := strings.CutPrefix(address, config.UnixPrefix); ok {
		network, where = "unix", path
		c, err := net.Dial(network, where)
		if err == nil {
			_ = c.Close()
			return nil, fmt.Errorf("%s: %s is taken by another program; choose another path, or stop that program", field, address)
		}
		// A refused connection: the socket of a process that was killed.
		if info, lost := os.Lstat(path); lost == nil && info.Mode()&os.ModeSocket != 0 && errors.Is(err, syscall.ECONNREFUSED) {
			_ = os.Remove(path)
		}
	}
	undo := func() {}
	if network == "unix" {
		undo = ownerOnly()
	}
	listener, err := net.Listen(network, where)
	undo()
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s: %s is taken by another program; choose another port, or stop that program: %w", field, address, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: listen on %s: %w", field, address, err)
	}
	return listener, nil
}

// listenHTTP listens on the address of a field and serves metrics and health once
// Run is called.
func listenHTTP(field, address string, metrics prometheus.Gatherer, ready iter.Seq2[string, error], logger *slog.Logger) (*Server, error) {
	listener, err := listen(field, address)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(logger.Handler(), slog.LevelError),
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: 8,
	}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { readyz(w, ready) })
	return &Server{connlimit.New(listener, 0, func() {}), mux, &http.Server{
		Handler:           mux,
		ConnContext:       connlimit.WithConn,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}}, nil
}

// Addr returns the address of the server.
func (s *Server) Addr() string {
	if at := s.listener.Addr(); at.Network() == "unix" {
		return config.UnixPrefix + at.String()
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
			fmt.Fprintf(&body, "%s: %s\n", part, problem(err))
			continue
		}
		fmt.Fprintf(&body, "%s: ok\n", part)
	}
	plain(w, status, body.String())
}

func plain(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}

// line returns the text on one line.
func line(text string) string { return strings.Join(strings.Fields(text), " ") }
