package main

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"
)

func (p *program) runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run -c FILE",
		Short: "Watch: read the sources, tell the sinks, until it is stopped",
		Long: `Watch: read the sources of the configuration, and tell its sinks.

SIGINT or SIGTERM ends it in order: no more is read, what was read is finished, and
what is being sent has the drain time; a second one ends it at once. Either way no
alert is lost. SIGHUP opens the files of sinks anew, after they were moved away.`,
		Example: `  mfawatch run -c mfawatch.yaml
  MFAWATCH_LOG__LEVEL=debug mfawatch run -c mfawatch.yaml --http-address 127.0.0.1:9500`,
		Args: cobra.NoArgs,
	}
	path := configFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := p.loadConfig(*path, cmd.Flags())
		if err != nil {
			return err
		}
		ctx, stop := untilSignal(cmd.Context(), p.stderr)
		defer stop()
		log := newLogger(c.Log, p.stderr)
		reg := newRegistry()
		service, err := newPipeline(c, surroundings{p.stdin, p.stdout, p.colours(), log, reg}, reg)
		if err != nil {
			return err
		}
		log.Info("mfawatch runs", "version", readBuild().version, "http", service.http.Addr(), "journal", c.Journal.Path,
			"sources", len(c.Sources), "sinks", len(c.Sinks))
		err = service.Run(ctx)
		if closed := service.Close(); err == nil && closed != nil {
			err = fmt.Errorf("the end: %w", closed)
		}
		if err == nil {
			log.Info("mfawatch has stopped")
		}
		return err
	}
	return cmd
}

func newLogger(c LogConfig, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Level)) // one of the four that the configuration allows
	options := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
