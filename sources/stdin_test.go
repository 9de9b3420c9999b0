package sources

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
	"sync"
	"testing"
	"testing/iotest"

	"github.com/mfawatch/mfawatch/processor"
)

// taken is a handler that keeps what it was given, part by part.
type taken struct {
	mu    sync.Mutex
	parts []string // origin and text
	sizes []int    // parts of each delivery
	fail  func(delivery int) error
	n     int
	more  chan struct{} // is sent to for each delivery
}

func newTaken() *taken { return &taken{more: make(chan struct{}, 1000)} }

func (x *taken) handle(_ context.Context, d processor.Delivery) error {
	var parts []string
	for part, err := range d.Parts {
		if err != nil {
			return err
		}
		b := part.Bytes
		if part.Body != nil {
			if b, err = io.ReadAll(part.Body); err != nil {
				return fmt.Errorf("reading: %w", err)
			}
		}
		parts = append(parts, part.Origin.String()+" "+string(b))
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.n++
	if x.fail != nil {
		if err := x.fail(x.n); err != nil {
			return err
		}
	}
	x.parts = append(x.parts, parts...)
	x.sizes = append(x.sizes, len(parts))
	x.more <- struct{}{}
	return nil
}

func (x *taken) all() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.parts)
}

// Records that come one by one, without end, are handled as they come.
func TestStdinWithoutEnd(t *testing.T) {
	x := newTaken()
	f := files(t, "-")
	in, out := io.Pipe()
	f.Stdin = in
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- f.Run(ctx, x.handle) }()
	for i, piece := range []string{"{\"a\":1}\n", "{\"b\":", "2}\n{\"c\":3", "}\n"} {
		if _, err := io.WriteString(out, piece); err != nil {
			t.Fatal(err)
		}
		if i != 1 { // nothing is whole by then
			<-x.more
		}
	}
	if got, want := x.all(), []string{"stdin@0 {\"a\":1}\n", "stdin@8 {\"b\":2}\n", "stdin@16 {\"c\":3}\n"}; !slices.Equal(got, want) {
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
		x := newTaken()
		x.fail = func(n int) error {
			if n%3 == 1 {
				return errors.New("disk full")
			}
			return nil
		}
		f := files(t, "-")
		f.Stdin = reader(strings.NewReader(text))
		if err := f.Run(t.Context(), x.handle); err != nil {
			t.Fatal(err)
		}
		at := 0
		var want []string
		for _, d := range docs {
			want = append(want, fmt.Sprintf("stdin@%d %s", at, d))
			at += len(d)
		}
		if got := x.all(); !slices.Equal(got, want) {
			t.Errorf("%s: got %d documents, want %d", name, len(got), len(want))
		}
		if blocks := len(text)/blockBytes + 2; name == "as it comes" && len(x.sizes) > blocks {
			t.Errorf("%d deliveries for %d reads", len(x.sizes), blocks)
		}
	}
}

// What is too long to be held is streamed, and what follows it is not lost.
func TestStdinLongDocument(t *testing.T) {
	long := `{"Records":[` + strings.Repeat(`{"pad":"xxxxxxxxxxxxxxxxxxxxxxxxxxx"},`, 150_000) + "{}]}\n"
	text := "{\"a\":1}\n" + long + "{\"b\":2}\n"
	x := newTaken()
	f := files(t, "-")
	f.Stdin = strings.NewReader(text)
	if err := f.Run(t.Context(), x.handle); err != nil {
		t.Fatal(err)
	}
	got := x.all()
	if len(got) != 3 || got[1] != "stdin@8 "+long || got[2] != fmt.Sprintf("stdin@%d {\"b\":2}\n", 8+len(long)) {
		t.Errorf("got %d documents", len(got))
	}
	// It cannot be read again, so that its failure is the end.
	x = newTaken()
	x.fail = func(n int) error {
		if n == 2 {
			return errors.New("disk full")
		}
		return nil
	}
	f.Stdin = strings.NewReader(text)
	if err := f.Run(t.Context(), x.handle); err == nil || err.Error() != "stdin, which cannot be read again: disk full" {
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
	x := newTaken()
	f := files(t, "-")
	f.Stdin = iotest.HalfReader(bytes.NewReader(b.Bytes()))
	if err := f.Run(t.Context(), x.handle); err != nil {
		t.Fatal(err)
	}
	if got := x.all(); !slices.Equal(got, []string{"stdin@0 " + b.String()}) {
		t.Errorf("got %d parts", len(got))
	}
}

func TestStdinEnds(t *testing.T) {
	x := newTaken()
	f := files(t, "-")
	for text, want := range map[string]int{"": 0, "\n \n": 0, "x": 1, "{}": 1, "\x1f": 1} {
		x.parts = nil
		f.Stdin = strings.NewReader(text)
		if err := f.Run(t.Context(), x.handle); err != nil || len(x.parts) != want {
			t.Errorf("%q: %q, %v", text, x.parts, err)
		}
	}
	// An error of the reader is not the handler's, and what came before is kept.
	x.parts = nil
	f.Stdin = io.MultiReader(strings.NewReader("{}\n{}"), iotest.ErrReader(errors.New("cable pulled")))
	if err := f.Run(t.Context(), x.handle); err == nil || err.Error() != `cannot read "stdin": cable pulled` || len(x.parts) != 2 {
		t.Errorf("Run: %v, %q", err, x.parts)
	}
}

// A named pipe is read as standard input is.
func TestFilesNamedPipe(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no named pipes in folders here")
	}
	path := filepath.Join(t.TempDir(), "pipe")
	if err := mkfifo(path); err != nil {
		t.Fatal(err)
	}
	x := newTaken()
	f := files(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- f.Run(ctx, x.handle) }()
	w, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "{\"a\":1}\n"); err != nil {
		t.Fatal(err)
	}
	<-x.more
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if got := x.all(); !slices.Equal(got, []string{path + "@0 {\"a\":1}\n"}) {
		t.Errorf("got %q", got)
	}
}
