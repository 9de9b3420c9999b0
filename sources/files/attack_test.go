package files

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/sources"
	"github.com/mfawatch/mfawatch/sources/sourcetest"
)

// A long document whose end is there is read although its file never rests.
func TestFollowLongDocumentInBusyFile(t *testing.T) {
	log := filepath.Join(t.TempDir(), "trail.log")
	long := fmt.Sprintf("{\"a\":%q}\n", strings.Repeat("x", documentBytes+batchBytes))
	addTo(t, log, "{\"n\":0}\n"+long+"{\"n\":1}\n")
	r := startFollow(t, nil, []string{log}, func(f *Source, _ *sourcetest.Inbox) { f.settle = time.Hour })
	r.once("{\"n\":0}\n", long, "{\"n\":1}\n")
}

// The lines behind a long one are read, although only the first bytes of that are, since
// it is no JSON.
func TestFollowBehindLongWords(t *testing.T) {
	log := filepath.Join(t.TempDir(), "trail.log")
	addTo(t, log, strings.Repeat("x", documentBytes+batchBytes)+"\n{\"n\":1}\n")
	r := startFollow(t, nil, []string{log}, func(_ *Source, x *sourcetest.Inbox) { x.Head = 3 })
	r.once("xxx", "{\"n\":1}\n")
}

// A hole precedes the next line of a log that was cut off while its writer went on at its
// own place.
func TestFollowBehindHole(t *testing.T) {
	for _, hole := range []int64{100, documentBytes + batchBytes, 3 * turnBytes} {
		log := filepath.Join(t.TempDir(), "trail.log")
		f, err := os.Create(log)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt([]byte("{\n\"n\":1}\n{\"n\":2}\n"), hole); err != nil {
			t.Fatal(err)
		}
		r := startFollow(t, nil, []string{log})
		r.once("{\n\"n\":1}\n", "{\"n\":2}\n")
		r.end()
	}
}

// Many long files delay no line of another file for longer than one of them takes.
func TestFollowShortFilesFirst(t *testing.T) {
	root := t.TempDir()
	f, err := New("disk", Config{Paths: []string{root}, Follow: true}, sources.Options{Logger: sourcetest.Log(t)})
	if err != nil {
		t.Fatal(err)
	}
	f.concurrency, f.turn, f.settle = 1, 0, 0
	x := sourcetest.NewInbox()
	w := &follower{f: f, ctx: t.Context(), handle: x.Handle, unsaved: map[string]*followed{}}
	var due []*followed
	for i, text := range []string{
		"\x1f\x8b" + strings.Repeat("x", 2*batchBytes), "\x1f\x8b" + strings.Repeat("y", batchBytes), "{\"n\":1}\n", "{\"n\":2}\n",
	} {
		path := filepath.Join(root, fmt.Sprint(i))
		addTo(t, path, text)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		d := &followed{id: identity(path, info), path: path, size: info.Size(), mtime: info.ModTime(), changed: time.Unix(int64(i), 0)}
		defer w.closeFile(d)
		due = append(due, d)
	}
	if more := w.read(due); !more {
		t.Error("it does not say that there is more to read")
	}
	var got []string
	for _, part := range x.All() {
		got = append(got, fmt.Sprintf("%.20s", strings.TrimPrefix(part, root)))
	}
	if want := []string{"/2@0 {\"n\":1}\n", "/3@0 {\"n\":2}\n", "/0 \x1f\x8b" + strings.Repeat("x", 15)}; !slices.Equal(got, want) {
		t.Errorf("read %q, want %q", got, want)
	}
}

// One look at everything that was held up, as by a busy disk, delays no new folder; where
// two were, the next waits.
func TestOneSlowLookDelaysNoFolder(t *testing.T) {
	f, err := New("disk", Config{Paths: []string{t.TempDir()}, Follow: true}, sources.Options{Logger: sourcetest.Log(t)})
	if err != nil {
		t.Fatal(err)
	}
	w := &follower{
		f: f, ctx: t.Context(), paths: f.config.Paths, hints: newHints(f.log, f.metrics.overflows, true),
		files: map[string]*followed{}, byPath: map[string]*followed{}, folders: map[string]bool{},
	}
	pause := func() time.Duration {
		w.poll(time.Now().Add(-10 * time.Second))
		w.pollSoon()
		return time.Until(w.next)
	}
	if p := pause(); p > 0 {
		t.Errorf("after one slow look the next waits for %s", p)
	}
	if p := pause(); p < 100*time.Second {
		t.Errorf("after two slow looks the next waits for %s", p)
	}
}
