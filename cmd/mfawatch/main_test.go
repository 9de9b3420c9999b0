package main

import (
	"compress/gzip"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
)

// The binary that runs the tests is mfawatch too, for the scripts. Tests that wait
// for processes run in parallel, more than there are cores.
func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "8") // -parallel sets it again
	testscript.Main(leakless{m}, map[string]func(){"mfawatch": main})
}

// leakless gives the tests a folder for the program, and looks for goroutines that
// they left behind.
type leakless struct{ m *testing.M }

func (l leakless) Run() int {
	dir, err := os.MkdirTemp("", "mfawatch")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	builtPath = filepath.Join(dir, "mfawatch")
	code := l.m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

// builtPath is the path of the program, which compile builds once for all tests.
var (
	builtPath string
	compile   = sync.OnceValues(func() ([]byte, error) {
		return exec.Command("go", "run", "-exec", "cp", ".", builtPath).CombinedOutput()
	})
)

// built returns the path of the program.
func built(t *testing.T) string {
	t.Helper()
	if out, err := compile(); err != nil {
		t.Fatalf("build the program: %v\n%s", err, out)
	}
	return builtPath
}

// Each script holds the commands typed at a terminal, and their output.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Condition: func(name string) (bool, error) {
			if name != "whole" {
				return false, fmt.Errorf("condition %q is unknown", name)
			}
			return trailtest.Whole(), nil
		},
		Setup: func(env *testscript.Env) error {
			trail, err := os.ReadFile("internal/demo/trail.jsonl")
			if err != nil {
				return err
			}
			config, err := os.ReadFile("../../testdata/config/good.yaml")
			if err != nil {
				return err
			}
			if err := os.WriteFile(env.WorkDir+"/good.yaml", config, 0o600); err != nil {
				return err
			}
			return os.WriteFile(env.WorkDir+"/trail.jsonl", trail, 0o600)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"ask":     ask,
			"bucket":  logBucket,
			"dry":     dry,
			"exits":   exits,
			"feed":    feed,
			"first":   first,
			"free":    free,
			"fresh":   fresh,
			"get":     get,
			"gzip":    gzipFile,
			"hook":    hook,
			"hup":     sends(syscall.SIGHUP),
			"term":    sends(syscall.SIGTERM),
			"post":    posts,
			"take":    take,
			"trickle": trickle,
			"waitfor": waitFor,
		},
	})
}

// exits runs a command and wants its exit code: exits 2 mfawatch scan.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code command args…")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if code, ok := err.(interface{ ExitCode() int }); ok {
		got = fmt.Sprint(code.ExitCode())
	} else if err != nil {
		got = err.Error()
	}
	if got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}

// gzipFile compresses a file, all of it or so many bytes: gzip from to [bytes].
func gzipFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: gzip from to [bytes]")
	}
	var b strings.Builder
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(ts.ReadFile(args[0])))
	ts.Check(err)
	ts.Check(w.Close())
	text := b.String()
	if len(args) > 2 {
		var n int
		_, err := fmt.Sscan(args[2], &n)
		ts.Check(err)
		text = text[:n]
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
}
