package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/journal"
)

func smallPipeline(t *testing.T, log *slog.Logger) *pipeline {
	t.Helper()
	dir := t.TempDir()
	c, err := load("test", fmt.Appendf(nil, `
sources: {local: {type: files, paths: [%q]}}
sinks: {audit: {type: file, path: %q}}
journal: {path: %q}
http: {address: '127.0.0.1:0'}
drain: 20ms
`, dir, filepath.Join(dir, "alerts.jsonl"), filepath.Join(dir, "mfawatch.db")), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	reg := prometheus.NewRegistry()
	p, err := newPipeline(c, surroundings{log: log, level: new(slog.LevelVar), metrics: reg}, reg, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A hangingSource does not end when it is told to.
type hangingSource struct{ release, ended chan struct{} }

func (s hangingSource) Run(context.Context, processor.Handler) error {
	defer close(s.ended)
	<-s.release
	return nil
}

// A source that hangs does not keep the rest from ending in order.
func TestPipelineLeavesAHangingSourceBehind(t *testing.T) {
	var said bytes.Buffer
	log := slog.New(slog.NewTextHandler(&said, nil))
	p := smallPipeline(t, log)
	hanging := hangingSource{make(chan struct{}), make(chan struct{})}
	p.sources["local"] = newSupervised("local", hanging, slog.New(slog.DiscardHandler), p.metrics)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- p.Run(ctx) }()
	cancel()
	select {
	case err := <-ended:
		if err := errors.Join(err, p.Close()); err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
	if !strings.Contains(said.String(), "left behind") {
		t.Errorf("it is not told:\n%s", said.String())
	}
	close(hanging.release)
	<-hanging.ended
	<-p.sources["local"].done
}

// Without the journal there is no use in going on.
func TestPipelineEndsWithTheJournal(t *testing.T) {
	p := smallPipeline(t, slog.New(slog.DiscardHandler))
	if err := p.journal.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.Run(t.Context()); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("got %v, want that the journal is closed", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// What cannot be built refuses the start, and leaves nothing open.
func TestPipelineRefusesASinkThatCannotBeBuilt(t *testing.T) {
	dir := t.TempDir()
	c, err := load("test", fmt.Appendf(nil, `
sources: {local: {type: files, paths: [x]}}
sinks: {audit: {type: file, path: %q}, bad: {type: file, path: %q}}
journal: {path: %q}
http: {address: '127.0.0.1:0'}
`, filepath.Join(dir, "alerts.jsonl"), filepath.Join(dir, "none", "alerts.jsonl"), filepath.Join(dir, "mfawatch.db")), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time: the journal was let go
		reg := prometheus.NewRegistry()
		_, err = newPipeline(c, surroundings{log: slog.New(slog.DiscardHandler), level: new(slog.LevelVar), metrics: reg}, reg, nil)
		if err == nil || !strings.HasPrefix(err.Error(), "sinks.bad: ") {
			t.Errorf("got %v", err)
		}
	}
}
