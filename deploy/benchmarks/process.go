//go:build ignore

// Process compares whole processes, mfawatch scan and gzip -dc, by their processor
// time over the same objects in turns, and measures the memory for one that inflates to
// 2 GB: process MFAWATCH. Its output is that of go test -bench.
package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
)

func main() {
	dir, err := os.MkdirTemp("", "benchmark")
	check(err)
	defer os.RemoveAll(dir)
	m := trailtest.New(7)
	for _, size := range []struct {
		name           string
		count, records int
	}{{"large", 1, 40_000}, {"middle", 50, 800}, {"small", 4000, 8}} {
		files := []string{"-dc"}
		for i := range size.count {
			files = append(files, filepath.Join(dir, size.name, fmt.Sprintf("%d.json.gz", i)))
			write(files[i+1], trailtest.Gzip(m.Object(size.records, 0)))
		}
		var scan, inflate time.Duration
		for round := range 4 { // the first one of all to read a file has its access time written
			took, _ := run(os.Args[1], "scan", filepath.Join(dir, size.name))
			bare, _ := run("gzip", files...)
			if round > 0 {
				scan, inflate = scan+took, inflate+bare
			}
		}
		fmt.Printf("BenchmarkProcess/%s 1 %d ns/op %.4f ratio\n", size.name, scan.Nanoseconds()/3, scan.Seconds()/inflate.Seconds())
	}
	doc := m.Object(10_000, 0)
	huge := filepath.Join(dir, "huge.json.gz")
	write(huge, bytes.Repeat(trailtest.Gzip(doc), (2<<30)/len(doc)+1))
	took, memory := run(os.Args[1], "scan", huge)
	fmt.Printf("BenchmarkProcess/huge 1 %d ns/op %.1f MiB\n", took.Nanoseconds(), float64(memory)/1024)
}

// run runs a command on one core, and returns the processor time and the memory in
// KiB that it took. The memory is asked for as it runs: Linux counts that of the
// parent into what it says at the end.
func run(name string, args ...string) (took time.Duration, memory int64) {
	c := exec.Command(name, args...)
	c.Env = append(os.Environ(), "GOMAXPROCS=1")
	check(c.Start())
	done := make(chan error)
	go func() { done <- c.Wait() }()
	for {
		select {
		case err := <-done:
			check(err)
			return c.ProcessState.UserTime() + c.ProcessState.SystemTime(), memory
		case <-time.After(10 * time.Millisecond):
			status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.Process.Pid))
			if _, rest, ok := strings.Cut(string(status), "VmHWM:"); ok {
				fmt.Sscan(rest, &memory)
			}
		}
	}
}

func write(path string, b []byte) {
	check(os.MkdirAll(filepath.Dir(path), 0o700))
	check(os.WriteFile(path, b, 0o600))
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
