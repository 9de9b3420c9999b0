package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
)

func (p *program) checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check -c FILE",
		Short: "Check a configuration and print the effective one, secrets hidden",
		Long: `Check a configuration as run would, and start nothing. The effective configuration,
with environment, flags and defaults, is printed as YAML with every secret hidden.
Exit code 2 and a line for each mistake if run would refuse to start.`,
		Example: `  mfawatch check -c mfawatch.yaml`,
		Args:    cobra.NoArgs,
	}
	path := config.AddFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := p.loadConfig(*path, cmd.Flags())
		if err != nil {
			return err
		}
		if err := c.TryAll(p.sinkDeps(c)); err != nil {
			return err
		}
		text, err := config.Effective(c)
		if err != nil {
			return err
		}
		_, err = p.stdout.Write(text)
		return err
	}
	return cmd
}

// loadConfig reads the configuration that -c names.
func (p *program) loadConfig(path string, flags *pflag.FlagSet) (*config.Config, error) {
	if path == "" {
		return nil, config.Refuse("-c", config.Mistake{Problem: "missing; want the configuration, as in -c mfawatch.yaml"})
	}
	return config.LoadFile(path, p.environ, flags)
}
