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

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/batch"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
)

// replay journals all of the records, and then runs the pipeline of the
// configuration until all is told. Nothing is folded before everything is read:
// what was over long ago must not be told as open because the objects were read
// in another order.
func (p *program) replay(ctx context.Context, c *config.Config, r *replayRun) error {
	fmt.Fprintf(p.stderr, "mfawatch: replay tells people and systems, now: what is found is sent to %s; --dry-run shows it first\n",
		strings.Join(slices.Sorted(maps.Keys(c.Sinks)), ", "))
	started := time.Now()
	replayed := *c
	replayed.Sources = nil
	service, err := p.newServed(&replayed, p.stdout, nil)
	if err != nil {
		return err
	}
	bar := output.NewProgress(p.stderr)
	feed := batch.Feed{
		Reading: batch.Reading{Paths: r.paths, Wanted: r.wanted, Stdin: p.stdin, Workers: runtime.GOMAXPROCS(0), Bar: bar},
		Handle:  service.Handle,
	}
	found := feed.Run(ctx)
	bar.Finish()
	told := false
	if ctx.Err() == nil {
		told, err = tellAll(ctx, service)
	}
	if err = errors.Join(err, service.Close()); err != nil {
		return err
	}
	fmt.Fprintf(p.stderr, "%s replayed, %s in, %s; %s\n", output.Count(found.Files, "file"), output.ByteSize(found.Stats.Bytes),
		time.Since(started).Round(time.Millisecond), output.Count(found.Failures.Total, "failure"))
	found.Failed(p.stderr)
	unread := int64(unreadableParts(service)) // which the log names
	if unread > 0 {
		fmt.Fprintf(p.stderr, "mfawatch: %s could not be read; the rest was\n", output.Count(unread, "part"))
	}
	switch {
	case !told:
		fmt.Fprintln(p.stderr, "mfawatch: interrupted: what was read is journalled, and told by the next start; the same command reads the rest")
		return errTold
	case found.Failures.Total > 0 || unread > 0:
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
