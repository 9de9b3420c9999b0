package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/web"
)

func (p *program) runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run -c FILE",
		Short: "Watch: read the sources, tell the sinks, until it is stopped",
		Long: `Watch: read the sources of the configuration, and tell its sinks.

SIGINT or SIGTERM ends it in order: no more is read, what was read is finished, and
what is being sent has the drain time; a second one ends it at once. Either way no
alert is lost. SIGHUP reads the configuration again, and opens the files of sinks
anew, after they were moved away. A configuration with a mistake is refused, and
the one before stays in effect.`,
		Example: `  mfawatch run -c mfawatch.yaml
  MFAWATCH_LOG__LEVEL=debug mfawatch run -c mfawatch.yaml --http-address 127.0.0.1:9500`,
		Args: cobra.NoArgs,
	}
	path := config.AddFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := p.loadConfig(*path, cmd.Flags())
		if err != nil {
			return err
		}
		ctx, stop := untilSignal(cmd.Context(), p.stderr)
		defer stop()
		load := func() (*config.Config, error) { return p.loadConfig(*path, cmd.Flags()) }
		service, err := p.newServed(c, p.stdout, load)
		if err != nil {
			return err
		}
		service.log.Info("mfawatch runs", "version", web.ReadBuild().Version, "http", service.web.Addr(), "journal", c.Journal.Path,
			"sources", len(c.Sources), "sinks", len(c.Sinks))
		err = service.Run(ctx)
		if closed := service.Close(); err == nil && closed != nil {
			err = fmt.Errorf("the end: %w", closed)
		}
		if err == nil {
			service.log.Info("mfawatch has stopped")
		}
		return err
	}
	return cmd
}
