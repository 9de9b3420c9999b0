package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (p *program) reloadCommand() *cobra.Command {
	var flags adminFlags
	cmd := &cobra.Command{
		Use:   "reload -c FILE",
		Short: "Have the running service read its configuration again",
		Long: `Have the running service read its configuration again, as SIGHUP does, and print what
it started, restarted and stopped. A configuration with a mistake is refused: the old
one stays in effect, and the exit code is 1.`,
		Example: "  mfawatch reload -c mfawatch.yaml",
		Args:    noArgument,
	}
	flags.addService(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		client, _, err := p.running(&flags)
		if err != nil {
			return err
		}
		ctx, stop := untilSignal(cmd.Context(), p.stderr)
		defer stop()
		changes, err := client.Reload(ctx)
		if err == nil {
			_, err = fmt.Fprintln(p.stdout, changes.String())
		}
		return withNextStep(err)
	}
	return cmd
}
