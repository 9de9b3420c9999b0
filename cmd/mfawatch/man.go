package main

import (
	"github.com/spf13/cobra"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/man"
)

func (p *program) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "man",
		Short:   "Print the manual page",
		Example: `  mfawatch man > /usr/local/share/man/man1/mfawatch.1`,
		Args:    noArgument,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return man.Write(p.stdout, cmd.Root())
		},
	}
}
