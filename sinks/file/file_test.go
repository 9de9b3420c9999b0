package file

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/sinks/message"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
)

func lines(t *testing.T, path string) (ids []string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		var a processor.Alert
		if err := json.Unmarshal(line, &a); err != nil || !bytes.HasSuffix(line, []byte("\n")) {
			t.Fatalf("line %q: %v", line, err)
		}
		ids = append(ids, a.ID)
	}
	return ids
}

func newFile(t *testing.T, path string) *Sink {
	t.Helper()
	f, err := New(Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestAppendsLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "alerts.jsonl")
	f := newFile(t, path)
	sinktest.Send(t, f, sinktest.Alert("1"))
	sinktest.Send(t, f, sinktest.Alert("2"))
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Send(t.Context(), sinktest.Alert("x"), ""); err == nil {
		t.Error("wrote to a closed file")
	}
	if err := f.Reopen(); err == nil {
		t.Error("reopened a closed file")
	}
	sinktest.Send(t, newFile(t, path), sinktest.Alert("3"))
	sinktest.Equal(t, "lines", lines(t, path), []string{"1", "2", "3"})
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
	b, _ := os.ReadFile(path)
	if !bytes.HasPrefix(b, []byte(lineStart)) || !bytes.Contains(b, []byte(`{"a":"<&>"}`)) {
		t.Errorf("line %s", b)
	}
}

func TestTornTail(t *testing.T) {
	whole, err := message.JSON(sinktest.Alert("1"))
	if err != nil {
		t.Fatal(err)
	}
	big := sinktest.Alert("big")
	big.Summary = strings.Repeat("x", 200_000)
	long, err := message.JSON(big)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, content string
		want          []string // with one more sent; nil: refused
	}{
		{"empty", "", []string{"new"}},
		{"whole", string(whole), []string{"1", "new"}},
		{"torn at the first byte", string(whole) + "{", []string{"1", "new"}},
		{"torn in the middle", string(whole) + string(whole[:len(whole)/2]), []string{"1", "new"}},
		{"torn before the newline", string(whole) + string(whole[:len(whole)-1]), []string{"1", "new"}},
		{"torn and longer than one read", string(whole) + string(long[:150_000]), []string{"1", "new"}},
		{"nothing but a torn line", string(long[:150_000]), []string{"new"}},
		{"somebody else's text", "root:x:0:0", nil},
		{"somebody else's JSON", string(whole) + `{"a":1}`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "alerts.jsonl")
			if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := New(Config{Path: path})
			if tt.want == nil {
				if err == nil || !strings.Contains(err.Error(), "name another file") {
					t.Errorf("got %v", err)
				}
				if b, _ := os.ReadFile(path); string(b) != tt.content {
					t.Errorf("the file was changed: %q", b)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			sinktest.Send(t, f, sinktest.Alert("new"))
			sinktest.Equal(t, "lines", lines(t, path), tt.want)
		})
	}
}

// A write that failed half way does not spoil the next line.
func TestMendsAfterAFailedWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "alerts.jsonl")
	f := newFile(t, path)
	sinktest.Send(t, f, sinktest.Alert("1"))
	if _, err := f.f.WriteString(lineStart + `v1","id":"ha`); err != nil {
		t.Fatal(err)
	}
	good := f.f
	readOnly, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	f.f = readOnly
	if _, err := f.Send(t.Context(), sinktest.Alert("2"), ""); err == nil {
		t.Fatal("wrote to a file that is open for reading")
	}
	readOnly.Close()
	f.f = good
	sinktest.Send(t, f, sinktest.Alert("2"))
	sinktest.Equal(t, "lines", lines(t, path), []string{"1", "2"})
}

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	path, rotated := filepath.Join(dir, "alerts.jsonl"), filepath.Join(dir, "alerts.jsonl.1")
	f := newFile(t, path)
	sinktest.Send(t, f, sinktest.Alert("1"))
	if err := os.Rename(path, rotated); err != nil {
		t.Fatal(err)
	}
	sinktest.Send(t, f, sinktest.Alert("2"))
	if err := f.Reopen(); err != nil {
		t.Fatal(err)
	}
	sinktest.Send(t, f, sinktest.Alert("3"))
	sinktest.Equal(t, "rotated", lines(t, rotated), []string{"1", "2"})
	sinktest.Equal(t, "new", lines(t, path), []string{"3"})

	// What cannot be opened leaves the old one in use.
	if err := os.Rename(path, rotated); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := f.Reopen(); err == nil {
		t.Error("reopened a folder")
	}
	sinktest.Send(t, f, sinktest.Alert("4"))
	sinktest.Equal(t, "rotated", lines(t, rotated), []string{"3", "4"})
}

func TestConfigMistakes(t *testing.T) {
	if _, err := New(Config{}); err == nil || !strings.Contains(err.Error(), "path: missing") {
		t.Errorf("no path: %v", err)
	}
	path := filepath.Join(t.TempDir(), "missing", "alerts.jsonl")
	if _, err := New(Config{Path: path}); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("no folder: %v", err)
	}
}

// A file that others could read is set to mode 0600.
func TestFileModeIsRestricted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "alerts.jsonl")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}
