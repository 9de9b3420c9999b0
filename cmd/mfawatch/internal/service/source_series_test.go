package service

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
)

// The counters of a configured source exist before it delivers anything, so that its
// silence shows. Those of a removed one do not stay.
func TestSeriesOfConfiguredSources(t *testing.T) {
	journal := filepath.Join(t.TempDir(), "mfawatch.db")
	load := func(more string) (*config.Config, error) {
		return config.Load("test", fmt.Appendf(nil, "sources: {trail: {type: files, paths: [none]}%s}\nsinks: {console: {type: stdout}}\njournal: {path: %q}\n", more, journal), nil, nil)
	}
	c, err := load(", gone: {type: files, paths: [none]}")
	if err != nil {
		t.Fatal(err)
	}
	reg := prometheus.NewRegistry()
	p, err := New(c, config.Deps{Log: slog.New(slog.DiscardHandler), Level: new(slog.LevelVar), Metrics: reg, Stdout: t.Output()}, reg, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, name := range []string{"mfawatch_records_total", "mfawatch_source_last_delivery_timestamp_seconds"} {
		if n, err := testutil.GatherAndCount(reg, name); err != nil || n != 2 {
			t.Errorf("%s: %d series, %v, want one for each source", name, n, err)
		}
	}
	p.processor.RemoveSource("gone")
	if n, _ := testutil.GatherAndCount(reg, "mfawatch_records_total"); n != 1 {
		t.Errorf("%d series of sources after one was removed", n)
	}
}
