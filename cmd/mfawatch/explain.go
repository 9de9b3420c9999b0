package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

func (p *program) explainCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "explain [-c FILE] PATH…",
		Short: "Say of each record what is made of it, and who would be told",
		Long: `Say of each record that names a watched event what is made of it: whether it counts,
and if not, the first test that it failed; the story of that person so far; how
severe the step is, and why; and, with a configuration, who would be told and when.
It is as if each record had come as it happened. Nothing is sent, nobody is asked
on the network. Paths are as for scan.`,
		Example: `  mfawatch explain -c mfawatch.yaml trail.json.gz
  mfawatch explain --format json - < record.json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("explain: no path given; want files, folders or -")
			}
			return nil
		},
	}
	path := configFlags(cmd.Flags())
	cmd.Flags().StringVar(&format, "format", "text", "`FORMAT` of what is said: text, or json for one record a line")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if wrong := oneOf("--format", format, "text", "json"); wrong != nil {
			return &configError{"explain", wrong}
		}
		c := &Config{settings: defaults()}
		if *path != "" {
			var err error
			if c, err = p.loadConfig(*path, cmd.Flags()); err != nil {
				return err
			}
		}
		ctx, stop := untilSignal(cmd.Context(), p.stderr)
		defer stop()
		return p.explain(ctx, c, args, format)
	}
	return cmd
}

func (p *program) explain(ctx context.Context, c *Config, paths []string, format string) error {
	router, err := c.router()
	if err != nil {
		return err
	}
	bar := newProgress(p.stderr)
	found := (&reading{paths: paths, stdin: p.stdin, workers: runtime.GOMAXPROCS(0), bar: bar, ignored: true}).run(ctx)
	bar.finish()
	explained := explainAll(found, c, router)
	for i, x := range explained {
		var err error
		if format == "json" {
			err = writeJSONLine(p.stdout, x)
		} else {
			err = x.write(p.stdout, i > 0)
		}
		if err != nil {
			return fmt.Errorf("write what is explained: %w", err)
		}
	}
	if len(explained)+int(found.failures.total+found.unreadable.total) == 0 {
		fmt.Fprintf(p.stderr, "mfawatch: none of %s names a watched event\n", count(found.stats.Records, "record"))
	}
	for _, list := range []*bad{&found.failures, &found.unreadable} {
		list.write(p.stderr)
	}
	if ctx.Err() != nil || found.failures.total+found.unreadable.total > 0 {
		return errTold
	}
	return nil
}
