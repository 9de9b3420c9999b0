package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
)

// A file of planned changes that was refused is tried again, each minute.
func TestRefusedPlannedChangesAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "planned.yaml")
		write := func(text string) {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write("planned_changes: []")
		load := func() (*config.Config, error) {
			return config.Load("test", fmt.Appendf(nil, "sources: {local: {type: files, paths: [x]}}\nsinks: {console: {type: stdout}}\nplanned_changes_file: %q\n", path), nil, nil)
		}
		c, err := load()
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		tries := 0
		p := &Pipeline{log: slog.New(slog.DiscardHandler), metrics: newMetrics(prometheus.NewRegistry()), config: c, intake: ctx}
		p.load = func() (*config.Config, error) {
			tries++
			return nil, errors.New("too many open files")
		}
		go p.pollPlannedChanges(ctx)
		time.Sleep(time.Minute)
		synctest.Wait()
		if tries != 0 {
			t.Errorf("%d reloads without a change", tries)
		}
		write("planned_changes: [ ]")
		time.Sleep(10*time.Minute + time.Second)
		synctest.Wait()
		if tries != 10 {
			t.Errorf("%d tries in ten minutes, want one each minute", tries)
		}
		stop()
		synctest.Wait()
	})
}
