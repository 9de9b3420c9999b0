package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/shard"
	"github.com/mfawatch/mfawatch/processor/journal"
)

func (p *program) journalCopyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "copy -c FILE --from FILE|kafka --to kafka|FILE",
		Short: "Copy a journal file into Kafka, or back",
		Long: `Copy the journal of one replica into the Kafka cluster of a configuration with
journal.type kafka, or the shared journal into a file. The service is stopped, every
event is folded, and no alert is pending. The copy has the open exposures, the IDs of
events and alerts, the channels' references, dead letters and the quarantine.`,
		Example: `  mfawatch journal copy -c mfawatch.yaml --from mfawatch.db --to kafka
  mfawatch journal copy -c mfawatch.yaml --from kafka --to mfawatch.db`,
		Args: noArgument,
	}
	var from, to string
	paths := config.AddConfig(cmd.Flags())
	cmd.Flags().StringVar(&from, "from", "", "a journal `FILE`, or kafka")
	cmd.Flags().StringVar(&to, "to", "", "kafka, or a `FILE` that does not exist")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := p.loadConfig(*paths, nil)
		if err != nil {
			return err
		}
		if c.Journal.Type != config.JournalKafka {
			return config.Refuse("journal copy", config.Mistake{Field: "journal.type", Problem: "want kafka, the cluster that is copied to or from"})
		}
		if (from == config.JournalKafka) == (to == config.JournalKafka) || from == "" || to == "" {
			return config.Refuse("journal copy", config.Mistake{Field: "--from, --to", Problem: "want kafka for one and a journal file for the other"})
		}
		ctx, stop := untilSignal(cmd.Context(), p.stderr)
		defer stop()
		if err := copyJournal(ctx, c, from, to); err != nil {
			return err
		}
		fmt.Fprintf(p.stderr, "copied %s to %s\n", from, to)
		return nil
	}
	return cmd
}

func copyJournal(ctx context.Context, c *config.Config, from, to string) error {
	path, run := from, shard.Import
	if to != config.JournalKafka {
		path, run = to, shard.Export
	}
	if _, err := os.Stat(path); (err == nil) == (path == to) {
		return fmt.Errorf("journal %s: %w", path, cmp.Or(err, os.ErrExist))
	}
	j, err := journal.Open(path, journal.Options{Logger: slog.New(slog.DiscardHandler), Retention: c.Retention})
	if err != nil {
		return err
	}
	return errors.Join(run(ctx, c.Journal.Shared, c.Journal.Path, j), j.Close())
}
