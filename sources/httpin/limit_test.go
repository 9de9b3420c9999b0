package httpin

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mfawatch/mfawatch/processor/connlimit"
	"github.com/mfawatch/mfawatch/sources"
	"github.com/mfawatch/mfawatch/sources/sourcetest"
)

// Thousands of connections with unfinished headers cost little memory, and do not
// keep out a sender with a token.
func TestStrangersKeepNobodyOut(t *testing.T) {
	in := sourcetest.NewInbox()
	s, address := openDoor(t, Config{Tokens: []string{doorToken}}, in.Handle)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	head := "POST / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + strings.Repeat("x", 90<<10)
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	for range 1500 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
		_, _ = io.WriteString(c, head) // it may be closed by now
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapInuse) - int64(before.HeapInuse); grown > 40<<20 {
		t.Errorf("%d MiB for %d strangers", grown>>20, len(conns))
	}
	for i := range 3 {
		answer, text := post(t, "http://"+address, strings.NewReader(fmt.Sprintf(`{"n":%d}`, i)), "Authorization: Bearer "+doorToken)
		if answer.StatusCode != 200 {
			t.Errorf("a sender with a token got %s %q", answer.Status, text)
		}
	}
	if n := testutil.ToFloat64(s.metrics.refused); n < 1500-connlimit.PerAddress {
		t.Errorf("%v connections refused", n)
	}
}

// A connection without a token ends after ten seconds, whatever it sends slowly;
// one that has shown a token goes on.
func TestStrangersAreTimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New("door", Config{Address: "127.0.0.1:0", Tokens: []string{doorToken}}, sources.Options{Logger: sourcetest.Log(t), Registerer: prometheus.NewRegistry()})
		if err != nil {
			t.Fatal(err)
		}
		in := sourcetest.NewInbox()
		pipes := make(onePipe)
		server, ended := s.server(in.Handle), make(chan error, 1)
		go func() { ended <- server.Serve(connlimit.New(pipes, proofTime, s.metrics.refused.Inc)) }()
		for _, f := range []struct {
			name, token string
			least, most time.Duration
		}{
			{"a stranger", "", 0, proofTime},
			{"a sender", doorToken, time.Minute, bodyTime},
		} {
			ours, theirs := net.Pipe()
			pipes <- theirs
			began := time.Now()
			go func() {
				_, _ = fmt.Fprintf(ours, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\nX-Api-Key: %s\r\n\r\n", f.token)
				for { // a byte a second
					if _, err := io.WriteString(ours, " "); err != nil {
						return
					}
					time.Sleep(time.Second)
				}
			}()
			_, _ = io.Copy(io.Discard, ours) // until it is closed
			if took := time.Since(began); took < f.least || took > f.most+time.Second {
				t.Errorf("%s: ended after %s, want %s to %s", f.name, took, f.least, f.most)
			}
			ours.Close()
		}
		close(pipes)
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		<-ended
		time.Sleep(time.Minute)
	})
}
