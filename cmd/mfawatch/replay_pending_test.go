package main

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
)

// A replay that waits for a sink names it, with what is pending, how long, and why.
func TestReplayNamesThePendingSink(t *testing.T) {
	before := replayReport
	defer func() { replayReport = before }()
	replayReport = 50 * time.Millisecond
	dir := t.TempDir()
	c, err := config.Load("test", fmt.Appendf(nil, `
sources: {local: {type: files, paths: [none]}}
sinks: {audit: {type: file, path: %q}, hook: {type: webhook, url: 'http://127.0.0.1:1/x', retry: {min: 10ms, max: 10ms}}}
journal: {path: %q}
http: {address: off}
log: {level: error}
`, filepath.Join(dir, "alerts.jsonl"), filepath.Join(dir, "mfawatch.db")), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	said := saying{enough: func(text string) bool {
		lines := strings.Split(strings.TrimSpace(text), "\n") // audit is named while its alerts are pending
		last := strings.Join(lines[len(lines)/2:], "\n")
		return len(lines) > 20 && strings.Contains(last, "mfawatch: sink hook: ") && strings.Contains(last, " pending after ") && strings.Contains(last, "127.0.0.1:1") && !strings.Contains(last, "sink audit: ")
	}, end: cancel}
	var out bytes.Buffer
	p := &program{stdin: strings.NewReader(""), stdout: &out, stderr: &said}
	_ = p.replay(ctx, c, &replayRun{paths: []string{"internal/demo/trail.jsonl"}})
	if !said.ended {
		t.Errorf("hook is not named, or audit is, which has no pending alerts:\n%s", said.text.String())
	}
}

// saying is a writer that calls end once its text is enough.
type saying struct {
	mu     sync.Mutex
	text   bytes.Buffer
	enough func(text string) bool
	end    func()
	ended  bool
}

func (s *saying) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(b)
	if s.enough(s.text.String()) {
		s.ended = true
		s.end()
	}
	return len(b), nil
}
