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

	"github.com/mfawatch/mfawatch/sources"
)

// A replayRun is what the command line of a replay says.
type replayRun struct {
	paths  []string
	span   rangeFlags
	wanted sources.Wanted
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

` + rangeHelp + `
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
	path := configFlags(cmd.Flags())
	r.span.add(cmd.Flags())
	cmd.Flags().BoolVar(&r.dry, "dry-run", false, "send nothing: show what would have been sent")
	cmd.Flags().StringVar(&r.format, "format", "", "with --dry-run: `FORMAT`, table or json (default: table on a terminal, else json)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		now := time.Now()
		var wrong []mistake
		r.paths = args
		r.wanted, wrong = r.span.wanted(now)
		wrong = append(wrong, pathMistakes(args)...)
		switch {
		case r.format == "" && isTerminal(p.stdout):
			r.format = "table"
		case r.format == "":
			r.format = "json"
		case !r.dry:
			wrong = append(wrong, mistake{"--format", "has no effect without --dry-run: the sinks say how alerts look"})
		}
		wrong = append(wrong, oneOf("--format", r.format, "table", "json")...)
		if wrong != nil {
			return &configError{"replay", wrong}
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
func (p *program) rehearsal(ctx context.Context, c *Config, r *replayRun, now time.Time) error {
	started := time.Now()
	bar := newProgress(p.stderr)
	reading := reading{paths: r.paths, wanted: r.wanted, stdin: p.stdin, workers: runtime.GOMAXPROCS(0), bar: bar}
	found := reading.run(ctx)
	bar.finish()
	until := now
	if !r.wanted.Until.IsZero() && r.wanted.Until.Before(now) {
		until = r.wanted.Until
	}
	router, err := c.router()
	if err != nil {
		return err
	}
	all := rehearse(arrivals(found.events, delivered), c.policy(), until)
	simulate(all, router, c.people(), until)
	all = slices.DeleteFunc(all, func(s *saying) bool { return s.at.Before(r.wanted.Since) })
	sends := 0
	for _, s := range all {
		sends += len(s.to())
	}
	write := writeSayings
	if r.format == "table" {
		write = func(w io.Writer, all []*saying) error { return writeSayingTable(w, all, p.colours()) }
	}
	if err := write(p.stdout, all); err != nil {
		return fmt.Errorf("write the rehearsal: %w", err)
	}
	if isTerminal(p.stdout) {
		fmt.Fprintln(p.stderr)
	}
	found.summary(p.stderr, len(all), time.Since(started))
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(p.stderr, "mfawatch: interrupted: this is what was read until then")
		return errTold
	case found.unreadable.total > 0 || found.failures.total > 0:
		return errTold
	}
	fmt.Fprintf(p.stderr, "nothing was sent: it would have been %s\n", count(int64(sends), "message"))
	return nil
}
