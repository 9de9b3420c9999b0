package main

import (
	"maps"
	"slices"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/processor/ownfile"
)

func (p *program) completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish"}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Print the script that completes mfawatch's commands in a shell",
		Long: `Print the script that completes mfawatch's commands, flags and the names of sinks in
a shell. The names are read from the configuration that -c names.`,
		Example: `  mfawatch completion bash > /etc/bash_completion.d/mfawatch
  mfawatch completion zsh > "${fpath[1]}/_mfawatch"
  mfawatch completion fish > ~/.config/fish/completions/mfawatch.fish`,
		Args:      oneArgument("shell", shells...),
		ValidArgs: shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch root := cmd.Root(); args[0] {
			case "bash":
				return root.GenBashCompletionV2(p.stdout, true)
			case "zsh":
				return root.GenZshCompletion(p.stdout)
			default:
				return root.GenFishCompletion(p.stdout, true)
			}
		},
	}
}

// completeFlags registers the values of flags, for c and every command below it.
func completeFlags(c *cobra.Command) {
	words := func(words ...string) cobra.CompletionFunc {
		return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return words, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
		}
	}
	for flag, values := range map[string]cobra.CompletionFunc{
		"config": func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
		},
		"sink":       completeSink,
		"severity":   words("info", "low", "medium", "high", "critical"),
		"log-level":  words("debug", "info", "warn", "error"),
		"log-format": words("text", "json"),
	} {
		if c.LocalFlags().Lookup(flag) != nil {
			_ = c.RegisterFlagCompletionFunc(flag, values) // each flag once
		}
	}
	for _, sub := range c.Commands() {
		completeFlags(sub)
	}
}

// completeSink returns the names of the sinks of the configuration, valid or not.
func completeSink(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	none := cobra.ShellCompDirectiveNoFileComp
	paths, err := cmd.Flags().GetStringArray("config")
	if err != nil || len(paths) == 0 {
		return nil, none
	}
	text, err := ownfile.ReadRegular(paths[0], config.MaxText)
	if err != nil {
		return nil, none
	}
	var file struct {
		Sinks map[string]any `yaml:"sinks"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, none
	}
	return slices.Sorted(maps.Keys(file.Sinks)), none
}
