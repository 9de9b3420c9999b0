//go:build unix

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A named pipe without a writer holds up no command: it is refused wherever a file is
// read in full.
func TestNamedPipesAreRefused(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	const least = "sources: {local: {type: files, paths: [x]}}\nsinks: {console: {type: stdout}}\n"
	for name, text := range map[string]string{
		"-c":                               "",
		"planned_changes_file":             least + fmt.Sprintf("planned_changes_file: %s\n", pipe),
		"retention":                        least + fmt.Sprintf("retention: '${file:%s}'\n", pipe),
		"http.token_file":                  least + fmt.Sprintf("http: {address: '0.0.0.0:1', token_file: %s}\n", pipe),
		"sources.in.token_files[0]":        fmt.Sprintf("sources: {in: {type: http, address: '127.0.0.1:1', token_files: [%s]}}\nsinks: {console: {type: stdout}}\n", pipe),
		"sources.in.tls.cert_file":         fmt.Sprintf("sources: {in: {type: http, address: '127.0.0.1:1', tls: {cert_file: %s, key_file: x}}}\nsinks: {console: {type: stdout}}\n", pipe),
		"sources.kafka.tls.ca_file":        fmt.Sprintf("sources: {kafka: {type: kafka, brokers: ['a:1'], topics: [t], tls: {enabled: true, ca_file: %s}}}\nsinks: {console: {type: stdout}}\n", pipe),
		"sources.kafka.sasl.password_file": fmt.Sprintf("sources: {kafka: {type: kafka, brokers: ['a:1'], topics: [t], sasl: {mechanism: plain, user: u, password_file: %s}}}\nsinks: {console: {type: stdout}}\n", pipe),
		"sinks.hook.url_file":              fmt.Sprintf("sources: {local: {type: files, paths: [x]}}\nsinks: {hook: {type: webhook, url_file: %s}}\n", pipe),
	} {
		path := pipe
		if text != "" {
			path = filepath.Join(t.TempDir(), "mfawatch.yaml")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var out, errs bytes.Buffer
		code := run(t.Context(), []string{"check", "-c", path}, strings.NewReader(""), &out, &errs, nil)
		if code == 0 || !strings.Contains(errs.String(), "it is a") || text != "" && !strings.Contains(errs.String(), name) {
			t.Errorf("%s: code %d\n%s%s", name, code, out.String(), errs.String())
		}
	}
	var errs bytes.Buffer
	if code := run(t.Context(), []string{"top", "--once", "--address", "127.0.0.1:1", "--token-file", pipe}, nil, &errs, &errs, nil); code == 0 || !strings.Contains(errs.String(), "--token-file: open "+pipe+": it is a pipe; want a regular file") {
		t.Errorf("--token-file: code %d\n%s", code, errs.String())
	}
}

// A pipe that the shell has opened is read, once.
func TestPipesOfTheShell(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	if _, err := write.WriteString("sources: {local: {type: files, paths: [x]}}\nsinks: {console: {type: stdout}}\n"); err != nil {
		t.Fatal(err)
	}
	if err := write.Close(); err != nil {
		t.Fatal(err)
	}
	p := &program{stdin: strings.NewReader("log: {level: warn}\n")}
	for range 2 { // as a reload does
		c, err := p.loadConfig([]string{fmt.Sprintf("/dev/fd/%d", read.Fd()), "/dev/stdin", "-"}, nil)
		if err != nil || len(c.Sources) != 1 || c.Log.Level != "warn" {
			t.Fatalf("%+v, %v", c, err)
		}
	}
	token, err := (&program{stdin: strings.NewReader("a-token-of-some-length\n")}).readToken("--token-file", "-")
	if err != nil || token != "a-token-of-some-length" {
		t.Errorf("%q, %v", token, err)
	}
}
