package batch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/sources/bucket"
)

// Found is what a scan keeps of what it reads: the events, and what could not
// be read.
type Found struct {
	Files      int64
	Stats      trail.Stats
	Events     []*trail.Event
	Unreadable Faults          // parts that were no CloudTrail, or damaged
	Failures   Faults          // files that could not be opened or read
	passed     passed          // what was not wanted
	ignored    []trail.Ignored // records of a watched name that are none, if asked for
}

// A Reading is what is to be read, and how.
type Reading struct {
	Paths      []string // files, folders, - and s3://…
	Wanted     bucket.Wanted
	Stdin      io.Reader
	Workers    int
	Bar        *output.Progress
	Checkpoint *Checkpoint // what was read before, and where it is noted; nil: nowhere
	Ignored    bool        // keep what is ignored, too
}

// Small objects of a bucket are fetched many at once, since most of the time of
// each is waiting, and then read from memory by as few as keep the cores busy.
const (
	ObjectsAtOnce = 64
	SmallObject   = 256 << 10
)

// inputsAhead is how many inputs are found before the first of them is read, so
// that the progress knows its end early.
const inputsAhead = 1 << 16

// Read reads what lies at paths, several files at once, until it is done or ctx
// is.
func Read(ctx context.Context, paths []string, stdin io.Reader, workers int, bar *output.Progress) *Found {
	return (&Reading{Paths: paths, Stdin: stdin, Workers: workers, Bar: bar}).Run(ctx)
}

// Run reads until all is read or ctx is done.
func (r *Reading) Run(ctx context.Context) *Found {
	all := &Found{}
	if r.Checkpoint != nil {
		all.merge(&r.Checkpoint.Found)
	}
	var mu sync.Mutex // guards all
	r.each(ctx, all, &mu, func(queue <-chan input) {
		w := &reader{ctx: ctx, scanner: trail.NewScanner(), bar: r.Bar}
		w.visitor = w
		if r.Ignored {
			w.visitor = explaining{w}
		}
		for i := range queue {
			if ctx.Err() != nil {
				continue
			}
			switch err := w.read(i); {
			case err == nil:
				r.Checkpoint.add(i, &w.one)
			case ctx.Err() == nil:
				w.Fail(err)
			}
			w.Found.merge(&w.one)
		}
		mu.Lock()
		defer mu.Unlock()
		all.merge(&w.Found)
	})
	return all
}

// each finds the inputs and has several calls of work take them from a queue to
// its end, which comes early if ctx is done. What is not wanted and what cannot be
// found goes into all, which mu guards meanwhile.
func (r *Reading) each(ctx context.Context, all *Found, mu *sync.Mutex, work func(queue <-chan input)) {
	inputs := inputs{
		paths: r.Paths, wanted: r.Wanted, stdin: r.Stdin,
		passed: func(why bucket.PassedOver, folder bool) {
			mu.Lock()
			defer mu.Unlock()
			all.passed.add(passedOver{why, folder}, 1)
		},
		failed: func(err error) {
			mu.Lock()
			defer mu.Unlock()
			all.Fail(err)
		},
	}
	found := make(chan input, inputsAhead)
	finding := make(chan struct{})
	inputs.found = func(i input) {
		if r.Checkpoint.has(i) {
			return
		}
		r.Bar.Expect(i.size)
		select {
		case found <- i:
		case <-ctx.Done():
		}
	}
	go func() {
		defer close(finding)
		defer close(found)
		defer r.Bar.Known()
		inputs.find(ctx)
	}()
	workers, queue := r.Workers, (<-chan input)(found)
	if slices.ContainsFunc(r.Paths, isBucket) {
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
	for range ObjectsAtOnce {
		fetching.Go(func() {
			for i := range found {
				if i.remote && i.size <= SmallObject {
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

// Fail keeps why a file could not be read. The names in it are anybody's.
func (f *Found) Fail(err error) { f.Failures.add(safetext.Clean(err.Error(), 1000)) }

func (f *Found) merge(g *Found) {
	f.Files += g.Files
	f.Stats.Add(g.Stats)
	f.Events = append(f.Events, g.Events...)
	f.Unreadable.merge(&g.Unreadable)
	f.Failures.merge(&g.Failures)
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
		texts = append(texts, fmt.Sprintf("%s (%s)", output.Count(n, noun), over.why))
	}
	slices.Sort(texts)
	return strings.Join(texts, ", ")
}

// A reader reads one input after the other. It is its scanner's visitor, and its
// reader, which ends with the context and moves the progress.
type reader struct {
	Found   // in all that was read
	one     Found
	ctx     context.Context
	scanner *trail.Scanner
	bar     *output.Progress
	body    io.Reader
	visitor trail.Visitor
}

// explaining is a reader that keeps what is ignored, too.
type explaining struct{ *reader }

func (r explaining) Ignored(i trail.Ignored) { r.one.ignored = append(r.one.ignored, i) }

// read reads one input to its end, into r.one. Its error is about the file; what
// lies in it and cannot be read is no error.
func (r *reader) read(i input) error {
	r.one = Found{}
	body, err := i.open(r.ctx)
	if err != nil {
		return unreadableInput(i, err)
	}
	defer body.Close()
	r.one.Files++
	r.body = body
	stats, err := r.scanner.Scan(trail.Place(i.place), r, r.visitor)
	r.one.Stats.Add(stats)
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
	return fmt.Errorf("cannot read %q: %w", i.place, config.WithoutPath(err))
}

func (r *reader) Event(e *trail.Event) { r.one.Events = append(r.one.Events, e) }

func (r *reader) Unreadable(u trail.Unreadable) {
	r.one.Unreadable.add(safetext.Clean(fmt.Sprintf("unreadable: %s at byte %d: %s: %v", u.Origin, u.Offset, u.Reason, u.Err), 400))
}

func (r *reader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.body.Read(b)
	r.bar.Add(n)
	return n, err
}

// Faults counts what could not be read, and keeps what sorts first of it, so that
// what is told does not depend on who read what.
type Faults struct {
	Total int64
	first []string
}

const maxFaults = 20

func (b *Faults) add(text string) {
	b.Total++
	i, _ := slices.BinarySearchFunc(b.first, text, strings.Compare)
	if i < maxFaults {
		b.first = slices.Insert(b.first, i, text)
		b.first = b.first[:min(len(b.first), maxFaults)]
	}
}

// Write names them on w.
func (b *Faults) Write(w io.Writer) {
	for _, text := range b.first {
		fmt.Fprintf(w, "mfawatch: %s\n", text)
	}
	if more := b.Total - int64(len(b.first)); more > 0 {
		fmt.Fprintf(w, "mfawatch: and %s more\n", output.Grouped(more))
	}
}

func (b *Faults) merge(c *Faults) {
	total := b.Total + c.Total
	for _, text := range c.first {
		b.add(text)
	}
	b.Total = total
}
