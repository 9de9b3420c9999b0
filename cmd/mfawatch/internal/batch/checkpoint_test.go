package batch

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/mfawatch/mfawatch/sources/bucket"
)

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
