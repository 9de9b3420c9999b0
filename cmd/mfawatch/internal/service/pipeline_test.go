package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/journal/store"
)

// patience is how long a test waits at most.
const patience = time.Minute

// every calls done at intervals until it reports true, fails, or ctx is done.
func every(ctx context.Context, interval time.Duration, done func() (bool, error)) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func smallPipeline(t *testing.T, log *slog.Logger) *Pipeline {
	t.Helper()
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
	reg := prometheus.NewRegistry()
	p, err := New(c, config.Deps{Log: log, Level: new(slog.LevelVar), Metrics: reg}, reg, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A hangingSource does not end when it is asked to.
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
	if !strings.Contains(said.String(), "did not stop within shutdown_timeout") {
		t.Errorf("it is not notified:\n%s", said.String())
	}
	close(hanging.release)
	<-hanging.ended
	<-p.sources["local"].done
}

// A source that hangs is replaced all the same, and its end, whenever that is, says
// nothing of the next of its name.
func TestSourceUpAfterAHangingSource(t *testing.T) {
	p := smallPipeline(t, slog.New(slog.DiscardHandler))
	hanging := hangingSource{make(chan struct{}), make(chan struct{})}
	old := newSupervised("local", hanging, slog.New(slog.DiscardHandler), p.metrics)
	p.sources["local"] = old
	follows, err := config.Load("test", fmt.Appendf(nil, "sources: {local: {type: files, paths: [%q], follow: true}}\nsinks: {console: {type: stdout}}\n", t.TempDir()), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	next := *p.config
	next.Sources = follows.Sources
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- p.Run(ctx) }()
	up := func() float64 { return testutil.ToFloat64(p.metrics.sourceUp.WithLabelValues("local")) }
	runs := func() (bool, error) { return up() == 1, nil }
	waiting, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	if err := every(waiting, time.Millisecond, runs); err != nil {
		t.Fatal(err)
	}
	p.metrics.sourceUp.WithLabelValues("local").Set(2) // so that the next start shows
	p.changing.Lock()
	_, err = p.apply(&next)
	p.changing.Unlock()
	if err := errors.Join(err, every(waiting, time.Millisecond, runs)); err != nil {
		t.Fatal(err)
	}
	close(hanging.release)
	<-old.done
	if up() != 1 {
		t.Errorf("mfawatch_source_up is %v while the source runs", up())
	}
	cancel()
	if err := errors.Join(<-ended, p.Close()); err != nil {
		t.Error(err)
	}
}

// Without the journal there is no use in going on.
func TestPipelineEndsWithTheJournal(t *testing.T) {
	p := smallPipeline(t, slog.New(slog.DiscardHandler))
	if err := p.local.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.Run(t.Context()); !errors.Is(err, store.ErrClosed) {
		t.Errorf("got %v, want that the journal is closed", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// What cannot be built refuses the start, and leaves nothing open.
func TestPipelineRefusesASinkThatCannotBeBuilt(t *testing.T) {
	dir := t.TempDir()
	c, err := config.Load("test", fmt.Appendf(nil, `
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
		_, err = New(c, config.Deps{Log: slog.New(slog.DiscardHandler), Level: new(slog.LevelVar), Metrics: reg}, reg, nil)
		if err == nil || !strings.HasPrefix(err.Error(), "sinks.bad: ") {
			t.Errorf("got %v", err)
		}
	}
}

// A typing error in the journal's path makes no new journal, which would send
// every alert again.
func TestPipelineRefusesAJournalInAMissingFolder(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "missing")
	c, err := config.Load("test", fmt.Appendf(nil, "sources: {local: {type: files, paths: [x]}}\nsinks: {console: {type: stdout}}\njournal: {path: %q}\n",
		filepath.Join(folder, "x.db")), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	reg := prometheus.NewRegistry()
	_, err = New(c, config.Deps{Log: slog.New(slog.DiscardHandler), Metrics: reg}, reg, nil)
	var wrong *config.Error
	if !errors.As(err, &wrong) || !strings.Contains(err.Error(), "journal.path: there is no folder \""+folder) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(folder); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder: %v", err)
	}
}
