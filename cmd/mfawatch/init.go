package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/mfawatch/mfawatch/deploy/examples"
)

func (p *program) initCommand() *cobra.Command {
	var path string
	kinds := []string{"s3", "kafka", "pipe", "files", "http", "organization"}
	cmd := &cobra.Command{
		Use:   "init [s3|kafka|pipe|files|http|organization]",
		Short: "Write a configuration to start from",
		Long: `Write a commented configuration to start from: of a trail's bucket (s3, the default), a
Kafka topic (kafka), a filter (pipe), followed files (files), records that are posted
(http), or an organization's trail with routes (organization). A file that exists is
not overwritten.`,
		Example: `  mfawatch init s3
  mfawatch init kafka --file /etc/mfawatch/mfawatch.yaml
  mfawatch init pipe --file -`,
		Args:      optional(oneArgument("kind of configuration", kinds...)),
		ValidArgs: kinds,
	}
	cmd.Flags().StringVar(&path, "file", defaultConfigs[0], "write to `FILE`, or - for standard output")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		kind := "s3"
		if len(args) == 1 {
			kind = args[0]
		}
		text, err := examples.Files.ReadFile(kind + ".yaml")
		if err != nil {
			return err
		}
		if path == "-" {
			_, err := p.stdout.Write(text)
			return err
		}
		if err := writeNew(path, text); err != nil {
			return err
		}
		then := "check " + path
		if kind == "pipe" { // it has no sources
			then = "pipe -c " + path
		}
		_, err = fmt.Fprintf(p.stdout, "wrote %s; edit it, then: mfawatch %s\n", path, then)
		return err
	}
	return cmd
}

// writeNew writes a file that does not exist yet.
func writeNew(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists; name another file with --file FILE, or - for standard output", path)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}
