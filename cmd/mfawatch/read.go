package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/sources/bucket"
)

// found is what a scan keeps of what it reads: the events, and what could not
// be read.
type found struct {
	files      int64
	stats      trail.Stats
	events     []*trail.Event
	unreadable bad             // parts that were no CloudTrail, or damaged
	failures   bad             // files that could not be opened or read
	passed     passed          // what was not wanted
	ignored    []trail.Ignored // records of a watched name that are none, if asked for
}

// A reading is what is to be read, and how.
type reading struct {
	paths   []string // files, folders, - and s3://…
	wanted  bucket.Wanted
	stdin   io.Reader
	workers int
	bar     *progress
	kept    *keptScan // what was read before, and where it is noted; nil: nowhere
	ignored bool      // keep what is ignored, too
}

// Small objects of a bucket are fetched many at once, since most of the time of
// each is waiting, and then read from memory by as few as keep the cores busy.
const (
	objectsAtOnce = 64
	smallObject   = 256 << 10
)

// inputsAhead is how many inputs are found before the first of them is read, so
// that the progress knows its end early.
const inputsAhead = 1 << 16

// read reads what lies at paths, several files at once, until it is done or ctx
// is.
func read(ctx context.Context, paths []string, stdin io.Reader, workers int, bar *progress) *found {
	return (&reading{paths: paths, stdin: stdin, workers: workers, bar: bar}).run(ctx)
}

func (r *reading) run(ctx context.Context) *found {
	all := &found{}
	if r.kept != nil {
		all.merge(&r.kept.found)
	}
	var mu sync.Mutex // guards all
	r.each(ctx, all, &mu, func(queue <-chan input) {
		w := &reader{ctx: ctx, scanner: trail.NewScanner(), bar: r.bar}
		w.visitor = w
		if r.ignored {
			w.visitor = explaining{w}
		}
		for i := range queue {
			if ctx.Err() != nil {
				continue
			}
			switch err := w.read(i); {
			case err == nil:
				r.kept.add(i, &w.one)
			case ctx.Err() == nil:
				w.fail(err)
			}
			w.found.merge(&w.one)
		}
		mu.Lock()
		defer mu.Unlock()
		all.merge(&w.found)
	})
	return all
}

// each finds the inputs and has several calls of work take them from a queue to
// its end, which comes early if ctx is done. What is not wanted and what cannot be
// found goes into all, which mu guards meanwhile.
func (r *reading) each(ctx context.Context, all *found, mu *sync.Mutex, work func(queue <-chan input)) {
	inputs := inputs{
		paths: r.paths, wanted: r.wanted, stdin: r.stdin,
		passed: func(why bucket.PassedOver, folder bool) {
			mu.Lock()
			defer mu.Unlock()
			all.passed.add(passedOver{why, folder}, 1)
		},
		failed: func(err error) {
			mu.Lock()
			defer mu.Unlock()
			all.fail(err)
		},
	}
	found := make(chan input, inputsAhead)
	finding := make(chan struct{})
	inputs.found = func(i input) {
		if r.kept.has(i) {
			return
		}
		r.bar.expect(i.size)
		select {
		case found <- i:
		case <-ctx.Done():
		}
	}
	go func() {
		defer close(finding)
		defer close(found)
		defer r.bar.known()
		inputs.find(ctx)
	}()
	workers, queue := r.workers, (<-chan input)(found)
	if slices.ContainsFunc(r.paths, isBucket) {
		workers, queue = 2*workers, fetched(ctx, found)
	}
	var working sync.WaitGroup
	for range workers {
		working.Go(func() { work(queue) })
	}
	working.Wait()
	<-finding
}

// fetched hands inputs on, small objects once they lie in memory.
func fetched(ctx context.Context, found <-chan input) <-chan input {
	ready := make(chan input)
	var fetching sync.WaitGroup
	for range objectsAtOnce {
		fetching.Go(func() {
			for i := range found {
				if i.remote && i.size <= smallObject {
					i = i.fetch(ctx)
				}
				select {
				case ready <- i:
				case <-ctx.Done():
				}
			}
		})
	}
	go func() {
		fetching.Wait()
		close(ready)
	}()
	return ready
}

// fail keeps why a file could not be read. The names in it are anybody's.
func (f *found) fail(err error) { f.failures.add(exposure.Clean(err.Error(), 1000)) }

func (f *found) merge(g *found) {
	f.files += g.files
	f.stats.Add(g.stats)
	f.events = append(f.events, g.events...)
	f.unreadable.merge(&g.unreadable)
	f.failures.merge(&g.failures)
	for why, n := range g.passed {
		f.passed.add(why, n)
	}
	f.ignored = append(f.ignored, g.ignored...)
}

// passed counts what was not wanted, by why.
type passed map[passedOver]int64

type passedOver struct {
	why    bucket.PassedOver
	folder bool
}

func (p *passed) add(over passedOver, n int64) {
	if *p == nil {
		*p = passed{}
	}
	(*p)[over] += n
}

// String lists them: "12 objects (digest), 3 folders (other accounts)".
func (p passed) String() string {
	var texts []string
	for over, n := range p {
		noun := "object"
		if over.folder {
			noun = "folder"
		}
		texts = append(texts, fmt.Sprintf("%s (%s)", count(n, noun), over.why))
	}
	slices.Sort(texts)
	return strings.Join(texts, ", ")
}

// A reader reads one input after the other. It is its scanner's visitor, and its
// reader, which ends with the context and moves the progress.
type reader struct {
	found   // in all that was read
	one     found
	ctx     context.Context
	scanner *trail.Scanner
	bar     *progress
	body    io.Reader
	visitor trail.Visitor
}

// explaining is a reader that keeps what is ignored, too.
type explaining struct{ *reader }

func (r explaining) Ignored(i trail.Ignored) { r.one.ignored = append(r.one.ignored, i) }

// read reads one input to its end, into r.one. Its error is about the file; what
// lies in it and cannot be read is no error.
func (r *reader) read(i input) error {
	r.one = found{}
	body, err := i.open(r.ctx)
	if err != nil {
		return unreadableInput(i, err)
	}
	defer body.Close()
	r.one.files++
	r.body = body
	stats, err := r.scanner.Scan(trail.Place(i.place), r, r.visitor)
	r.one.stats.Add(stats)
	if err != nil {
		return unreadableInput(i, err)
	}
	return nil
}

// unreadableInput names the input that could not be read.
func unreadableInput(i input, err error) error {
	var oe *bucket.ObjectError
	if errors.As(err, &oe) { // it does
		return err
	}
	return fmt.Errorf("cannot read %q: %w", i.place, withoutPath(err))
}

func (r *reader) Event(e *trail.Event) { r.one.events = append(r.one.events, e) }

func (r *reader) Unreadable(u trail.Unreadable) {
	r.one.unreadable.add(exposure.Clean(fmt.Sprintf("unreadable: %s at byte %d: %s: %v", u.Origin, u.Offset, u.Reason, u.Err), 400))
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
