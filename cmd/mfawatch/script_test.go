package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/demo"
	"github.com/mfawatch/mfawatch/sources/sourcetest"
)

// patience is how long a script waits for another process at most.
const patience = time.Minute

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
	n, err := strconv.Atoi(strings.TrimSpace(text))
	ts.Check(err)
	return n
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

// free sets $FREE to an address without a listener.
func free(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Setenv("FREE", sourcetest.FreeAddress())
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
	trail, err := demo.ReadTrail()
	ts.Check(err)
	start := time.Now().Add(-trail[len(trail)-1].After).Truncate(time.Second)
	var b bytes.Buffer
	for _, r := range trail {
		b.Write(r.At(start))
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
		process := running[len(running)-1].Process
		if len(args) == 1 && args[0] == "again" { // and is no copy of the first
			time.AfterFunc(sameSignal, func() { _ = process.Signal(signal) })
			return
		}
		ts.Check(process.Signal(signal))
	}
}

// feed writes a file into a pipe that a command reads, often enough that most of
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

// ask makes a request once and wants its status, and a text in the answer: ask
// method url status text [Header:value…].
func ask(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 {
		ts.Fatalf("usage: ask method url status text [Header:value...]")
	}
	r, err := http.NewRequest(args[0], args[1], nil)
	ts.Check(err)
	for _, h := range args[4:] {
		name, value, _ := strings.Cut(h, ":")
		if r.Header.Set(name, value); name == "Host" {
			r.Host = value
		}
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	answer, err := client.Do(r)
	ts.Check(err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	ts.Check(err)
	if answer.StatusCode != atoi(ts, args[2]) || !strings.Contains(string(body), args[3]) {
		ts.Fatalf("%d %s", answer.StatusCode, body)
	}
}

// hook starts a channel until the script ends, and sets $HOOK to its URL. It
// appends what it is sent to a file, and answers with the status in another, and
// with the text behind it there: hook file status.
func hook(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: hook file status")
	}
	file, status := ts.MkAbs(args[0]), ts.MkAbs(args[1])
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		text, err := os.ReadFile(status)
		word, answer, _ := strings.Cut(string(text), " ")
		code, wrong := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || wrong != nil {
			code = http.StatusTeapot
		}
		if body, err := io.ReadAll(r.Body); err == nil && code < 300 {
			f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
			if err == nil {
				_, err = f.Write(append(body, '\n'))
				f.Close()
			}
			if err != nil {
				code = http.StatusInternalServerError
			}
		}
		w.WriteHeader(int(code))
		_, _ = io.WriteString(w, answer)
	}))
	ts.Defer(server.Close)
	ts.Setenv("HOOK", server.URL)
}

// first sets $ID to the first ID in a file of JSON lines, of a dead letter's
// alert or of a quarantined record: first file.
func first(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: first file")
	}
	_, rest, found := strings.Cut(ts.ReadFile(args[0]), `"id":"`)
	id, _, _ := strings.Cut(rest, `"`)
	if !found {
		ts.Fatalf("no ID in %s", args[0])
	}
	ts.Setenv("ID", id)
}
