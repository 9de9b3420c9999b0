// Package sourcetest holds what the tests of several sources share: a handler
// that keeps what it is given, a log that ends with its test, a wait, and an address.
package sourcetest

import (
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Patience is how long a test waits for what has to happen.
const Patience = time.Minute

// Eventually polls until done returns true. After Patience the test fails with
// the text that why returns.
func Eventually(t testing.TB, done func() bool, why func() string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(Patience)
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal(why())
		}
	}
}

// ports counts up from firstPort, which each process has of its own.
var (
	ports     atomic.Uint32
	firstPort = rand.Uint32()
)

// FreeAddress returns an address on loopback without a listener. Its port is below
// those that the system gives to outgoing connections, so that none takes it before
// the program that is tested listens there, and no other test is given it. It panics
// if there is none.
func FreeAddress() string {
	var err error
	for range 100 {
		var l net.Listener
		if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10_000+(firstPort+ports.Add(1))%20_000)); err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	panic(fmt.Sprintf("sourcetest: no address is free: %v", err))
}

// Log returns a logger that writes to the log of a verbose test, and discards
// every line after the test has ended.
func Log(t testing.TB) *slog.Logger {
	w := io.Discard
	if testing.Verbose() {
		l := &testWriter{t: t}
		t.Cleanup(l.end)
		w = l
	}
	return slog.New(slog.NewTextHandler(w, nil))
}

type testWriter struct {
	mu sync.Mutex
	t  testing.TB
}

func (w *testWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.t != nil {
		w.t.Log(strings.TrimSuffix(string(p), "\n"))
	}
	return len(p), nil
}

func (w *testWriter) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.t = nil
}
