package file

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
)

func TestConforms(t *testing.T) {
	sinktest.Run(t, sinktest.Channel{Start: func(t *testing.T) *sinktest.Server {
		path := filepath.Join(t.TempDir(), "alerts.jsonl")
		return &sinktest.Server{
			Sink: func() (sinks.Sink, error) { return New(Config{Path: path}) },
			Holds: func(a *processor.Alert) sinktest.Held {
				text, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				return sinktest.HeldRecords(sinktest.Records(t, text, a), a)
			},
			Inject: func(sinktest.Fault) bool { return false },
			Bodies: func() []string { return nil },
		}
	}})
}
