package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/build"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
)

func (p *program) runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run [-c FILE]",
		Short: "Read the sources and alert the sinks until stopped",
		Long: `Read the sources of the configuration and send alerts to its sinks until stopped.

SIGINT or SIGTERM stops it in order: sources stop, deliveries in progress finish, and
sends in flight get shutdown_timeout. A second signal stops it immediately. Either way
no alert is lost. SIGHUP reloads the configuration and reopens the files of sinks after
they were moved away. An invalid configuration is refused, and the old one stays in
effect.`,
		Example: `  mfawatch run -c mfawatch.yaml
  MFAWATCH_LOG__LEVEL=debug mfawatch run -c mfawatch.yaml --http-address 127.0.0.1:9500`,
		Args: noArgument,
	}
	paths := config.AddFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := p.loadConfig(*paths, cmd.Flags())
		if err != nil {
			return err
		}
		ctx, stop := untilSignal(cmd.Context(), p.stderr)
		defer stop()
		load := func() (*config.Config, error) { return p.loadConfig(*paths, cmd.Flags()) }
		service, err := p.newServed(c, p.stdout, load)
		if err != nil {
			return err
		}
		service.log.Info("mfawatch runs", "version", build.Read().Version, "http", service.web.Addr(), "journal", c.Journal.Path,
			"sources", len(c.Sources), "sinks", len(c.Sinks))
		stopped := exitAfter(ctx, func() time.Duration { return service.Config().ShutdownTimeout + closeTimeout }, func() {
			service.log.Error("the service did not stop within shutdown_timeout; deliveries without acknowledgement are offered again")
			os.Exit(exitFailed)
		})
		defer stopped()
		err = service.Run(ctx)
		if closed := service.Close(); err == nil && closed != nil {
			err = fmt.Errorf("close: %w", closed)
		}
		if err == nil {
			service.log.Info("mfawatch has stopped")
		}
		return err
	}
	return cmd
}
