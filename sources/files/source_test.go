package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/sources"
	"github.com/mfawatch/mfawatch/sources/sourcetest"
)

func lay(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func walked(root string, paths ...string) (files []string, errs []string) {
	for f, err := range Walk(paths) {
		if err != nil {
			errs = append(errs, strings.ReplaceAll(err.Error(), root, ""))
			continue
		}
		name := strings.TrimPrefix(f.Place(), root+"/")
		if !f.Regular {
			name += " (not regular)"
		}
		files = append(files, name)
	}
	return files, errs
}

func TestWalk(t *testing.T) {
	root := t.TempDir()
	lay(t, root, map[string]string{
		"b/2.json":             "{}",
		"b/10.json.gz":         "\x1f\x8b",
		"b/.hidden.json":       "{}",
		"b/.git/x.json":        "{}",
		"a/x.jsonl":            "",
		"a/x.NDJSON":           "",
		"a/app.log":            "words",
		"a/notes.txt":          "words",
		"a/part-0001":          "  \n{\"Records\":[]}",
		"a/firehose-2026":      "\x1f\x8b\x08rest",
		"a/bom":                "\ufeff[1]",
		"a/picture.png":        "\x89PNG",
		"a/deep/er/still.json": "[]",
		"a/empty":              "",
		"plain.txt":            "words",
		"c/1.json.zst":         "",
		"c/2.zip":              "",
		"c/3":                  "\x28\xb5\x2f\xfdrest",
	})
	if err := os.Symlink("../a", filepath.Join(root, "b", "loop")); err != nil {
		t.Skip("no symbolic links here")
	}
	for link, to := range map[string]string{"b/self": ".", "b/link.json": "../b/2.json", "b/gone.json": "nowhere", "top": "a"} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	a := []string{"a/app.log", "a/bom", "a/deep/er/still.json", "a/firehose-2026", "a/part-0001", "a/x.NDJSON", "a/x.jsonl"}
	b := []string{"b/10.json.gz", "b/2.json", "b/link.json"}
	goneErr := `cannot read "/b/gone.json": no such file or directory; check the path`
	for _, tt := range []struct {
		paths, files, errs []string
	}{
		{[]string{"a"}, a, nil},
		{[]string{"b", "a"}, slices.Concat(b, a), []string{goneErr}},
		{[]string{"plain.txt", "b/.hidden.json"}, []string{"plain.txt", "b/.hidden.json"}, nil}, // what is named is read
		{[]string{"top"}, func() (top []string) {
			for _, f := range a {
				top = append(top, "top"+strings.TrimPrefix(f, "a"))
			}
			return top
		}(), nil},
		{[]string{"c"}, []string{"c/1.json.zst", "c/2.zip", "c/3"}, nil},
		{[]string{"none", "a/x.jsonl"}, []string{"a/x.jsonl"}, []string{`cannot read "/none": no such file or directory; check the path`}},
	} {
		var paths []string
		for _, p := range tt.paths {
			paths = append(paths, filepath.Join(root, p))
		}
		files, errs := walked(root, paths...)
		if !slices.Equal(files, tt.files) || !slices.Equal(errs, tt.errs) {
			t.Errorf("%q:\n%q %q\nwant\n%q %q", tt.paths, files, errs, tt.files, tt.errs)
		}
	}
	if files, errs := walked(root, "-"); !slices.Equal(files, []string{"stdin (not regular)"}) || errs != nil {
		t.Errorf("-: %q %q", files, errs)
	}
	for range Walk([]string{root}) { // may be left early
		break
	}
}

// texts is a handler that reads each file.
type texts struct {
	mu   sync.Mutex
	got  map[string]string
	fail func(place string, try int) error
	try  map[string]int
}

func (x *texts) handle(_ context.Context, d processor.Delivery) error {
	n := 0
	for part, err := range d.Parts {
		if err != nil {
			return err
		}
		n++
		b := part.Bytes
		if part.Body != nil {
			if b, err = io.ReadAll(part.Body); err != nil {
				return fmt.Errorf("reading: %w", err)
			}
		}
		place := part.Origin.String()
		x.mu.Lock()
		x.try[place]++
		try := x.try[place]
		x.mu.Unlock()
		if x.fail != nil {
			if err := x.fail(place, try); err != nil {
				return err
			}
		}
		x.mu.Lock()
		x.got[filepath.Base(place)] += string(b)
		x.mu.Unlock()
	}
	if n != 1 || d.Source != "disk" {
		return fmt.Errorf("%d parts of source %s", n, d.Source)
	}
	return nil
}

func newTexts() *texts { return &texts{got: make(map[string]string), try: make(map[string]int)} }

func files(t *testing.T, paths ...string) *Source {
	t.Helper()
	f, err := New("disk", Config{Paths: paths}, sources.Options{Logger: sourcetest.Log(t), Registerer: prometheus.NewPedanticRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	f.retry = sources.Backoff{First: time.Millisecond, Longest: 5 * time.Millisecond}
	return f
}

func TestSourceReads(t *testing.T) {
	root := t.TempDir()
	want := make(map[string]string)
	for i := range 50 {
		want[fmt.Sprintf("%d.json", i)] = strings.Repeat("x", i*1000)
	}
	lay(t, root, want)
	x := newTexts()
	f := files(t, root)
	if err := f.Run(t.Context(), x.handle); err != nil {
		t.Fatal(err)
	}
	for name, text := range want {
		if x.got[name] != text {
			t.Errorf("%s: %d bytes, want %d", name, len(x.got[name]), len(text))
		}
	}
	if n := testutil.ToFloat64(f.count.Acked); n != 50 {
		t.Errorf("%v deliveries counted", n)
	}
}

func TestConcurrent(t *testing.T) {
	root := t.TempDir()
	lay(t, root, map[string]string{"1.json": "", "2.json": "", "3.json": "", "4.json": ""})
	f := files(t, root)
	f.concurrency = 2
	var running atomic.Int32
	observe := make(chan struct{})
	err := f.Run(t.Context(), func(context.Context, processor.Delivery) error {
		if n := running.Add(1); n > 2 {
			t.Errorf("%d at once", n)
		}
		defer running.Add(-1)
		select { // two have to be there to go on
		case observe <- struct{}{}:
		case <-observe:
		case <-time.After(sourcetest.Patience):
			t.Error("one after the other")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestHandlerError(t *testing.T) {
	root := t.TempDir()
	lay(t, root, map[string]string{"sick.json": "sick", "well.json": "well"})
	x := newTexts()
	x.fail = func(place string, try int) error {
		if strings.HasSuffix(place, "sick.json") && try < 4 {
			return errors.New("disk full")
		}
		return nil
	}
	f := files(t, root)
	if err := f.Run(t.Context(), x.handle); err != nil {
		t.Fatal(err)
	}
	if x.got["sick.json"] != "sick" || x.got["well.json"] != "well" {
		t.Errorf("read %v", x.got)
	}
	if n := testutil.ToFloat64(f.count.Retries); n != 3 {
		t.Errorf("%v retries counted, want 3", n)
	}
}

func TestStop(t *testing.T) {
	root := t.TempDir()
	lay(t, root, map[string]string{"a.json": "a", "b.json": "b"})
	ctx, cancel := context.WithCancel(t.Context())
	x := newTexts()
	x.fail = func(string, int) error { cancel(); return errors.New("broken for ever") }
	if err := files(t, root).Run(ctx, x.handle); err != nil {
		t.Errorf("Run: %v", err)
	}
	// Reading ends with the context. Input that came by then is handled, or it is
	// an error, since it cannot be read again.
	ctx, cancel = context.WithCancel(t.Context())
	x.fail = nil
	f := files(t, "-")
	f.Stdin = iotest.OneByteReader(io.MultiReader(strings.NewReader("ab"), readerFunc(func(p []byte) (int, error) { cancel(); return copy(p, "x"), nil })))
	if err := f.Run(ctx, x.handle); err != nil {
		t.Errorf("Run: %v", err)
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestUnreadable(t *testing.T) {
	root := t.TempDir()
	lay(t, root, map[string]string{"a.json": "a", "locked.json": "b", "c.json": "c"})
	locked := filepath.Join(root, "locked.json")
	if err := os.Chmod(locked, 0); err != nil {
		t.Fatal(err)
	}
	x := newTexts()
	err := files(t, filepath.Join(root, "none"), root).Run(t.Context(), x.handle)
	if err == nil || !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "none") {
		t.Errorf("Run: %v", err)
	}
	if os.Geteuid() != 0 && !errors.Is(err, os.ErrPermission) { // root reads everything
		t.Errorf("Run: %v", err)
	}
	if x.got["a.json"] != "a" || x.got["c.json"] != "c" {
		t.Errorf("the others: %v", x.got)
	}
}

func TestConfig(t *testing.T) {
	for _, tt := range []struct {
		paths []string
		want  string
	}{
		{[]string{"a", "-"}, ""},
		{nil, "paths: missing; want at least one file or folder, or - for standard input"},
		{[]string{"-", "", "-"}, "paths[1]: empty; want a file or folder, or - for standard input\npaths[2]: want standard input only once"},
	} {
		got := ""
		if err := (Config{Paths: tt.paths}).Validate(); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%q: %s\nwant %s", tt.paths, got, tt.want)
		}
	}
}
