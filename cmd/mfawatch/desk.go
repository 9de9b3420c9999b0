package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/mfawatch/mfawatch/processor/journal"
)

// A desk is where a person sees to what went wrong: at a running service, over
// HTTP, or at the journal of one that is stopped.
type desk struct {
	client  *http.Client
	address string // where the service runs; "" where it does not
	journal *journal.Journal
}

// deskFlags are where a desk is looked for.
type deskFlags struct{ config, journal, address string }

func (f *deskFlags) add(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.StringVarP(&f.config, "config", "c", "", "the configuration of the service, a YAML `FILE`")
	flags.StringVar(&f.journal, "journal", "", "the journal of a service that is stopped, a `FILE`")
	flags.StringVar(&f.address, "address", "", "`HOST:PORT` of a running service (its http.address)")
}

// openDesk finds the service, or else opens its journal. The caller closes the
// desk.
func (p *program) openDesk(f *deskFlags) (*desk, error) {
	if f.address != "" {
		return dial(f.address)
	}
	path, address := f.journal, ""
	if f.config != "" {
		c, err := loadFile(f.config, p.environ, nil)
		if err != nil {
			return nil, err
		}
		address = c.HTTP.Address
		if path == "" {
			path = c.Journal.Path
		}
	}
	if path == "" {
		return nil, &configError{"-c", []mistake{{"", "missing; want the configuration of the service (-c FILE), its address (--address HOST:PORT), or its journal (--journal FILE)"}}}
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no journal at %s: name the one of the service with --journal FILE", path)
	}
	j, err := journal.Open(path, journal.Options{Logger: slog.New(slog.DiscardHandler)})
	switch {
	case errors.Is(err, journal.ErrInUse) && address != "":
		return dial(address)
	case errors.Is(err, journal.ErrInUse):
		return nil, fmt.Errorf("the journal %s is in use, so the service runs: name its configuration with -c FILE, or its address with --address HOST:PORT", path)
	case err != nil:
		return nil, err
	}
	h := newAdmin(j, newMetrics(prometheus.NewRegistry()), nil)
	return &desk{client: &http.Client{Transport: within{h}}, journal: j}, nil
}

// dial makes the desk of a running service. It asks for nothing yet.
func dial(address string) (*desk, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || port == "" || port == "0" {
		return nil, &configError{"--address", []mistake{{"", fmt.Sprintf("want HOST:PORT of the running service, got %q", bounded(address))}}}
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	transport := &http.Transport{DisableKeepAlives: true, ResponseHeaderTimeout: time.Minute}
	return &desk{client: &http.Client{Transport: transport}, address: net.JoinHostPort(host, port)}, nil
}

func (d *desk) Close() error {
	if d.journal == nil {
		return nil
	}
	return d.journal.Close()
}

// do sends a request about a selection. The caller closes the body.
func (d *desk) do(ctx context.Context, method, path string, s selection) (io.ReadCloser, error) {
	q := url.Values{"id": s.ids}
	if s.all {
		q.Set("all", "true")
	}
	if s.sink != "" {
		q.Set("sink", s.sink)
	}
	u := url.URL{Scheme: "http", Host: d.address, Path: path, RawQuery: q.Encode()}
	if d.address == "" {
		u.Host = "journal"
	}
	r, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	r.Host = "localhost" // see plainHost
	response, err := d.client.Do(r)
	var wrong *url.Error
	if errors.As(err, &wrong) {
		return nil, fmt.Errorf("ask the service at %s: %w", d.address, wrong.Err)
	}
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		if reason := line(string(text)); response.StatusCode != http.StatusNotFound || d.journal != nil || strings.HasPrefix(reason, "no ") {
			return nil, errors.New(clean(reason))
		}
		return nil, fmt.Errorf("there is no mfawatch that knows this at %s", d.address)
	}
	return response.Body, nil
}

// idStep is how many IDs go into one request.
const idStep = 100

// list calls each with every line of a list.
func list[T any](ctx context.Context, d *desk, path string, s selection, each func(T) error) error {
	steps := slices.Collect(slices.Chunk(s.ids, idStep))
	if len(steps) == 0 {
		steps = [][]string{nil}
	}
	for _, ids := range steps {
		body, err := d.do(ctx, http.MethodGet, path, selection{sink: s.sink, ids: ids})
		if err != nil {
			return err
		}
		decoder := json.NewDecoder(bufio.NewReader(body))
		for {
			var v T
			if err = decoder.Decode(&v); err != nil {
				break
			}
			if err = each(v); err != nil {
				break
			}
		}
		body.Close()
		if !errors.Is(err, io.EOF) {
			return fmt.Errorf("read the list: %w", err)
		}
	}
	return nil
}

// change carries out one action on a selection.
func (d *desk) change(ctx context.Context, method, path string, s selection) (total outcome, err error) {
	steps := slices.Collect(slices.Chunk(s.ids, idStep))
	if s.all {
		steps = [][]string{nil}
	}
	for _, ids := range steps {
		body, err := d.do(ctx, method, path, selection{sink: s.sink, ids: ids, all: s.all})
		if err != nil {
			return total, err
		}
		var o outcome
		err = json.NewDecoder(body).Decode(&o)
		body.Close()
		if err != nil {
			return total, fmt.Errorf("read what came of it: %w", err)
		}
		total.Done += o.Done
		total.Events += o.Events
		total.Unknown = append(total.Unknown, o.Unknown...)
		total.Still = append(total.Still, o.Still...)
	}
	return total, nil
}

// within is a Transport that asks a handler in this process.
type within struct{ handler http.Handler }

func (t within) RoundTrip(r *http.Request) (*http.Response, error) {
	read, write := io.Pipe()
	w := &pipeWriter{body: write, header: http.Header{}, begun: make(chan struct{})}
	go func() {
		defer func() {
			err := error(nil)
			if recover() != nil {
				err = io.ErrUnexpectedEOF
			}
			w.WriteHeader(http.StatusOK)
			write.CloseWithError(err)
		}()
		t.handler.ServeHTTP(w, r)
	}()
	<-w.begun
	return &http.Response{
		StatusCode: w.status, Status: http.StatusText(w.status), Header: w.header, Body: read, Request: r,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, ContentLength: -1,
	}, nil
}

// A pipeWriter is a ResponseWriter whose body is read elsewhere.
type pipeWriter struct {
	body   *io.PipeWriter
	header http.Header
	status int
	begun  chan struct{} // closed once the status is known
}

func (w *pipeWriter) Header() http.Header { return w.header }

func (w *pipeWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
		close(w.begun)
	}
}

func (w *pipeWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}
