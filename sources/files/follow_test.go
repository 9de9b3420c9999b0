package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
	"github.com/mfawatch/mfawatch/sources"
	"github.com/mfawatch/mfawatch/sources/sourcetest"
)

// A followShelf keeps places in memory, over the restarts of a test.
type followShelf struct {
	mu    sync.Mutex
	marks map[string][]byte
}

func (s *followShelf) Offsets(string) (map[string][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.marks), nil
}

func (s *followShelf) KeepOffsets(_ context.Context, _ string, keep map[string][]byte, evicted []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.marks == nil {
		s.marks = map[string][]byte{}
	}
	for _, name := range evicted {
		delete(s.marks, name)
	}
	maps.Copy(s.marks, keep)
	return nil
}

func (s *followShelf) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.marks)
}

// A followRun is a source that follows, until it is stopped.
type followRun struct {
	t     *testing.T
	x     *sourcetest.Inbox
	f     *Source
	end   func() // stops it and waits
	ended bool
}

func startFollow(t *testing.T, shelf *followShelf, paths []string, set ...func(*Source, *sourcetest.Inbox)) *followRun {
	t.Helper()
	o := sources.Options{Logger: sourcetest.Log(t), Registerer: prometheus.NewPedanticRegistry()}
	if shelf != nil {
		o.Offsets = shelf
	}
	f, err := New("disk", Config{Paths: paths, Follow: true}, o)
	if err != nil {
		t.Fatal(err)
	}
	f.retry = sources.Backoff{First: time.Millisecond, Longest: 5 * time.Millisecond}
	f.settle, f.pollEvery, f.keepEvery = 20*time.Millisecond, 20*time.Millisecond, time.Millisecond
	x := &sourcetest.Inbox{More: make(chan struct{}, 1<<20)}
	for _, s := range set {
		s(f, x)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx, x.Handle) }()
	r := &followRun{t: t, x: x, f: f}
	r.end = func() {
		if r.ended {
			return
		}
		r.ended = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(r.end)
	return r
}

// texts returns the texts that were taken, without the origins.
func (r *followRun) texts() (all []string) {
	for _, part := range r.x.All() {
		_, text, _ := strings.Cut(part, " ")
		all = append(all, text)
	}
	return all
}

// wants waits until all of the texts were taken.
func (r *followRun) wants(want ...string) {
	r.t.Helper()
	var missing []string
	sourcetest.Eventually(r.t, func() bool {
		got := r.texts()
		missing = slices.DeleteFunc(slices.Clone(want), func(text string) bool { return slices.Contains(got, text) })
		return len(missing) == 0
	}, func() string { return fmt.Sprintf("not taken: %.300q; taken: %.1000q", missing, r.texts()) })
}

// once fails if a text was taken more than once, or is not in want.
func (r *followRun) once(want ...string) {
	r.t.Helper()
	r.wants(want...)
	got := r.texts()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		r.t.Errorf("taken %.1000q, want %.1000q", got, want)
	}
}

func gzipped(text string) string { return string(trailtest.Gzip([]byte(text))) }

func addTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(f, text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func mustRename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// everyFollow runs a test with the notices of the system, and without them.
func everyFollow(t *testing.T, f func(t *testing.T, set func(*Source, *sourcetest.Inbox))) {
	t.Run("notices", func(t *testing.T) { f(t, func(*Source, *sourcetest.Inbox) {}) })
	t.Run("polling", func(t *testing.T) { f(t, func(f *Source, _ *sourcetest.Inbox) { f.noHints = true }) })
}

// The files of a folder are read, and new ones, in whatever way they come.
func TestFollowFolder(t *testing.T) {
	everyFollow(t, func(t *testing.T, set func(*Source, *sourcetest.Inbox)) {
		root := t.TempDir()
		lay(t, root, map[string]string{"2026/05/a.json": `{"Records":[1]}`, "b.json.gz": gzipped("{}"), ".c.json": "{}", "picture.png": "\x89PNG"})
		shelf := &followShelf{}
		link := filepath.Join(t.TempDir(), "link") // a root may be one
		if err := os.Symlink(root, link); err != nil {
			t.Skip("no symbolic links here")
		}
		in := func(name string) string { return filepath.Join(link, name) }
		r := startFollow(t, shelf, []string{link}, set)
		want := []string{`{"Records":[1]}`, gzipped("{}")}
		r.once(want...)
		lay(t, root, map[string]string{"2026/06/01/d.json": `{"Records":[2]}`, "2026/05/e.jsonl": "{\"e\":1}\n{\"e\":2}\n"})
		want = append(want, `{"Records":[2]}`, "{\"e\":1}\n", "{\"e\":2}\n")
		r.once(want...)
		// As synchronising tools do it: under another name first.
		lay(t, root, map[string]string{".f.json.x7Yz": `{"Records":[3]}`, "2026/05/g.json.gz.a1b2": gzipped("{\"g\":1}")})
		mustRename(t, in(".f.json.x7Yz"), in("f.json"))
		mustRename(t, in("2026/05/g.json.gz.a1b2"), in("2026/05/g.json.gz"))
		want = append(want, `{"Records":[3]}`, gzipped("{\"g\":1}"))
		r.once(want...)
		// A folder from elsewhere, and one that is renamed.
		other := t.TempDir()
		lay(t, other, map[string]string{"deep/er/h.json": `{"Records":[4]}`})
		mustRename(t, filepath.Join(other, "deep"), in("deep"))
		want = append(want, `{"Records":[4]}`)
		r.once(want...)
		mustRename(t, in("deep"), in("deeper"))
		lay(t, root, map[string]string{"deeper/er/i.json": `{"Records":[5]}`})
		want = append(want, `{"Records":[5]}`)
		r.once(want...)
		if origins := r.x.All(); !slices.Contains(origins, in("2026/05/e.jsonl")+"@8 {\"e\":2}\n") || !slices.Contains(origins, in("b.json.gz")+" "+gzipped("{}")) {
			t.Errorf("origins: %q", origins)
		}
		// Nothing is read again after a restart, and what came meanwhile is.
		r.end()
		lay(t, root, map[string]string{"j.json": `{"Records":[6]}`})
		addTo(t, in("2026/05/e.jsonl"), "{\"e\":3}\n")
		r = startFollow(t, shelf, []string{link}, set)
		r.once(`{"Records":[6]}`, "{\"e\":3}\n")
	})
}

// A file that grows is read line by line, whatever is done to it.
func TestFollowGrowingFile(t *testing.T) {
	everyFollow(t, func(t *testing.T, set func(*Source, *sourcetest.Inbox)) {
		root := t.TempDir()
		log := filepath.Join(root, "trail.log")
		shelf := &followShelf{}
		r := startFollow(t, shelf, []string{log}, set, func(f *Source, _ *sourcetest.Inbox) { f.cutFor = time.Hour })
		sourcetest.Eventually(t, func() bool { return r.f.Ready() != nil }, func() string { return "it does not say that the file is not there" })
		addTo(t, log, "{\"n\":1}\n{\"n\":")
		r.once("{\"n\":1}\n")
		sourcetest.Eventually(t, func() bool { return r.f.Ready() == nil }, func() string { return fmt.Sprint(r.f.Ready()) })
		addTo(t, log, "2}\nwords\n{\"n\":3}")
		r.once("{\"n\":1}\n", "{\"n\":2}\n", "words\n", "{\"n\":3}") // the last one rests
		// Renamed, with more written to it, as logrotate and those who log do.
		old, err := os.OpenFile(log, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer old.Close()
		mustRename(t, log, log+".1")
		addTo(t, log, "{\"n\":5}\n")
		r.wants("{\"n\":5}\n")
		if _, err := io.WriteString(old, "\n{\"n\":4}\n"); err != nil {
			t.Fatal(err)
		}
		r.wants("\n{\"n\":4}\n")
		// Cut off and written again, in its place.
		if err := os.Truncate(log, 0); err != nil {
			t.Fatal(err)
		}
		addTo(t, log, "{\"n\":6}\n")
		r.wants("{\"n\":6}\n")
		if err := os.WriteFile(log, []byte("{\"another\":\"text\"}\n{\"n\":7}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		r.wants("{\"another\":\"text\"}\n", "{\"n\":7}\n")
		// Replaced by another one of its name.
		lay(t, root, map[string]string{"next": "{\"n\":8}\n"})
		mustRename(t, filepath.Join(root, "next"), log)
		r.wants("{\"n\":8}\n")
		// Renamed between two polls, with a rest to be read.
		r.end()
		addTo(t, log, "{\"n\":9}\n")
		mustRename(t, log, log+".2")
		addTo(t, log, "{\"n\":10}\n")
		r = startFollow(t, shelf, []string{log}, set)
		r.once("{\"n\":9}\n", "{\"n\":10}\n")
		// Removed: it is waited for.
		if err := os.Remove(log); err != nil {
			t.Fatal(err)
		}
		sourcetest.Eventually(t, func() bool { return r.f.Ready() != nil }, func() string { return "it does not say that the file is not there" })
		addTo(t, log, "{\"n\":11}\n")
		r.wants("{\"n\":11}\n")
	})
}

// Records of one session begin alike, for more than the first bytes of a file that are
// compared: another file in its place, or under its number, is read from its start.
func TestFollowFileThatBeginsAlike(t *testing.T) {
	everyFollow(t, func(t *testing.T, set func(*Source, *sourcetest.Inbox)) {
		record := func(n, times int) string {
			return fmt.Sprintf("{\"userIdentity\":%q,\"n\":[%s%d]}\n", strings.Repeat("i", 2*headLength), strings.Repeat("0,", times), n)
		}
		log := filepath.Join(t.TempDir(), "trail.log")
		shelf := &followShelf{}
		r := startFollow(t, shelf, []string{log}, set)
		addTo(t, log, record(1, 0))
		r.once(record(1, 0))
		// Written over in its place, to no less than it had.
		write := func(text string) {
			t.Helper()
			f, err := os.OpenFile(log, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteString(text); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
		write(record(2, 9) + record(3, 0))
		r.once(record(1, 0), record(2, 9), record(3, 0))
		r.end()
		write(record(4, 9) + record(5, 9) + record(6, 0))
		r = startFollow(t, shelf, []string{log}, set)
		r.once(record(4, 9), record(5, 9), record(6, 0))
	})
}

// A folder that goes and comes back is followed on.
func TestFollowFolderThatGoes(t *testing.T) {
	everyFollow(t, func(t *testing.T, set func(*Source, *sourcetest.Inbox)) {
		root := t.TempDir()
		folder := filepath.Join(root, "logs")
		lay(t, folder, map[string]string{"sub/a.json": "{\"a\":1}\n"})
		shelf := &followShelf{}
		r := startFollow(t, shelf, []string{folder + "/"}, set, func(f *Source, _ *sourcetest.Inbox) { f.goneFor = 50 * time.Millisecond })
		r.once("{\"a\":1}\n")
		for range 2 {
			if err := os.RemoveAll(folder); err != nil {
				t.Fatal(err)
			}
			sourcetest.Eventually(t, func() bool { return r.f.Ready() != nil }, func() string { return "it does not say that the folder is not there" })
			lay(t, folder, map[string]string{"sub/b.json": "{\"b\":1}\n", "sub/too/c.json": "{\"c\":1}\n"})
			sourcetest.Eventually(t, func() bool { return r.f.Ready() == nil }, func() string { return fmt.Sprint(r.f.Ready()) })
			r.wants("{\"b\":1}\n", "{\"c\":1}\n")
		}
		// Removed files are forgotten.
		if err := os.RemoveAll(filepath.Join(folder, "sub")); err != nil {
			t.Fatal(err)
		}
		addTo(t, filepath.Join(folder, "d.json"), "{\"d\":1}\n")
		r.wants("{\"d\":1}\n")
		r.end()
		r = startFollow(t, shelf, []string{folder}, set, func(f *Source, _ *sourcetest.Inbox) { f.fullPollEvery = 20 * time.Millisecond })
		sourcetest.Eventually(t, func() bool { return shelf.len() == 1 }, func() string { return fmt.Sprintf("%d places are kept", shelf.len()) })
	})
}

// A compressed file is read once it is whole: when it rests, or is renamed into
// its place.
func TestFollowWaitsUntilFilesRest(t *testing.T) {
	root := t.TempDir()
	whole := gzipped(strings.Repeat("{\"a\":1}\n", 1000))
	lay(t, root, map[string]string{"half.json.gz": whole[:20]})
	r := startFollow(t, nil, []string{root}, func(f *Source, _ *sourcetest.Inbox) { f.settle = time.Hour })
	lay(t, root, map[string]string{"line.json": "{\"b\":1}\n", ".rested": gzipped("{}"), "no-end.json": "{\"c\":1}"})
	long := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(filepath.Join(root, ".rested"), long, long); err != nil {
		t.Fatal(err)
	}
	mustRename(t, filepath.Join(root, ".rested"), filepath.Join(root, "rested.json.gz"))
	r.wants("{\"b\":1}\n", gzipped("{}"))
	addTo(t, filepath.Join(root, "half.json.gz"), whole[20:])
	addTo(t, filepath.Join(root, "line.json"), "{\"b\":2}\n")
	r.once("{\"b\":1}\n", gzipped("{}"), "{\"b\":2}\n")
	if n := testutil.ToFloat64(r.f.metrics.followed); n != 4 {
		t.Errorf("%v files followed", n)
	}
	r.end()
	// With a shorter rest it is read, as a whole; and again if it is overwritten.
	r = startFollow(t, nil, []string{filepath.Join(root, "half.json.gz")})
	r.once(whole)
	if err := os.WriteFile(filepath.Join(root, "half.json.gz"), []byte(gzipped("{\"new\":1}")), 0o600); err != nil {
		t.Fatal(err)
	}
	r.wants(gzipped("{\"new\":1}"))
}

// A last document that is cut off is reported, and read again if it goes on.
func TestFollowCutOff(t *testing.T) {
	log := filepath.Join(t.TempDir(), "a.json")
	addTo(t, log, "{\"a\":1}\n{\"b\":")
	r := startFollow(t, nil, []string{log}, func(f *Source, _ *sourcetest.Inbox) { f.cutFor = 30 * time.Millisecond })
	r.once("{\"a\":1}\n", "{\"b\":")
	addTo(t, log, "2}\n")
	r.once("{\"a\":1}\n", "{\"b\":", "{\"b\":2}\n")
}

// A document that is too long to be held is streamed, and what follows it is
// not lost.
func TestFollowLongDocument(t *testing.T) {
	root := t.TempDir()
	long := `{"Records":[` + strings.Repeat(`{"pad":"xxxxxxxxxxxxxxxxxxxxxxxxxxx"},`, 120_000) + "{}]}"
	lay(t, root, map[string]string{"a.json": long, "b.json": "{\"b\":1}\n" + long + "\n{\"b\":2}\n"})
	shelf := &followShelf{}
	r := startFollow(t, shelf, []string{root})
	r.once(long, "{\"b\":1}\n", long+"\n", "{\"b\":2}\n")
	r.end()
	addTo(t, filepath.Join(root, "a.json"), "\n{\"a\":2}\n")
	r = startFollow(t, shelf, []string{root})
	r.once("\n{\"a\":2}\n")
}

// A place is kept only once its delivery was taken.
func TestFollowStoresNoOffsetTooEarly(t *testing.T) {
	root := t.TempDir()
	lay(t, root, map[string]string{"a.json": "{\"a\":1}\n", "b.json.gz": gzipped("{}")})
	shelf := &followShelf{}
	r := startFollow(t, shelf, []string{root}, func(_ *Source, x *sourcetest.Inbox) {
		x.Fail = func(int) error { return errors.New("disk full") }
	})
	retries := r.f.count.Retries
	sourcetest.Eventually(t, func() bool { return testutil.ToFloat64(retries) > 5 }, func() string { return "it is not tried again" })
	r.end()
	for id, text := range shelf.marks {
		if p := parseOffset(text); p.Offset > 0 || p.Size > 0 {
			t.Errorf("kept of %s: %s", id, text)
		}
	}
	r = startFollow(t, shelf, []string{root})
	r.once("{\"a\":1}\n", gzipped("{}"))
}

func TestFollowUnreadableFile(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root reads everything")
	}
	root := t.TempDir()
	lay(t, root, map[string]string{"a.json": "{\"a\":1}\n", "locked.json": "{\"b\":1}\n"})
	locked := filepath.Join(root, "locked.json")
	if err := os.Chmod(locked, 0); err != nil {
		t.Fatal(err)
	}
	r := startFollow(t, nil, []string{root}, func(f *Source, _ *sourcetest.Inbox) { f.fullPollEvery = 20 * time.Millisecond })
	r.once("{\"a\":1}\n")
	if err := os.Chmod(locked, 0o600); err != nil {
		t.Fatal(err)
	}
	r.once("{\"a\":1}\n", "{\"b\":1}\n")
}

// A follower has not caught up while it cannot read one of its paths.
func TestFollowIsNotCaughtUpWithoutAPath(t *testing.T) {
	dir := t.TempDir()
	out, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	path := filepath.Join(dir, "a.json")
	r := startFollow(t, nil, []string{path}, func(f *Source, _ *sourcetest.Inbox) { f.log = slog.New(slog.NewTextHandler(out, nil)) })
	defer r.end()
	logged := func(text string) int {
		log, err := os.ReadFile(out.Name())
		if err != nil {
			t.Fatal(err)
		}
		return strings.Index(string(log), text)
	}
	await := func(text string) {
		sourcetest.Eventually(t, func() bool { return logged(text) >= 0 }, func() string { return "not logged: " + text })
	}
	await("not all paths can be read")
	addTo(t, path, "{\"a\":1}\n")
	await("caught up")
	if again := logged("all paths can be read again"); again < 0 || again > logged("caught up") {
		t.Errorf("it had caught up before all paths could be read (%d, %d)", logged("caught up"), again)
	}
}

// Whatever is done to the files, and whenever it is stopped and started again,
// every line is taken.
func TestFollowLosesNothing(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 1))
			root := t.TempDir()
			shelf := &followShelf{}
			set := func(f *Source, x *sourcetest.Inbox) {
				f.noHints = seed%3 == 2
				f.fullPollEvery = 50 * time.Millisecond
				x.Fail = func(n int) error {
					if n%7 == 3 {
						return errors.New("disk full")
					}
					return nil
				}
			}
			all := map[string]bool{}
			collect := func(r *followRun) {
				for _, text := range r.texts() {
					all[text] = true
				}
			}
			r := startFollow(t, shelf, []string{root}, set)
			var want []string
			names := []string{"a.log", "b.log", "c.json"}
			for i := range 150 {
				name := filepath.Join(root, names[random.IntN(len(names))])
				switch random.IntN(12) {
				case 0:
					_ = os.Rename(name, fmt.Sprintf("%s.%d.log", name, i))
				case 1:
					before, _ := shelf.Offsets("disk")
					r.end()
					collect(r)
					if random.IntN(2) == 0 { // as after a kill: what was to be kept at the end was not
						shelf.marks = before
					}
					r = startFollow(t, shelf, []string{root}, set)
				case 2:
					path := filepath.Join(root, fmt.Sprintf("%d", i), "x.json.gz")
					text := gzipped(fmt.Sprintf("{\"z\":%d}", i))
					lay(t, root, map[string]string{fmt.Sprintf(".%d", i): text})
					if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
						t.Fatal(err)
					}
					mustRename(t, filepath.Join(root, fmt.Sprintf(".%d", i)), path)
					want = append(want, text)
				default:
					line := fmt.Sprintf("{\"n\":%d,\"pad\":%q}\n", i, strings.Repeat("x", random.IntN(300)))
					half := random.IntN(len(line))
					addTo(t, name, line[:half])
					addTo(t, name, line[half:])
					want = append(want, line)
				}
			}
			sourcetest.Eventually(t, func() bool {
				collect(r)
				return !slices.ContainsFunc(want, func(text string) bool { return !all[text] })
			}, func() string {
				return fmt.Sprintf("not taken: %q", slices.DeleteFunc(want, func(text string) bool { return all[text] }))
			})
			// A last look: nothing is left to be read.
			r.end()
			r = startFollow(t, shelf, []string{root}, set)
			behind := r.f.metrics.behind
			followed := r.f.metrics.followed
			sourcetest.Eventually(t, func() bool { return testutil.ToFloat64(followed) > 0 && testutil.ToFloat64(behind) == 0 },
				func() string { return fmt.Sprintf("%v bytes are left", testutil.ToFloat64(behind)) })
		})
	}
}

