package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version and what this binary was built from",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b := readBuild()
			_, err := fmt.Fprintf(p.stdout, "mfawatch %s\n%s %s/%s, commit %s\n", b.version, b.goVersion, runtime.GOOS, runtime.GOARCH, b.commit)
			return err
		},
	}
}
