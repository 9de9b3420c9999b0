package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestStart bounds what packages of ours do before main: each start pays for it,
// that of a scan of one file included.
func TestStart(t *testing.T) {
	const most = 32 << 10 // bytes of one package
	c := exec.Command(os.Args[0], "-test.run=^$")
	c.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	seen := 0
	for line := range strings.Lines(string(out)) {
		var name string
		var at, clock float64
		var size int
		if n, _ := fmt.Sscanf(line, "init %s @%f ms, %f ms clock, %d bytes", &name, &at, &clock, &size); n < 4 || !strings.Contains(name, "/mfawatch/") {
			continue
		}
		seen++
		if size > most {
			t.Errorf("%s allocates %d bytes at the start, want %d at most: do it when it is needed first", name, size, most)
		}
	}
	if seen < 10 {
		t.Errorf("%d packages of ours: the trace is not understood", seen)
	}
}
