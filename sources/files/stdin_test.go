package files

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/mfawatch/mfawatch/sources/sourcetest"
)

// Records that come one by one, without end, are handled as they come.
func TestStdinWithoutEnd(t *testing.T) {
	x := sourcetest.NewInbox()
	f := files(t, "-")
	in, out := io.Pipe()
	f.Stdin = in
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- f.Run(ctx, x.Handle) }()
	for i, piece := range []string{"{\"a\":1}\n", "{\"b\":", "2}\n{\"c\":3", "}\n"} {
		if _, err := io.WriteString(out, piece); err != nil {
			t.Fatal(err)
		}
		if i != 1 { // nothing is whole by then
			<-x.More
		}
	}
	if got, want := x.All(), []string{"stdin@0 {\"a\":1}\n", "stdin@8 {\"b\":2}\n", "stdin@16 {\"c\":3}\n"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	cancel() // it ends although the read does not
	if err := <-ended; err != nil {
		t.Error(err)
	}
	_ = out.Close()
}

// Whatever the sizes of the reads, every document is handed over once and whole.
func TestStdinToItsEnd(t *testing.T) {
	var docs []string
	for i := range 3000 {
		docs = append(docs, fmt.Sprintf("{\"n\":%d,\"pad\":%q}\n", i, strings.Repeat("x", i%1500)))
	}
	docs = append(docs, "not JSON\n", "{\n \"laid\": [\n  \"out\"\n ]\n}\n", "{\"last\":true}")
	text := strings.Join(docs, "")
	for name, reader := range map[string]func(io.Reader) io.Reader{
		"as it comes":       func(r io.Reader) io.Reader { return r },
		"in halves":         iotest.HalfReader,
		"error beside data": iotest.DataErrReader,
	} {
		x := sourcetest.NewInbox()
		x.Fail = func(n int) error {
			if n%3 == 1 {
				return errors.New("disk full")
			}
			return nil
		}
		f := files(t, "-")
		f.Stdin = reader(strings.NewReader(text))
		if err := f.Run(t.Context(), x.Handle); err != nil {
			t.Fatal(err)
		}
		at := 0
		var want []string
		for _, d := range docs {
			want = append(want, fmt.Sprintf("stdin@%d %s", at, d))
			at += len(d)
		}
		if got := x.All(); !slices.Equal(got, want) {
			t.Errorf("%s: got %d documents, want %d", name, len(got), len(want))
		}
		if blocks := len(text)/blockBytes + 2; name == "as it comes" && len(x.Sizes) > blocks {
			t.Errorf("%d deliveries for %d reads", len(x.Sizes), blocks)
		}
	}
}

// A document that is too long to be held is streamed, and what follows it is
// not lost.
func TestStdinLongDocument(t *testing.T) {
	long := `{"Records":[` + strings.Repeat(`{"pad":"xxxxxxxxxxxxxxxxxxxxxxxxxxx"},`, 150_000) + "{}]}\n"
	text := "{\"a\":1}\n" + long + "{\"b\":2}\n"
	x := sourcetest.NewInbox()
	f := files(t, "-")
	f.Stdin = strings.NewReader(text)
	if err := f.Run(t.Context(), x.Handle); err != nil {
		t.Fatal(err)
	}
	got := x.All()
	if len(got) != 3 || got[1] != "stdin@8 "+long || got[2] != fmt.Sprintf("stdin@%d {\"b\":2}\n", 8+len(long)) {
		t.Errorf("got %d documents", len(got))
	}
	// It cannot be read again, so that its failure is the end.
	x = sourcetest.NewInbox()
	x.Fail = func(n int) error {
		if n == 2 {
			return errors.New("disk full")
		}
		return nil
	}
	f.Stdin = strings.NewReader(text)
	if err := f.Run(t.Context(), x.Handle); err == nil || err.Error() != "stdin, which cannot be read again: disk full" {
		t.Errorf("Run: %v", err)
	}
}

func TestStdinCompressed(t *testing.T) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	for i := range 30_000 {
		fmt.Fprintf(w, "{\"n\":%d}\n", i*i)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	x := sourcetest.NewInbox()
	f := files(t, "-")
	f.Stdin = iotest.HalfReader(bytes.NewReader(b.Bytes()))
	if err := f.Run(t.Context(), x.Handle); err != nil {
		t.Fatal(err)
	}
	if got := x.All(); !slices.Equal(got, []string{"stdin@0 " + b.String()}) {
		t.Errorf("got %d parts", len(got))
	}
}

func TestStdinEnds(t *testing.T) {
	x := sourcetest.NewInbox()
	f := files(t, "-")
	for text, want := range map[string]int{"": 0, "\n \n": 0, "x": 1, "{}": 1, "\x1f": 1} {
		x.Parts = nil
		f.Stdin = strings.NewReader(text)
		if err := f.Run(t.Context(), x.Handle); err != nil || len(x.Parts) != want {
			t.Errorf("%q: %q, %v", text, x.Parts, err)
		}
	}
	// An error of the reader is not the handler's, and what came before is kept.
	x.Parts = nil
	f.Stdin = io.MultiReader(strings.NewReader("{}\n{}"), iotest.ErrReader(errors.New("cable pulled")))
	if err := f.Run(t.Context(), x.Handle); err == nil || err.Error() != `cannot read "stdin": cable pulled` || len(x.Parts) != 2 {
		t.Errorf("Run: %v, %q", err, x.Parts)
	}
}

// A named pipe is read as standard input is.
func TestNamedPipe(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no named pipes in folders here")
	}
	path := filepath.Join(t.TempDir(), "pipe")
	if err := mkfifo(path); err != nil {
		t.Fatal(err)
	}
	x := sourcetest.NewInbox()
	f := files(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- f.Run(ctx, x.Handle) }()
	w, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "{\"a\":1}\n"); err != nil {
		t.Fatal(err)
	}
	<-x.More
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if got := x.All(); !slices.Equal(got, []string{path + "@0 {\"a\":1}\n"}) {
		t.Errorf("got %q", got)
	}
}
