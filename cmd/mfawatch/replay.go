package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/batch"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/dryrun"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/sources/bucket"
)

// A replayRun is what the command line of a replay says.
type replayRun struct {
	paths  []string
	span   batch.Range
	wanted bucket.Wanted
	dry    bool
	format string
}

func (p *program) replayCommand() *cobra.Command {
	var r replayRun
	cmd := &cobra.Command{
		Use:   "replay -c FILE [--dry-run] PATH…",
		Short: "Feed a past range through the configuration, or show what it would have told",
		Long: `Feed CloudTrail records of the past through a configuration: its journal and its sinks.
A PATH is a file, a folder, s3://bucket/prefix, or - for standard input, read as scan
does; the sources of the configuration are left alone.

With --dry-run nothing is sent and nothing is written. It shows which alerts would have
been sent at the time, escalations included, when, to which sinks, and why they are as
severe as they are: as a table on a terminal, else as one JSON object a line. Records
count as read when their object was delivered, as its key says, else as they happened.

Without it PEOPLE ARE TOLD, now: what is open is told as open, what is over by now once,
with its end, and what happened long ago is marked late. What the journal knows already is
not told again. It ends when all is told. The service has to be stopped meanwhile, since
two processes cannot share a journal; interrupted, the rest is told by the next start of
either.

` + batch.RangeHelp + `
A file that was chosen is fed whole.`,
		Example: `  mfawatch replay -c mfawatch.yaml --dry-run --since 7d s3://my-trail-bucket/AWSLogs
  mfawatch replay -c mfawatch.yaml --since 2026-05-01 --until 2026-05-02 s3://my-trail-bucket`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("replay: no path given; want files, folders, s3://bucket/prefix or -")
			}
			return nil
		},
	}
	path := config.AddFlags(cmd.Flags())
	r.span.Add(cmd.Flags())
	cmd.Flags().BoolVar(&r.dry, "dry-run", false, "send nothing: show what would have been sent")
	cmd.Flags().StringVar(&r.format, "format", "", "with --dry-run: `FORMAT`, table or json (default: table on a terminal, else json)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		now := time.Now()
		var wrong []config.Mistake
		r.paths = args
		r.wanted, wrong = r.span.Wanted(now)
		wrong = append(wrong, batch.PathMistakes(args)...)
		switch {
		case r.format == "" && output.IsTerminal(p.stdout):
			r.format = "table"
		case r.format == "":
			r.format = "json"
		case !r.dry:
			wrong = append(wrong, config.Mistake{Field: "--format", Problem: "has no effect without --dry-run: the sinks say how alerts look"})
		}
		wrong = append(wrong, config.OneOf("--format", r.format, "table", "json")...)
		if wrong != nil {
			return config.Refuse("replay", wrong...)
		}
		c, err := p.loadConfig(*path, cmd.Flags())
		if err != nil {
			return err
		}
		ctx, stop := untilSignal(cmd.Context(), p.stderr)
		defer stop()
		if r.dry {
			return p.rehearsal(ctx, c, &r, now)
		}
		return p.replay(ctx, c, &r)
	}
	return cmd
}

// rehearsal shows what would have been sent.
func (p *program) rehearsal(ctx context.Context, c *config.Config, r *replayRun, now time.Time) error {
	started := time.Now()
	bar := output.NewProgress(p.stderr)
	reading := batch.Reading{Paths: r.paths, Wanted: r.wanted, Stdin: p.stdin, Workers: runtime.GOMAXPROCS(0), Bar: bar}
	found := reading.Run(ctx)
	bar.Finish()
	until := now
	if !r.wanted.Until.IsZero() && r.wanted.Until.Before(now) {
		until = r.wanted.Until
	}
	router, err := c.Router()
	if err != nil {
		return err
	}
	all := dryrun.Run(dryrun.Arrivals(found.Events, dryrun.Delivered), c.Policy(), until)
	dryrun.Simulate(all, router, c.People(), until)
	all = slices.DeleteFunc(all, func(s *dryrun.Alert) bool { return s.At.Before(r.wanted.Since) })
	sends := 0
	for _, s := range all {
		sends += len(s.To())
	}
	write := dryrun.WriteJSON
	if r.format == "table" {
		write = func(w io.Writer, all []*dryrun.Alert) error { return dryrun.WriteTable(w, all, p.colours()) }
	}
	if err := write(p.stdout, all); err != nil {
		return fmt.Errorf("write the rehearsal: %w", err)
	}
	if output.IsTerminal(p.stdout) {
		fmt.Fprintln(p.stderr)
	}
	found.Summary(p.stderr, len(all), time.Since(started))
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(p.stderr, "mfawatch: interrupted: this is what was read until then")
		return errTold
	case found.Unreadable.Total > 0 || found.Failures.Total > 0:
		return errTold
	}
	fmt.Fprintf(p.stderr, "nothing was sent: it would have been %s\n", output.Count(int64(sends), "message"))
	return nil
}
