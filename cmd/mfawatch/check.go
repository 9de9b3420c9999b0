package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/shard"
)

func (p *program) checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check -c FILE",
		Short: "Check a configuration and print the effective one, secrets hidden",
		Long: `Check a configuration as run would, and start nothing. With journal.type kafka the
cluster is asked for versions, topics and permissions. The effective configuration,
with environment, flags and defaults, is printed as YAML with every secret hidden.
Exit code 2 and a line for each mistake if run would refuse to start.`,
		Example: `  mfawatch check -c mfawatch.yaml`,
		Args:    cobra.NoArgs,
	}
	path := config.AddFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := p.loadConfig(*path, cmd.Flags())
		if err != nil {
			return err
		}
		if err := c.TryAll(p.sinkDeps(c)); err != nil {
			return err
		}
		if err := p.checkShared(cmd.Context(), c); err != nil {
			return err
		}
		text, err := config.Effective(c)
		if err != nil {
			return err
		}
		_, err = p.stdout.Write(text)
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

// loadConfig reads the configuration that -c names.
func (p *program) loadConfig(path string, flags *pflag.FlagSet) (*config.Config, error) {
	if path == "" {
		return nil, config.Refuse("-c", config.Mistake{Problem: "missing; want the configuration, as in -c mfawatch.yaml"})
	}
	return config.LoadFile(path, p.environ, flags)
}
