package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/shard"
)

func (p *program) checkCommand() *cobra.Command {
	var whole, schema bool
	cmd := &cobra.Command{
		Use:   "check [FILE…]",
		Short: "Check a configuration",
		Long: `Check a configuration as run would, and start nothing. With journal.type kafka the
cluster is asked for versions, topics and permissions. Exit code 2 and a line for each
mistake if run would refuse to start.

With --print the effective configuration, with environment, flags and defaults, is
printed as YAML with every secret hidden. With --schema the JSON Schema of
configurations is printed, for editors.

Values may hold ${NAME} or ${NAME:-default} for an environment variable, and
${file:PATH} for what a file holds; $${ stands for the characters ${.`,
		Example: `  mfawatch check
  mfawatch check mfawatch.yaml
  mfawatch check -c base.yaml -c production.yaml --print
  mfawatch check --schema > mfawatch.schema.json`,
	}
	paths := config.AddFlags(cmd.Flags())
	cmd.Flags().BoolVar(&whole, "print", false, "print the effective configuration")
	cmd.Flags().BoolVar(&schema, "schema", false, "print the JSON Schema of configurations")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if schema {
			return output.WriteJSONLine(p.stdout, config.Schema())
		}
		texts, err := p.configTexts(slices.Concat(*paths, args))
		if err != nil {
			return err
		}
		c, err := config.LoadTexts(texts, p.environ, cmd.Flags())
		if err != nil {
			return err
		}
		if err := c.TryAll(p.sinkDeps(c)); err != nil {
			return err
		}
		if err := p.checkShared(cmd.Context(), c); err != nil {
			return err
		}
		if whole {
			text, err := config.Effective(c)
			if err != nil {
				return err
			}
			_, err = p.stdout.Write(text)
			return err
		}
		_, err = fmt.Fprintf(p.stdout, "%s: ok, %s, %s\n", config.Names(texts), output.Count(int64(len(c.Sources)), "source"), output.Count(int64(len(c.Sinks)), "sink"))
		return err
	}
	return cmd
}

// checkShared asks the cluster of a shared journal for what is missing. A cluster
// that does not answer is no mistake of the configuration.
func (p *program) checkShared(ctx context.Context, c *config.Config) error {
	if c.Journal.Type != config.JournalKafka {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	err := shard.Check(ctx, c.Journal.Shared)
	switch {
	case errors.Is(err, shard.ErrRefused):
		return config.Refuse("journal", config.Mistake{Problem: err.Error()})
	case err != nil:
		fmt.Fprintf(p.stderr, "mfawatch: the cluster of the journal was not checked: %v\n", err)
	}
	return nil
}

// checkTimeout bounds the questions to a cluster.
const checkTimeout = 15 * time.Second

// wantFile refuses the shared journal for a command that ends with its input.
func wantFile(c *config.Config, command string) error {
	if c.Journal.Type == config.JournalFile {
		return nil
	}
	return config.Refuse("journal.type", config.Mistake{Problem: "is kafka, which mfawatch run alone uses: " + command + " wants a configuration with a journal file"})
}
