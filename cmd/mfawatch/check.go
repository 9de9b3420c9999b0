package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
)

func (p *program) checkCommand() *cobra.Command {
	var whole, schema bool
	cmd := &cobra.Command{
		Use:   "check [FILE…]",
		Short: "Check a configuration",
		Long: `Check a configuration as run would, and start nothing. Exit code 2 and a line for each
mistake if run would refuse to start.

With --print the effective configuration, with environment, flags and defaults, is
printed as YAML with every secret hidden. With --schema the JSON Schema of
configurations is printed, for editors.

Values may hold ${NAME} or ${NAME:-default} for an environment variable, and
${file:PATH} for what a file holds; $${ stands for the characters ${.`,
		Example: `  mfawatch check
  mfawatch check mfawatch.yaml
  mfawatch check -c base.yaml -c production.yaml --print
  mfawatch check --schema > mfawatch.schema.json`,
	}
	paths := config.AddFlags(cmd.Flags())
	cmd.Flags().BoolVar(&whole, "print", false, "print the effective configuration")
	cmd.Flags().BoolVar(&schema, "schema", false, "print the JSON Schema of configurations")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if schema {
			return output.WriteJSONLine(p.stdout, config.Schema())
		}
		texts, err := p.configTexts(slices.Concat(*paths, args))
		if err != nil {
			return err
		}
		c, err := config.LoadTexts(texts, p.environ, cmd.Flags())
		if err != nil {
			return err
		}
		if err := c.TryAll(p.sinkDeps(c)); err != nil {
			return err
		}
		if whole {
			text, err := config.Effective(c)
			if err != nil {
				return err
			}
			_, err = p.stdout.Write(text)
			return err
		}
		_, err = fmt.Fprintf(p.stdout, "%s: ok, %s, %s\n", config.Names(texts), output.Count(int64(len(c.Sources)), "source"), output.Count(int64(len(c.Sinks)), "sink"))
		return err
	}
	return cmd
}
