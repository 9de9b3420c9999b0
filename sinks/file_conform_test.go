package sinks

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/mfawatch/mfawatch/processor"
)

func TestFileConforms(t *testing.T) {
	conforms(t, conformant{start: func(t *testing.T) *conformServer {
		path := filepath.Join(t.TempDir(), "alerts.jsonl")
		return &conformServer{
			sink: func() (Sink, error) { return NewFile(FileConfig{Path: path}) },
			holds: func(a *processor.Alert) held {
				text, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				return conformRecords(recordsOf(t, text, a), a)
			},
			inject: func(fault) bool { return false },
			bodies: func() []string { return nil },
		}
	}})
}
