package httpin

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/sources"
)

// onePipe accepts what comes through a channel.
type onePipe chan net.Conn

func (l onePipe) Accept() (net.Conn, error) {
	if c, ok := <-l; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (l onePipe) Close() error   { return nil }
func (l onePipe) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// A sender that is too slow is cut off, whatever it does not send, and one that
// sends too long headers is refused.
func TestSlowSendersAreCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New("door", DefaultConfig(), sources.Options{Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
		if err != nil {
			t.Fatal(err)
		}
		read := func(_ context.Context, d processor.Delivery) error {
			for part, err := range d.Parts {
				if _, err := io.Copy(io.Discard, part.Body); err != nil {
					return nil // the source knows
				}
				if err != nil {
					return err
				}
			}
			return nil
		}
		pipes := make(onePipe)
		server := s.server(read)
		ended := make(chan error, 1)
		go func() { ended <- server.Serve(pipes) }()
		for _, f := range []struct {
			what, begins string
			within       time.Duration
		}{
			{"nothing is sent", "", headerTime},
			{"headers that do not end", "POST / HTTP/1.1\r\nHost: localhost\r\n", headerTime},
			{"a body that does not end", "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n[{", bodyTime},
			{"a connection that rests", "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", idleTime},
		} {
			ours, theirs := net.Pipe()
			pipes <- theirs
			began := time.Now()
			go func() { _, _ = io.WriteString(ours, f.begins) }()
			_, _ = io.Copy(io.Discard, ours) // until it is closed
			if took := time.Since(began); took < time.Second || took > f.within+time.Second {
				t.Errorf("%s: ended after %s, want %s", f.what, took, f.within)
			}
			ours.Close()
		}
		ours, theirs := net.Pipe()
		pipes <- theirs
		go func() {
			_, _ = fmt.Fprintf(ours, "POST / HTTP/1.1\r\nHost: localhost\r\nX-Long: %s\r\n\r\n", strings.Repeat("x", 2*headerBytes))
		}()
		answer, err := http.ReadResponse(bufio.NewReader(ours), nil)
		if err != nil || answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("long headers: %v, %v", answer, err)
		}
		ours.Close()
		close(pipes)
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		<-ended
		time.Sleep(time.Minute) // within the bubble: what closes connections has a moment
	})
}
