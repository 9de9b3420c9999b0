package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/top"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/web"
)

func (p *program) topCommand() *cobra.Command {
	var flags adminFlags
	var once bool
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show a running service live in a terminal",
		Long: `Show a running service live in a terminal: its health, open and suspect exposures by
severity and age, sinks, sources and shards with their last success. q or Ctrl-C ends it.
Times are in the time_zone of the service.

With --once, and where the output is no terminal, it is shown once as plain text.`,
		Example: `  mfawatch top -c mfawatch.yaml
  mfawatch top --address mfawatch.example.net:9464 --token-file token
  mfawatch top --once`,
		Args: noArgument,
	}
	flags.addService(cmd)
	cmd.Flags().BoolVar(&once, "once", false, "show it once and end")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		client, address, err := p.running(&flags)
		if err != nil {
			return err
		}
		ctx, stop := untilSignal(cmd.Context(), p.stderr)
		defer stop()
		look := func() (web.Overview, error) {
			ctx, cancel := context.WithTimeout(ctx, lookTimeout)
			defer cancel()
			o, err := client.Overview(ctx)
			return o, withNextStep(err)
		}
		o, err := look()
		if err != nil {
			return err
		}
		if !once && output.IsTerminal(p.stdout) {
			top.Screen{In: p.stdin, Out: p.stdout, Colours: p.colours()}.Live(ctx, address, o, look)
			return nil
		}
		_, err = fmt.Fprintln(p.stdout, strings.Join(top.Frame(o, address, "", top.Size{}, p.colours()), "\n"))
		return err
	}
	return cmd
}

// lookTimeout bounds one look at the service.
const lookTimeout = 10 * time.Second
