package main

import (
	"fmt"
	"io"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/build"
)

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version and the build of this binary",
		Args:  noArgument,
		RunE: func(*cobra.Command, []string) error {
			_, err := io.WriteString(p.stdout, versionText())
			return err
		},
	}
}

func versionText() string {
	b := build.Read()
	return fmt.Sprintf("mfawatch %s\n%s %s/%s, commit %s\n", b.Version, b.GoVersion, runtime.GOOS, runtime.GOARCH, b.Commit)
}
