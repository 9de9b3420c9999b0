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

// A replayRun holds the command line of a replay.
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
		Use:   "replay [-c FILE] [--dry-run] PATH…",
		Short: "Run past records through a configuration, or show its alerts",
		Long: `Run CloudTrail records of the past through the journal and the sinks of a configuration.
A PATH is a file, a folder, s3://bucket/prefix, or - for standard input, read as scan
does; the sources of the configuration are not read.

With --dry-run nothing is sent and nothing is written. It shows which alerts would have
been sent, escalations included, when, to which sinks, and the reasons for their
severity: as a table on a terminal, else as one JSON object a line. Records arrive when
their object was delivered, as its key says, else when they happened.

Without it ALERTS ARE SENT, now, and the configuration must be named, with -c or
MFAWATCH_CONFIG: one that merely lies at a default place is not used. Open exposures are
sent as open, resolved ones once, with their resolution, and old steps marked late.
Alerts that the journal has already are not sent again. It stops when every alert is
delivered, and names the sinks it waits for. The service must be stopped, since two
processes cannot share a journal; after an interrupt the next start of either sends the
rest.

` + batch.RangeHelp + `
A file that is selected is read in full.`,
		Example: `  mfawatch replay -c mfawatch.yaml --dry-run --since 7d s3://my-trail-bucket/AWSLogs
  mfawatch replay -c mfawatch.yaml --since 2026-05-01 --until 2026-05-02 s3://my-trail-bucket`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("replay: no path given; want files, folders, s3://bucket/prefix or -")
			}
			return nil
		},
	}
	paths := config.AddFlags(cmd.Flags())
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
			wrong = append(wrong, config.Mistake{Field: "--format", Problem: "has no effect without --dry-run: sinks have formats of their own"})
		}
		wrong = append(wrong, config.OneOf("--format", r.format, "table", "json")...)
		if wrong != nil {
			return config.Refuse("replay", wrong...)
		}
		if found := p.defaultConfig(); !r.dry && len(*paths) == 0 && len(found) > 0 && config.Variable(p.environ, config.FileVariable) == "" {
			return config.Refuse("replay", config.Mistake{Field: "-c", Problem: "missing; replay sends alerts, so it does not choose a configuration: name it with -c " + found[0] +
				", or see with --dry-run what would be sent"})
		}
		c, err := p.loadConfig(*paths, cmd.Flags())
		if err != nil {
			return err
		}
		ctx, stop := untilSignal(cmd.Context(), p.stderr)
		defer stop()
		if r.dry {
			return p.dryRun(ctx, c, &r, now)
		}
		return p.replay(ctx, c, &r)
	}
	return cmd
}

// dryRun shows the alerts that would have been sent.
func (p *program) dryRun(ctx context.Context, c *config.Config, r *replayRun, now time.Time) error {
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
		write = func(w io.Writer, all []*dryrun.Alert) error {
			return dryrun.WriteTable(w, all, c.Locale(), p.colours())
		}
	}
	if err := write(p.stdout, all); err != nil {
		return fmt.Errorf("write the dry run: %w", err)
	}
	if output.IsTerminal(p.stdout) {
		fmt.Fprintln(p.stderr)
	}
	found.Summary(p.stderr, len(all), time.Since(started))
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(p.stderr, "mfawatch: interrupted: the records read so far are shown")
		return errReported
	case found.Unreadable.Total > 0 || found.Failures.Total > 0:
		return errReported
	}
	fmt.Fprintf(p.stderr, "nothing was sent: it would have been %s\n", output.Count(int64(sends), "message"))
	return nil
}
