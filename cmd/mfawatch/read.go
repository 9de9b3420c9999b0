package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/sources"
)

// found is what a scan keeps of what it reads: the events, and what could not
// be read.
type found struct {
	files      int64
	stats      trail.Stats
	events     []*trail.Event
	unreadable bad             // parts that were no CloudTrail, or damaged
	failures   bad             // files that could not be opened or read
	ignored    []trail.Ignored // records of a watched name that are none, if asked for
}

// read reads what lies at paths, several files at once, until it is done or ctx
// is.
func read(ctx context.Context, paths []string, stdin io.Reader, workers int, bar *progress) *found {
	return readAll(ctx, paths, stdin, workers, bar, false)
}

// readAll is read, which keeps what was ignored, too, if that is asked for.
func readAll(ctx context.Context, paths []string, stdin io.Reader, workers int, bar *progress, ignored bool) *found {
	all := &found{}
	bar.expect(paths)
	files := make(chan sources.File)
	var mu sync.Mutex // guards all
	g := new(errgroup.Group)
	g.Go(func() error {
		defer close(files)
		for f, err := range sources.Walk(paths) {
			if err != nil {
				mu.Lock()
				all.failures.add(err.Error())
				mu.Unlock()
				continue
			}
			select {
			case files <- f:
			case <-ctx.Done():
				return nil
			}
		}
		return nil
	})
	for range workers {
		g.Go(func() error {
			r := reader{ctx: ctx, stdin: stdin, scanner: trail.NewScanner(), bar: bar}
			r.visitor = &r
			if ignored {
				r.visitor = explaining{&r}
			}
			for f := range files {
				if err := r.file(f); err != nil && ctx.Err() == nil {
					r.failures.add(err.Error())
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all.merge(&r.found)
			return nil
		})
	}
	_ = g.Wait()
	return all
}

func (f *found) merge(g *found) {
	f.files += g.files
	f.stats.Add(g.stats)
	f.events = append(f.events, g.events...)
	f.unreadable.merge(&g.unreadable)
	f.failures.merge(&g.failures)
	f.ignored = append(f.ignored, g.ignored...)
}

// A reader reads one file after the other. It is its scanner's visitor, and its
// reader, which ends with the context and moves the progress.
type reader struct {
	found
	ctx     context.Context
	stdin   io.Reader
	scanner *trail.Scanner
	bar     *progress
	body    io.Reader
	visitor trail.Visitor
}

// explaining is a reader that keeps what is ignored, too.
type explaining struct{ *reader }

func (r explaining) Ignored(i trail.Ignored) { r.ignored = append(r.ignored, i) }

// file reads one file to its end. Its error is about the file; what lies in it
// and cannot be read is no error.
func (r *reader) file(f sources.File) error {
	open := func() (io.ReadCloser, error) {
		if f.Path == sources.Stdin {
			return io.NopCloser(r.stdin), nil
		}
		return os.Open(f.Path)
	}
	if f.Size < 0 { // a terminal or a pipe, which may have nothing to say for long
		open = interruptible(r.ctx, open)
	}
	body, err := open()
	if err != nil {
		return fmt.Errorf("cannot read %q: %w", f.Path, withoutPath(err))
	}
	defer body.Close()
	r.files++
	r.body = body
	stats, err := r.scanner.Scan(trail.Place(f.Place()), r, r.visitor)
	r.stats.Add(stats)
	if err != nil {
		return fmt.Errorf("cannot read %q: %w", f.Path, withoutPath(err))
	}
	return nil
}

// interruptible opens and reads in a goroutine of its own, since neither can be
// ended by a context: when ctx is done the reader ends, and whoever waits in the
// read is left behind.
func interruptible(ctx context.Context, open func() (io.ReadCloser, error)) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) {
		out, in := io.Pipe()
		stop := context.AfterFunc(ctx, func() { _ = in.CloseWithError(ctx.Err()) })
		go func() {
			defer stop()
			body, err := open()
			if err == nil {
				_, err = io.CopyBuffer(struct{ io.Writer }{in}, struct{ io.Reader }{body}, make([]byte, 256<<10))
				err = errors.Join(err, body.Close())
			}
			_ = in.CloseWithError(err) // nil is the end
		}()
		return out, nil
	}
}

func (r *reader) Event(e *trail.Event) { r.events = append(r.events, e) }

func (r *reader) Unreadable(u trail.Unreadable) {
	r.unreadable.add(exposure.Clean(fmt.Sprintf("unreadable: %s at byte %d: %s: %v", u.Origin, u.Offset, u.Reason, u.Err), 400))
}

func (r *reader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.body.Read(b)
	r.bar.add(n)
	return n, err
}

// bad counts what could not be read, and keeps what sorts first of it, so that
// what is told does not depend on who read what.
type bad struct {
	total int64
	first []string
}

const maxBad = 20

func (b *bad) add(text string) {
	b.total++
	i, _ := slices.BinarySearchFunc(b.first, text, strings.Compare)
	if i < maxBad {
		b.first = slices.Insert(b.first, i, text)
		b.first = b.first[:min(len(b.first), maxBad)]
	}
}

// write names them on w.
func (b *bad) write(w io.Writer) {
	for _, text := range b.first {
		fmt.Fprintf(w, "mfawatch: %s\n", text)
	}
	if more := b.total - int64(len(b.first)); more > 0 {
		fmt.Fprintf(w, "mfawatch: and %s more\n", grouped(more))
	}
}

func (b *bad) merge(c *bad) {
	total := b.total + c.total
	for _, text := range c.first {
		b.add(text)
	}
	b.total = total
}
