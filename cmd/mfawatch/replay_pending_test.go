package main

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
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
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	var out, said bytes.Buffer
	p := &program{stdin: strings.NewReader(""), stdout: &out, stderr: &said}
	_ = p.replay(ctx, c, &replayRun{paths: []string{"internal/demo/trail.jsonl"}})
	if text := said.String(); !strings.Contains(text, "mfawatch: sink hook: ") || !strings.Contains(text, " pending after ") || !strings.Contains(text, "127.0.0.1:1") {
		t.Errorf("stderr:\n%s", text)
	}
	lines := strings.Split(strings.TrimSpace(said.String()), "\n") // audit is named while its alerts are pending
	if last := strings.Join(lines[len(lines)/2:], "\n"); strings.Contains(last, "sink audit: ") {
		t.Errorf("a sink without pending alerts is named:\n%s", last)
	}
}
