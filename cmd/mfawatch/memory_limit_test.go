package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestContainerLimit(t *testing.T) {
	file := filepath.Join(t.TempDir(), "memory.max")
	for text, want := range map[string]int64{
		"536870912\n": 512 << 20, "max\n": 0, "9223372036854771712\n": 0, "": 0, "-1": 0,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := containerLimit([]string{"/missing", file}); got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
	}
	if got := containerLimit([]string{"/missing"}); got != 0 {
		t.Errorf("no file: got %d", got)
	}
}
