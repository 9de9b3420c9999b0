package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
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
	service, err := newServed(&replayed, surroundings{stdin: p.stdin, stdout: p.stdout, colours: p.colours(), log: log, level: level, metrics: reg}, reg, nil)
	if err != nil {
		return err
	}
	bar := newProgress(p.stderr)
	feed := replayFeed{
		reading: reading{paths: r.paths, wanted: r.wanted, stdin: p.stdin, workers: runtime.GOMAXPROCS(0), bar: bar},
		handle:  service.Handle,
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
func tellAll(ctx context.Context, service *served) (told bool, err error) {
	running, stop := context.WithCancel(ctx)
	defer stop()
	g, running := errgroup.WithContext(running)
	g.Go(func() error { return service.Run(running) })
	g.Go(func() error {
		defer stop()
		err := service.Journal().Idle(running)
		if running.Err() != nil {
			return nil // Run says why
		}
		told = err == nil
		return err
	})
	err = g.Wait()
	return told, err
}
