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
	"github.com/mfawatch/mfawatch/processor/safetext"
)

// replay journals every record, then runs the pipeline until every alert is
// delivered. It folds nothing before everything is read, so that the order of the
// objects opens no exposure that ended long ago.
func (p *program) replay(ctx context.Context, c *config.Config, r *replayRun) error {
	if err := wantFile(c, "replay"); err != nil {
		return err
	}
	fmt.Fprintf(p.stderr, "mfawatch: replay sends alerts now, to %s; --dry-run shows them first\n",
		strings.Join(slices.Sorted(maps.Keys(c.Sinks)), ", "))
	started := time.Now()
	replayed := *c
	replayed.Sources = nil
	service, err := p.newServed(&replayed, p.stdout, nil)
	if err != nil {
		return err
	}
	before := deadLetters(service)
	bar := output.NewProgress(p.stderr)
	feed := batch.Feed{
		Reading: batch.Reading{Paths: r.paths, Wanted: r.wanted, Stdin: p.stdin, Workers: runtime.GOMAXPROCS(0), Bar: bar},
		Handle:  service.Handle,
	}
	found := feed.Run(ctx)
	bar.Finish()
	delivered := false
	if ctx.Err() == nil {
		delivered, err = p.deliverAll(ctx, service)
	}
	dead := deadLetters(service) - before
	if err = errors.Join(err, service.Close()); err != nil {
		return err
	}
	fmt.Fprintf(p.stderr, "%s replayed, %s in, %s; %s\n", output.Count(found.Files, "file"), output.ByteSize(found.Stats.Bytes),
		time.Since(started).Round(time.Millisecond), output.Count(found.Failures.Total, "failure"))
	found.Failed(p.stderr)
	unread := int64(unreadableParts(service)) // named in the log
	if unread > 0 {
		fmt.Fprintf(p.stderr, "mfawatch: %s could not be read; the rest was\n", output.Count(unread, "part"))
	}
	if dead > 0 {
		fmt.Fprintf(p.stderr, "mfawatch: %s\n", saidDead(dead, c))
	}
	switch {
	case !delivered:
		fmt.Fprintln(p.stderr, "mfawatch: interrupted: the records read so far are journalled, and the next start sends their alerts; the same command reads the rest")
		return errReported
	case found.Failures.Total > 0 || unread > 0 || dead > 0:
		return errReported
	}
	fmt.Fprintln(p.stderr, "every alert is delivered")
	return nil
}

// replayReport is how often replay reports the alerts that are still pending.
var replayReport = 10 * time.Second

// deliverAll runs the service until every alert that is due was delivered, which
// it reports, or ctx is done.
func (p *program) deliverAll(ctx context.Context, service *served) (delivered bool, err error) {
	running, stop := context.WithCancel(ctx)
	defer stop()
	g, running := errgroup.WithContext(running)
	g.Go(func() error { return service.Run(running) })
	g.Go(func() error {
		started, report := time.Now(), time.NewTicker(replayReport)
		defer report.Stop()
		for {
			select {
			case <-running.Done():
				return nil
			case <-report.C:
				p.reportPending(service, time.Since(started))
			}
		}
	})
	g.Go(func() error {
		defer stop()
		err := service.Journal().Idle(running)
		if running.Err() != nil {
			return nil // Run returns why
		}
		delivered = err == nil
		return err
	})
	err = g.Wait()
	return delivered, err
}

// reportPending writes a line for each sink with pending alerts: how many, for how
// long, and why.
func (p *program) reportPending(service *served, waited time.Duration) {
	st, err := service.Stats()
	if err != nil {
		return // closed: Run returns why
	}
	problems := map[string]error{}
	service.Ready(func(part string, err error) bool { problems[part] = err; return true })
	for _, name := range service.Sinks() {
		pending := st.Sinks[name].Pending
		if pending == 0 {
			continue
		}
		why := ""
		if err := problems["sink "+name]; err != nil {
			why = ": " + safetext.Clean(err.Error(), 500)
		}
		fmt.Fprintf(p.stderr, "mfawatch: sink %s: %s pending after %s%s\n", name, output.Count(int64(pending), "alert"), waited.Round(time.Millisecond), why)
	}
}