// Hints beyond the bound make the next poll look at everything.
func TestFollowHintsAreBounded(t *testing.T) {
	overflows := newFollowMetrics("disk", nil).overflows
	h := newHints(sourcetest.Log(t), overflows, true)
	if _, everything := h.take(); !everything {
		t.Error("it does not begin with a look at everything")
	}
	for i := range maxHints {
		h.put(fmt.Sprint(i), false)
	}
	if paths, everything := h.take(); len(paths) != maxHints || everything {
		t.Errorf("%d paths, everything: %v", len(paths), everything)
	}
	for i := range 2 * maxHints {
		h.put(fmt.Sprint(i), false)
	}
	if paths, everything := h.take(); len(paths) > maxHints || !everything {
		t.Errorf("%d paths, everything: %v", len(paths), everything)
	}
	if paths, everything := h.take(); len(paths) != 0 || everything {
		t.Errorf("then %d paths, everything: %v", len(paths), everything)
	}
	h.close()
}

func FuzzFollowPlace(f *testing.F) {
	f.Add([]byte(`{"offset":1,"size":2,"time":3,"hash":"x","length":4}`))
	f.Add([]byte(`{"offset":-1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		p := parseOffset(text)
		if p.Offset < 0 || p.Length < 0 || p.Length > headLength {
			t.Fatalf("%q: %+v", text, p)
		}
		if again := parseOffset(p.text()); again != p && strings.ToValidUTF8(p.Hash, "") == p.Hash {
			t.Fatalf("%q: %+v, and then %+v", text, p, again)
		}
	})
}

var _ processor.Handler = (*sourcetest.Inbox)(nil).Handle
