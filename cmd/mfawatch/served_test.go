package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
)

// A service whose web server fails ends with that error: it would run unseen.
func TestServiceEndsWithItsWebServer(t *testing.T) {
	dir := t.TempDir()
	c, err := config.Load("test", fmt.Appendf(nil, `
sources: {local: {type: files, paths: [%q]}}
sinks: {audit: {type: file, path: %q}}
journal: {path: %q}
http: {address: '127.0.0.1:0'}
shutdown_timeout: 20ms
`, dir, filepath.Join(dir, "alerts.jsonl"), filepath.Join(dir, "mfawatch.db")), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &program{stderr: io.Discard}
	s, err := p.newServed(c, io.Discard, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.web.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "serve 127.0.0.1:") {
		t.Errorf("Run: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
