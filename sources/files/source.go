package files

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/ownfile"
	"github.com/mfawatch/mfawatch/processor/status"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/sources"
)

// Config selects the files.
type Config struct {
	Paths  []string `koanf:"paths"`  // files, folders (see Walk), "-" for standard input
	Follow bool     `koanf:"follow"` // read on as files appear and grow
}

// Validate returns every mistake in c. The errors are joined, each of the form
// "field: problem". It does not check that the files exist.
func (c Config) Validate() error {
	var errs []error
	if len(c.Paths) == 0 {
		errs = append(errs, errors.New("paths: missing; want at least one file or folder, or - for standard input"))
	}
	stdin := 0
	for i, p := range c.Paths {
		if p == "" {
			errs = append(errs, fmt.Errorf("paths[%d]: empty; want a file or folder, or - for standard input", i))
		}
		if strings.Contains(p, "*") {
			errs = append(errs, fmt.Errorf("paths[%d]: want a file or folder, not a pattern; a folder is read with all below it, got %q", i, p))
		}
		if p == Stdin {
			if stdin++; stdin == 2 {
				errs = append(errs, fmt.Errorf("paths[%d]: want standard input only once", i))
			}
			if c.Follow {
				errs = append(errs, fmt.Errorf("paths[%d]: standard input is read to its end without follow; want files and folders with it", i))
			}
		}
	}
	return errors.Join(errs...)
}

// Source reads files, each once. One file is one delivery of one part, which is
// read as a stream. Several files are handled concurrently. Standard input and pipes
// may be endless: the documents available are one delivery.
type Source struct {
	// Stdin replaces standard input if it is set.
	Stdin io.Reader

	name        string
	config      Config
	log         *slog.Logger
	count       *sources.Counters
	metrics     *followMetrics // nil unless files are followed
	retry       sources.Backoff
	concurrency int
	offsets     sources.OffsetStore // nil: none are kept
	pathErrs    status.Status       // of the paths that are followed

	// Set otherwise by tests.
	settle, cutFor, hold, goneFor, turn time.Duration
	pollEvery, fullPollEvery, keepEvery time.Duration
	noHints                             bool
}

var _ sources.Source = (*Source)(nil)

// New returns the source called name. It opens nothing yet.
func New(name string, c Config, o sources.Options) (*Source, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	f := &Source{
		name:        name,
		config:      c,
		log:         o.Log(name),
		count:       sources.NewCounters(name, o.Registerer),
		retry:       sources.DefaultBackoff,
		concurrency: runtime.GOMAXPROCS(0),
		offsets:     o.Offsets,
		settle:      settleTime, cutFor: cutTime, hold: holdTime, goneFor: goneTime, turn: turnTime,
		pollEvery: pollTime, fullPollEvery: fullPollTime, keepEvery: keepTime,
	}
	if c.Follow {
		f.metrics = newFollowMetrics(name, o.Registerer)
	}
	return f, nil
}

// Run offers every file to h and returns at the end of the last one. An unreadable
// file does not affect the others: the error of Run joins one for each. A refused
// delivery is offered again until h acknowledges it. If ctx is done first, Run
// returns nil, and reads under way end with the context's error.
//
// With follow, Run reads files as they appear and grow until ctx is done. Offsets
// are stored in Options.Offsets after their deliveries were acknowledged. Run waits
// for missing paths: see Ready.
func (f *Source) Run(ctx context.Context, h processor.Handler) error {
	if f.config.Follow {
		return f.follow(ctx, h)
	}
	var (
		group errgroup.Group
		mu    sync.Mutex
		errs  []error
	)
	group.SetLimit(f.concurrency)
	failed := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		errs = append(errs, err)
	}
	for file, err := range Walk(f.config.Paths) {
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			failed(err)
			continue
		}
		group.Go(func() error {
			if err := f.read(ctx, file, h); err != nil {
				failed(err)
			}
			return nil
		})
	}
	_ = group.Wait() // each error was kept
	return errors.Join(errs...)
}

// Ready returns nil while all followed paths can be read.
func (f *Source) Ready() error { return f.pathErrs.Err() }

// read offers one file until h acknowledges it. It returns an error if the file
// cannot be read.
func (f *Source) read(ctx context.Context, file File, h processor.Handler) error {
	if file.Path == Stdin {
		return f.stream(ctx, file.Place(), cmp.Or[io.Reader](f.Stdin, os.Stdin), h)
	}
	if !file.Regular { // a named pipe, or whatever else is read to its end
		r := &opening{path: file.Path}
		defer r.leave()
		return f.stream(ctx, file.Place(), r, h)
	}
	_, unread := f.offer(ctx, file.Place(), trail.Place(file.Place()), h, func() (io.ReadCloser, error) { return ownfile.OpenRegular(file.Path) })
	if unread != nil && ctx.Err() == nil {
		return unreadable(file.Place(), unread)
	}
	return nil
}

// retryUntilAcked calls offer until it succeeds, or until ctx is done. It reports
// whether it did succeed.
func (f *Source) retryUntilAcked(ctx context.Context, place string, offer func() error) bool {
	waits := f.retry.Start()
	var failing status.Status
	for try := 0; ctx.Err() == nil; try++ {
		if try > 0 {
			f.count.Retries.Inc()
		}
		err := offer()
		if err == nil {
			return true
		}
		if failing.Set(err) && ctx.Err() == nil {
			f.log.Warn("delivery failed; it is offered again until it succeeds", "path", place, "err", err)
		}
		_ = sources.Sleep(ctx, waits.NextBackOff()) // the loop ends with ctx
	}
	return false
}

// deliver hands parts to h once.
func (f *Source) deliver(ctx context.Context, h processor.Handler, parts iter.Seq2[processor.Part, error]) error {
	err := h(ctx, processor.Delivery{Source: f.name, Parts: parts})
	f.count.Delivered(err)
	return err
}

// offer offers what open returns as one part, until h acknowledges it. It returns
// early with unread if that cannot be read, and if ctx is done.
func (f *Source) offer(ctx context.Context, path string, origin trail.Origin, h processor.Handler, open func() (io.ReadCloser, error)) (acked bool, unread error) {
	acked = f.retryUntilAcked(ctx, path, func() error {
		opened, err := open()
		if err != nil {
			unread = err
			return nil
		}
		defer opened.Close()
		body := &fileBody{ctx: ctx, r: opened}
		err = h(ctx, processor.Delivery{Source: f.name, Parts: processor.One(processor.Part{Origin: origin, Body: body})})
		f.count.Delivered(cmp.Or(err, body.err))
		if unread = body.err; unread != nil && ctx.Err() == nil {
			return nil
		}
		return err
	})
	return acked, unread
}

// A fileBody remembers why it could not be read, and ends when ctx is done.
type fileBody struct {
	ctx context.Context
	r   io.Reader
	err error
}

func (b *fileBody) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := b.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}
