package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/batch"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
)

func (p *program) explainCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "explain [-c FILE] PATH…",
		Short: "Explain what becomes of each record, and which sinks get its alerts",
		Long: `Explain each record that names a watched event: whether it counts, and if not, the
first test that it failed; the history of the user so far; the severity of the step
with its reasons; and, with a configuration, which sinks would be sent it and when.
Each record counts as delivered when it happened. Nothing is sent over the network.
Paths are as for scan.`,
		Example: `  mfawatch explain -c mfawatch.yaml trail.json.gz
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
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if wrong := config.OneOf("--format", format, "text", "json"); wrong != nil {
			return config.Refuse("explain", wrong...)
		}
		c := &config.Config{Settings: config.Defaults()}
		if len(*paths) > 0 {
			var err error
			if c, err = p.loadConfig(*paths, cmd.Flags()); err != nil {
				return err
			}
		}
		ctx, stop := untilSignal(cmd.Context(), p.stderr)
		defer stop()
		return p.explain(ctx, c, args, format)
	}
	return cmd
}

func (p *program) explain(ctx context.Context, c *config.Config, paths []string, format string) error {
	router, err := c.Router()
	if err != nil {
		return err
	}
	bar := output.NewProgress(p.stderr)
	found := (&batch.Reading{Paths: paths, Stdin: p.stdin, Workers: runtime.GOMAXPROCS(0), Bar: bar, Ignored: true}).Run(ctx)
	bar.Finish()
	explained := batch.Explain(found, c, router)
	for i, x := range explained {
		var err error
		if format == "json" {
			err = output.WriteJSONLine(p.stdout, x)
		} else {
			err = x.Write(p.stdout, i > 0)
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
