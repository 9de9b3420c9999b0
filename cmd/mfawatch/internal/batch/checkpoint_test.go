package batch

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/sources/bucket"
)

// A scan that continues reads a file again if its size changed, and no other.
func TestResumedScanReadsAChangedFileAgain(t *testing.T) {
	dir, path := t.TempDir(), filepath.Join(t.TempDir(), "scan")
	scan := func(one, other string) int64 {
		for name, text := range map[string]string{"one.json": one, "other.json": other} {
			if old, err := os.ReadFile(filepath.Join(dir, name)); err == nil && string(old) == text {
				continue
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		k, _, err := OpenCheckpoint(path, CheckpointHead{Version: "v1"}, bucket.Wanted{})
		if err != nil {
			t.Fatal(err)
		}
		defer k.Close()
		before := k.Found.Files
		r := Reading{Paths: []string{dir}, Workers: 2, Bar: output.NewProgress(io.Discard), Checkpoint: k}
		return r.Run(t.Context()).Files - before
	}
	for i, tt := range []struct {
		one, other string
		read       int64
	}{{"[]", "[]", 2}, {"[]", "[]", 0}, {"[]", "[{}]", 1}, {"[]", "[{}]", 0}} {
		if read := scan(tt.one, tt.other); read != tt.read {
			t.Errorf("scan %d read %d files, want %d", i, read, tt.read)
		}
	}
}

// A checkpoint that others could read is set to mode 0600; a file that is not a
// checkpoint keeps its mode.
func TestCheckpointModeIsRestricted(t *testing.T) {
	for content, want := range map[string]os.FileMode{"": 0o600, "somebody's notes\n": 0o644} {
		path := filepath.Join(t.TempDir(), "scan")
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		k, _, err := OpenCheckpoint(path, CheckpointHead{Version: "v1"}, bucket.Wanted{})
		if (err == nil) != (content == "") {
			t.Errorf("%q: %v", content, err)
		}
		if err == nil {
			k.Close()
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%q: mode %v, %v, want %v", content, info.Mode(), err, want)
		}
	}
}
