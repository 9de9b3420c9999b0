package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
)

// oneArgument accepts a single argument, which is one of words if there are any.
func oneArgument(want string, words ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return fmt.Errorf("%s: no %s given%s", cmd.Name(), want, config.Suggestion("", words))
		case len(args) > 1:
			return fmt.Errorf("%s: want one %s, got %d arguments", cmd.Name(), want, len(args))
		case words != nil && !slices.Contains(words, args[0]):
			return fmt.Errorf("%s: unknown %s %q%s", cmd.Name(), want, config.Bounded(args[0]), config.Suggestion(args[0], words))
		}
		return nil
	}
}

// noArgument refuses arguments, such as the configuration, which check alone accepts as one.
func noArgument(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	if cmd.Flags().Lookup("config") != nil {
		hint = "; name the configuration with -c FILE"
	}
	return fmt.Errorf("%s: want no argument, got %q%s", cmd.Name(), config.Bounded(args[0]), hint)
}

// optional accepts no argument, too.
func optional(args cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		if len(given) == 0 {
			return nil
		}
		return args(cmd, given)
	}
}

// knownCommand refuses a word that is no command of cmd, and lists those that are.
func knownCommand(cmd *cobra.Command, words []string) error {
	if len(words) == 0 {
		return nil
	}
	var names []string
	for _, sub := range cmd.Commands() {
		names = append(names, sub.Name())
	}
	return fmt.Errorf("unknown command %q for %q%s", config.Bounded(words[0]), cmd.CommandPath(), config.Suggestion(words[0], names))
}
