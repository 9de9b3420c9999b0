package ownfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestModeAndLinks(t *testing.T) {
	const appending = os.O_RDWR | os.O_CREATE | os.O_APPEND
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(at("readable"), []byte("records"), 0o644); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"link": "readable", "dangling": "elsewhere"} {
		if err := os.Symlink(at(to), at(link)); err != nil {
			t.Skip(err)
		}
	}
	for _, name := range []string{"new", "readable", "link"} {
		f, err := Open(at(name), appending)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := Restrict(f); err != nil {
			t.Error(err)
		}
		if info, err := f.Stat(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", name, info.Mode(), err)
		}
		f.Close()
	}
	if text, err := os.ReadFile(at("readable")); string(text) != "records" {
		t.Errorf("the file holds %q, %v", text, err)
	}
	if f, err := Open(at("dangling"), appending); err == nil || !strings.Contains(err.Error(), "leads nowhere: remove the link") {
		t.Errorf("a link to nothing: %v, %v", f, err)
	}
	if _, err := os.Lstat(at("elsewhere")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file was made where the link leads: %v", err)
	}
	if f, err := Open(at("absent"), os.O_RDWR); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without O_CREATE: %v, %v", f, err)
	}
}
