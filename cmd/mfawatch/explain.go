package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/batch"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/sources/bucket"
)

func (p *program) explainCommand() *cobra.Command {
	var format string
	var span batch.Range
	cmd := &cobra.Command{
		Use:   "explain [-c FILE] PATH…",
		Short: "Explain what becomes of each record, and which sinks get its alerts",
		Long: `Explain each record that names a watched event: whether it counts, and if not, the
first test that it failed; the history of the user so far; the severity of the step
with its reasons; and, if there is a configuration, which sinks would be sent it and when.
A record without an alert says why: MFA was never removed from the user, the exposure
waits for the grace, the call failed. Each record counts as delivered when it happened.
No alert is sent. Paths are as for scan.

` + batch.RangeHelp + `
Records before --since count for the history of a user as far as they are read.`,
		Example: `  mfawatch explain -c mfawatch.yaml trail.json.gz
  mfawatch explain -c mfawatch.yaml --since 2026-05-01 --until 2026-05-02 s3://my-trail-bucket
  mfawatch explain --format json - < record.json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("explain: no path given; want files, folders or -")
			}
			return nil
		},
	}
	paths := config.AddConfig(cmd.Flags())
	cmd.Flags().StringVar(&format, "format", "text", "`FORMAT` of the output: text, or json for one record a line")
	span.Add(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		wanted, wrong := span.Wanted(time.Now())
		wrong = append(wrong, config.OneOf("--format", format, "text", "json")...)
		wrong = append(wrong, batch.PathMistakes(args)...)
		if wrong != nil {
			return config.Refuse("explain", wrong...)
		}
		c := &config.Config{Settings: config.Defaults()}
		if len(*paths) > 0 || len(p.defaultConfig()) > 0 {
			var err error
			if c, err = p.loadConfig(*paths, cmd.Flags()); err != nil {
				return err
			}
		}
		ctx, stop := untilSignal(cmd.Context(), p.stderr)
		defer stop()
		return p.explain(ctx, c, args, wanted, format)
	}
	return cmd
}

func (p *program) explain(ctx context.Context, c *config.Config, paths []string, wanted bucket.Wanted, format string) error {
	router, err := c.Router()
	if err != nil {
		return err
	}
	bar := output.NewProgress(p.stderr)
	found := (&batch.Reading{Paths: paths, Wanted: wanted, Stdin: p.stdin, Workers: runtime.GOMAXPROCS(0), Bar: bar, Ignored: true}).Run(ctx)
	bar.Finish()
	found.Events = batch.EventsWanted(found.Events, wanted)
	locale := output.Locale{}
	if format == "text" {
		locale = c.Locale()
	}
	explained := batch.Within(batch.Explain(found, c, router, locale), wanted)
	for i, x := range explained {
		var err error
		if format == "json" {
			err = output.WriteJSONLine(p.stdout, x)
		} else {
			err = x.Write(p.stdout, i > 0, locale)
		}
		if err != nil {
			return fmt.Errorf("write the explanation: %w", err)
		}
	}
	if len(explained)+int(found.Failures.Total+found.Unreadable.Total) == 0 {
		fmt.Fprintf(p.stderr, "mfawatch: none of %s names a watched event\n", output.Count(found.Stats.Records, "record"))
	}
	for _, list := range []*batch.Faults{&found.Failures, &found.Unreadable} {
		list.Write(p.stderr)
	}
	if ctx.Err() != nil || found.Failures.Total+found.Unreadable.Total > 0 {
		return errReported
	}
	return nil
}
