// Command mfawatch watches AWS CloudTrail for MFA devices being deactivated,
// follows each case until the user is protected again, and tells people and
// systems.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
)

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1 // something failed or could not be read; stderr names it
	exitUsage  = 2 // the command line or the configuration is wrong
)

func main() {
	limitMemory()
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ()))
}

// run is the whole program but for the process: it carries args out and returns
// the exit code. It listens to the process's signals while it runs.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, environ []string) int {
	p := &program{stdin: stdin, stdout: stdout, stderr: stderr, environ: environ}
	root := p.command()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	if !errors.Is(err, errTold) {
		fmt.Fprintf(stderr, "mfawatch: %v\n", err)
	}
	var mistake *config.Error
	switch {
	case errors.As(err, &mistake):
		return exitUsage
	case !p.started:
		fmt.Fprintf(stderr, "Try '%s --help'.\n", cmd.CommandPath())
		return exitUsage
	}
	return exitFailed
}

// errTold fails a command that has already said on stderr what went wrong.
var errTold = errors.New("failed")

// A program is what its surroundings give to the commands.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	environ        []string
	started        bool // a command has begun: an error is no mistake in the usage
}

func (p *program) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "mfawatch",
		Short: "Watch AWS CloudTrail for MFA devices being deactivated",
		Long: `mfawatch watches AWS CloudTrail for MFA devices being deactivated, follows each
case until the user is protected again, and tells people and systems.

To see what it does, with nothing to set up:   mfawatch demo
To look through a log that you have:           mfawatch scan PATH`,
		Example: `  mfawatch demo
  mfawatch scan /var/log/cloudtrail
  mfawatch run -c mfawatch.yaml`,
		SilenceUsage:      true,
		SilenceErrors:     true,
		DisableAutoGenTag: true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true}, // there is one of our own
		PersistentPreRun:  func(*cobra.Command, []string) { p.started = true },
		RunE: func(cmd *cobra.Command, _ []string) error {
			p.started = false
			return errors.New("no command given")
		},
	}
	root.AddCommand(p.demoCommand(), p.scanCommand(), p.replayCommand(), p.explainCommand(), p.runCommand(), p.pipeCommand(), p.checkCommand(),
		p.routesCommand(), p.renderCommand(), p.testAlertCommand(),
		p.deadLettersCommand(), p.quarantineCommand(), p.completionCommand(), p.versionCommand())
	completeFlags(root)
	return root
}
