package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/errgroup"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// replay journals all of the records, and then runs the pipeline of the
// configuration until all is told. Nothing is folded before everything is read:
// what was over long ago must not be told as open because the objects were read
// in another order.
func (p *program) replay(ctx context.Context, c *Config, r *replayRun) error {
	fmt.Fprintf(p.stderr, "mfawatch: replay tells people and systems, now: what is found is sent to %s; --dry-run shows it first\n",
		strings.Join(slices.Sorted(maps.Keys(c.Sinks)), ", "))
	started := time.Now()
	log, level := newLogger(c.Log, p.stderr)
	reg := newRegistry()
	replayed := *c
	replayed.Sources = nil
	service, err := newPipeline(&replayed, surroundings{stdin: p.stdin, stdout: p.stdout, colours: p.colours(), log: log, level: level, metrics: reg}, reg)
	if err != nil {
		return err
	}
	bar := newProgress(p.stderr)
	feed := replayFeed{
		reading: reading{paths: r.paths, wanted: r.wanted, stdin: p.stdin, workers: runtime.GOMAXPROCS(0), bar: bar},
		handle:  service.handle,
	}
	found := feed.run(ctx)
	bar.finish()
	told := false
	if ctx.Err() == nil {
		told, err = tellAll(ctx, service)
	}
	if err = errors.Join(err, service.Close()); err != nil {
		return err
	}
	fmt.Fprintf(p.stderr, "%s replayed, %s in, %s; %s\n", count(found.files, "file"), byteSize(found.stats.Bytes),
		time.Since(started).Round(time.Millisecond), count(found.failures.total, "failure"))
	found.failed(p.stderr)
	unread := int64(unreadableParts(service)) // which the log names
	if unread > 0 {
		fmt.Fprintf(p.stderr, "mfawatch: %s could not be read; the rest was\n", count(unread, "part"))
	}
	switch {
	case !told:
		fmt.Fprintln(p.stderr, "mfawatch: interrupted: what was read is journalled, and told by the next start; the same command reads the rest")
		return errTold
	case found.failures.total > 0 || unread > 0:
		return errTold
	}
	fmt.Fprintln(p.stderr, "all of it is told")
	return nil
}

// tellAll runs the service until it has told all that can be told now, which it
// reports, or ctx is done.
func tellAll(ctx context.Context, service *pipeline) (told bool, err error) {
	running, stop := context.WithCancel(ctx)
	defer stop()
	g, running := errgroup.WithContext(running)
	g.Go(func() error { return service.Run(running) })
	g.Go(func() error {
		defer stop()
		err := service.journal.Idle(running)
		if running.Err() != nil {
			return nil // Run says why
		}
		told = err == nil
		return err
	})
	err = g.Wait()
	return told, err
}

// A replayFeed hands what a reading finds to a handler, each input as one
// delivery.
type replayFeed struct {
	reading
	handle processor.Handler

	mu    sync.Mutex
	found found // the files, the bytes and the failures
}

// run hands over everything once, and again what the handler refuses, until all
// is taken or ctx is done.
func (s *replayFeed) run(ctx context.Context) *found {
	s.each(ctx, &s.found, &s.mu, func(queue <-chan input) {
		for i := range queue {
			s.offer(ctx, i)
		}
	})
	return &s.found
}

// offer hands an input over until the handler takes it, or it cannot be read.
func (s *replayFeed) offer(ctx context.Context, i input) {
	waits := backoff.NewExponentialBackOff()
	for ctx.Err() == nil {
		body := &replayBody{ctx: ctx, bar: s.bar}
		r, err := i.open(ctx)
		if err == nil {
			body.r = r
			err = s.handle(ctx, processor.Delivery{Source: "replay", Parts: func(yield func(processor.Part, error) bool) {
				yield(processor.Part{Origin: trail.Place(i.place), Body: body}, nil)
			}})
			_ = r.Close() // read only
		} else {
			body.err = err
		}
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			s.note(found{files: 1, stats: trail.Stats{Bytes: body.n}}, nil)
			return
		case body.err != nil:
			s.note(found{}, unreadableInput(i, body.err))
			return
		case i.id == "":
			s.note(found{}, fmt.Errorf("%s cannot be read again: %w", i.place, err))
			return
		}
		timer := time.NewTimer(waits.NextBackOff()) // the journal cannot be written; it says why
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

func (s *replayFeed) note(f found, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found.merge(&f)
	if err != nil {
		s.found.fail(err)
	}
}

// A replayBody moves the progress, and remembers why it could not be read.
type replayBody struct {
	ctx context.Context
	bar *progress
	r   io.Reader
	n   int64
	err error
}

func (b *replayBody) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := b.r.Read(p)
	b.n += int64(n)
	b.bar.add(n)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}
