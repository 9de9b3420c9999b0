//go:build unix

package ownfile

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Only a regular file is read: a pipe without a writer would never answer, and a
// device may never end.
func TestRegular(t *testing.T) {
	dir := t.TempDir()
	file, pipe := filepath.Join(dir, "file"), filepath.Join(dir, "pipe")
	if err := os.WriteFile(file, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(pipe, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path, want string
		limit      int64
	}{
		{file, "", 4},
		{file, "it has more than 3 bytes", 3},
		{pipe, "it is a pipe; want a regular file", 4},
		{filepath.Join(dir, "link"), "it is a pipe; want a regular file", 4},
		{dir, "it is a folder; want a regular file", 4},
		{"/dev/zero", "it is a device; want a regular file", 4},
		{filepath.Join(dir, "absent"), "no such file or directory", 4},
	} {
		text, err := ReadRegular(tt.path, tt.limit)
		if tt.want == "" && (err != nil || string(text) != "text") || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %q, %v; want %q", tt.path, text, err, tt.want)
		}
	}
}
