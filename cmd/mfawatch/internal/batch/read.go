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

// Found is the result of a reading: the events, and what was unreadable.
type Found struct {
	Files      int64
	Stats      trail.Stats
	Events     []*trail.Event
	Unreadable Faults          // parts that are not CloudTrail, or damaged
	Failures   Faults          // files that could not be opened or read
	passed     passed          // inputs outside the selection
	ignored    []trail.Ignored // records of a watched name that do not count, with Reading.Ignored
}

// A Reading configures which inputs are read, and how.
type Reading struct {
	Paths      []string // files, folders, - and s3://…
	Wanted     bucket.Wanted
	Stdin      io.Reader
	Workers    int
	Bar        *output.Progress
	Checkpoint *Checkpoint // records progress; nil: none
	Ignored    bool        // keep ignored records, too
}

// Small objects of a bucket are fetched concurrently, since most of their time is
// waiting, and then scanned from memory by Workers readers.
const (
	concurrentObjects = 64
	smallObject       = 256 << 10
)

// inputsAhead bounds the inputs that are listed ahead of the readers, so that the
// progress knows its total early.
const inputsAhead = 1 << 16

// Read reads the inputs at paths concurrently, until all are read or ctx is done.
func Read(ctx context.Context, paths []string, stdin io.Reader, workers int, bar *output.Progress) *Found {
	return (&Reading{Paths: paths, Stdin: stdin, Workers: workers, Bar: bar}).Run(ctx)
}

// Run reads every input, until all are read or ctx is done.
func (r *Reading) Run(ctx context.Context) *Found {
	all := &Found{}
	if r.Checkpoint != nil {
		all.merge(&r.Checkpoint.Found)
	}
	var mu sync.Mutex // guards all
	r.each(ctx, all, &mu, func(queue <-chan *input) {
		w := &reader{ctx: ctx, scanner: trail.NewScanner(), bar: r.Bar}
		w.visitor = w
		if r.Ignored {
			w.visitor = explaining{w}
		}
		for i := range queue {
			if ctx.Err() != nil {
				continue
			}
			switch err := w.read(*i); {
			case err == nil:
				r.Checkpoint.add(*i, &w.one)
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

// each lists the inputs into a queue that several calls of work drain, until it is
// empty or ctx is done. Inputs outside the selection and failures go into all, which
// mu guards.
func (r *Reading) each(ctx context.Context, all *Found, mu *sync.Mutex, work func(queue <-chan *input)) {
	inputs := inputs{
		paths: r.Paths, wanted: r.Wanted, stdin: r.Stdin, sized: r.Checkpoint != nil || r.Bar.Shown(),
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
	found := make(chan *input, inputsAhead)
	finding := make(chan struct{})
	inputs.found = func(i input) {
		if r.Checkpoint.has(i) {
			return
		}
		r.Bar.Expect(i.size)
		select {
		case found <- &i:
		case <-ctx.Done():
		}
	}
	go func() {
		defer close(finding)
		defer close(found)
		defer r.Bar.Known()
		inputs.find(ctx)
	}()
	workers, queue := r.Workers, (<-chan *input)(found)
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

// fetched passes inputs on, small objects in memory.
func fetched(ctx context.Context, found <-chan *input) <-chan *input {
	ready := make(chan *input)
	var fetching sync.WaitGroup
	for range concurrentObjects {
		fetching.Go(func() {
			for i := range found {
				if i.remote && i.size <= smallObject {
					*i = i.fetch(ctx)
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

// Fail records why a file could not be read. Names in the error are untrusted.
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

// passed counts inputs outside the selection, by reason.
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

// String returns the counts: "12 objects (digest), 3 folders (other accounts)".
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

// A reader reads one input after the other. It is the visitor and the reader of its
// scanner, stops with the context, and counts progress.
type reader struct {
	Found   // of every input
	one     Found
	ctx     context.Context
	scanner *trail.Scanner
	bar     *output.Progress
	body    io.Reader
	visitor trail.Visitor
}

// explaining is a reader that keeps ignored records, too.
type explaining struct{ *reader }

func (r explaining) Ignored(i trail.Ignored) { r.one.ignored = append(r.one.ignored, i) }

// read reads one input to its end, into r.one. It fails if the file cannot be read;
// unreadable parts of its content are no error.
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

// unreadableInput adds the name of the input to an error.
func unreadableInput(i input, err error) error {
	if _, ok := errors.AsType[*bucket.ObjectError](err); ok { // it does
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

// Faults counts failures, and keeps those that sort first, so that the report does
// not depend on the order of reading.
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

// Write writes the failures to w.
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
