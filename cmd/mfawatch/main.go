// Command mfawatch watches AWS CloudTrail for deactivated MFA devices, follows each
// exposure until the user has MFA again, and alerts people and systems.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
)

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1 // something failed or could not be read; stderr names it
	exitUsage  = 2 // the command line or the configuration is wrong
	exitFound  = 3 // scan --fail-on found it
)

func main() {
	limitMemory()
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ()))
}

// run executes args and returns the exit code. It handles the signals of the
// process while it runs.
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
	if !errors.Is(err, errReported) && !errors.Is(err, errFound) {
		fmt.Fprintf(stderr, "mfawatch: %v\n", err)
	}
	var mistake *config.Error
	switch {
	case errors.Is(err, errFound):
		return exitFound
	case errors.As(err, &mistake):
		return exitUsage
	case !p.started:
		fmt.Fprintf(stderr, "Try '%s --help'.\n", cmd.CommandPath())
		return exitUsage
	}
	return exitFailed
}

// errReported fails a command that has already reported the failure on stderr.
var errReported = errors.New("failed")

// errFound fails a scan that found what --fail-on names, and has reported it.
var errFound = errors.New("found")

// A program holds the standard streams and the environment.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	environ        []string
	started        bool              // a command runs: its error is no usage error
	pipes          map[string][]byte // what pipes held, by path, once they were read
}

func (p *program) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "mfawatch",
		Short: "Watch AWS CloudTrail for deactivated MFA devices",
		Long: `mfawatch watches AWS CloudTrail for deactivated MFA devices, follows each exposure
until the user has MFA again, and alerts people and systems.

To see what it does, with nothing to set up:   mfawatch demo
To look through a log that you have:           mfawatch scan PATH`,
		Example: `  mfawatch demo
  mfawatch scan /var/log/cloudtrail
  mfawatch run -c mfawatch.yaml`,
		Version:           versionText(),
		SilenceUsage:      true,
		SilenceErrors:     true,
		DisableAutoGenTag: true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true}, // completion.go has one
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) (err error) {
			cmd.Flags().Visit(func(f *pflag.Flag) {
				if text := f.Value.String(); text == "" || text == "[]" { // such as of a variable that is not set
					err = fmt.Errorf("%s: --%s: want a value, or no --%s", cmd.Name(), f.Name, f.Name)
				}
			})
			p.started = err == nil
			return err
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			p.started = false
			return errors.New("no command given")
		},
	}
	root.AddCommand(p.demoCommand(), p.scanCommand(), p.replayCommand(), p.explainCommand(), p.initCommand(), p.runCommand(), p.reloadCommand(), p.topCommand(), p.pipeCommand(), p.checkCommand(),
		p.routesCommand(), p.renderCommand(), p.testAlertCommand(),
		p.exposuresCommand(), p.shardsCommand(), p.deadLettersCommand(), p.quarantineCommand(), p.journalCommand(), p.completionCommand(), p.manCommand(), p.versionCommand())
	root.SetVersionTemplate("{{.Version}}")
	root.InitDefaultVersionFlag()
	completeFlags(root)
	root.InitDefaultHelpCmd()
	help, _, _ := root.Find([]string{"help"})
	help.Args = func(_ *cobra.Command, words []string) error {
		cmd, rest, _ := root.Find(words)
		return knownCommand(cmd, rest)
	}
	return root
}
