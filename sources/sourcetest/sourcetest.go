// Package sourcetest holds what the tests of several sources share: a handler
// that keeps what it is given, a log that ends with its test, and a wait.
package sourcetest

import (
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
)

// Patience is how long a test waits for what has to happen.
const Patience = 30 * time.Second

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
