package main

import (
	"io"
	"os"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// pipeWriters are the pipes that trickle left open, by path.
var pipeWriters sync.Map

// trickle writes a file into a pipe that a command reads, once, and leaves the
// pipe open: trickle pipe file.
func trickle(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: trickle pipe file")
	}
	path := ts.MkAbs(args[0])
	pipe, err := os.OpenFile(path, os.O_WRONLY, 0)
	ts.Check(err)
	pipeWriters.Store(path, pipe)
	ts.Defer(func() { _ = pipe.Close() })
	_, err = io.WriteString(pipe, ts.ReadFile(args[1]))
	ts.Check(err)
}

// dry closes a pipe that trickle left open: dry pipe.
func dry(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: dry pipe")
	}
	pipe, ok := pipeWriters.LoadAndDelete(ts.MkAbs(args[0]))
	if !ok {
		ts.Fatalf("nothing trickles into %s", args[0])
	}
	ts.Check(pipe.(*os.File).Close())
}
