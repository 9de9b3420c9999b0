package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience is how long a script waits for another process at most.
const patience = 20 * time.Second

// await calls done until it reports true, or fails the script.
func await(ts *testscript.TestScript, what string, done func() bool) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-tick.C {
		if done() {
			return
		}
	}
	ts.Fatalf("waited in vain for %s", what)
}

// waitFor waits until a file holds a text so many times: waitfor file count text.
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: waitfor file count text")
	}
	want := atoi(ts, args[1])
	await(ts, strings.Join(args, " "), func() bool {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		return err == nil && bytes.Count(text, []byte(args[2])) == want
	})
}

func atoi(ts *testscript.TestScript, text string) int {
	n, err := integer(text)
	ts.Check(err)
	return int(n)
}

// get waits until a URL answers with a status and a text: get url status text.
func get(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: get url status text")
	}
	transport := &http.Transport{DisableKeepAlives: true}
	client := &http.Client{Transport: transport, Timeout: 5 * time.Second}
	await(ts, strings.Join(args, " "), func() bool {
		answer, err := client.Get(args[0])
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		return err == nil && answer.StatusCode == atoi(ts, args[1]) && strings.Contains(string(body), args[2])
	})
}

// free sets $FREE to an address that nobody listens on.
func free(ts *testscript.TestScript, neg bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv("FREE", l.Addr().String())
	ts.Check(l.Close())
}

// take listens on an address until the script ends, and sets $TAKEN to it.
func take(ts *testscript.TestScript, neg bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { _ = l.Close() })
	ts.Setenv("TAKEN", l.Addr().String())
}

// fresh writes the bundled trail as if it had just ended: fresh file.
func fresh(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: fresh file")
	}
	trail, err := readTrail()
	ts.Check(err)
	start := time.Now().Add(-trail[len(trail)-1].after).Truncate(time.Second)
	var b bytes.Buffer
	for _, r := range trail {
		b.Write(r.at(start))
		b.WriteByte('\n')
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b.Bytes(), 0o600))
}

// sends makes a command that signals the background process started last.
func sends(signal os.Signal) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		running := ts.BackgroundCmds()
		if neg || len(running) == 0 {
			ts.Fatalf("nothing runs in the background")
		}
		ts.Check(running[len(running)-1].Process.Signal(signal))
	}
}

// feed writes a file into a pipe that somebody reads, often enough that most of
// it has been read when it is done, and leaves the pipe open: feed pipe file.
func feed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: feed pipe file")
	}
	pipe, err := os.OpenFile(ts.MkAbs(args[0]), os.O_WRONLY, 0)
	ts.Check(err)
	ts.Defer(func() { _ = pipe.Close() })
	_, err = io.WriteString(pipe, strings.Repeat(ts.ReadFile(args[1]), 20))
	ts.Check(err)
}
