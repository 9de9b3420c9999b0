package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/web"
	"github.com/mfawatch/mfawatch/processor/safetext"
)

// A manageCommand is the parent of the list, show and other commands of one kind.
type manageCommand struct {
	*program
	noun      string
	actions   string // list, show, …
	flags     adminFlags
	format    string
	selection web.Selection
	changes   bool // the command changes something
	stopped   bool // the service is stopped
}

func (c *manageCommand) command(name, short, long string) *cobra.Command {
	example := "  mfawatch " + name + " list -c mfawatch.yaml"
	if c.actions == "" {
		c.actions = "list, show, retry or drop"
		example += "\n  mfawatch " + name + " retry --all -c mfawatch.yaml"
	}
	cmd := &cobra.Command{
		Use:   name,
		Short: short,
		Long: long + `

A running service is called over HTTP; the journal of a stopped one is opened.
-c FILE finds out which; --address, --journal and --brokers choose. Any replica of
several that share a journal answers for all. Where none can be reached, --brokers
reads the journal in the cluster; it changes something only while none runs.`,
		Example: example,
		Args:    knownCommand,
		RunE: func(*cobra.Command, []string) error {
			c.started = false
			return fmt.Errorf("%s: no action given; want %s", name, c.actions)
		},
	}
	c.flags.add(cmd)
	c.flags.addBrokers(cmd)
	return cmd
}

// with calls f with an admin client.
func (c *manageCommand) with(cmd *cobra.Command, f func(context.Context, adminClient) error) error {
	if err := c.chooseFormat(cmd); err != nil {
		return err
	}
	ctx, stop := untilSignal(cmd.Context(), c.stderr)
	defer stop()
	admin, stopped, err := c.openAdmin(ctx, &c.flags, c.changes)
	if err != nil {
		return err
	}
	if stopped == nil {
		return c.complete(admin, withNextStep(f(ctx, admin)))
	}
	c.stopped = true
	return errors.Join(f(ctx, admin), stopped.Close())
}

// chooseFormat chooses a table on a terminal, unless --format says otherwise.
func (c *manageCommand) chooseFormat(cmd *cobra.Command) error {
	if c.format == "" {
		c.format = "json"
		if output.IsTerminal(c.stdout) {
			c.format = "table"
		}
	}
	if wrong := config.OneOf("--format", c.format, "table", "json"); wrong != nil {
		return config.Refuse(cmd.Name(), wrong...)
	}
	return nil
}

// complete names the replicas and shards that are missing in the answers of a
// service, which is a failure.
func (p *program) complete(admin any, err error) error {
	client, ok := admin.(*web.Client)
	if !ok || len(client.Unanswered()) == 0 {
		return err
	}
	for _, missing := range client.Unanswered() {
		fmt.Fprintf(p.stderr, "mfawatch: no answer from %s\n", missing)
	}
	return cmp.Or(err, errReported)
}

func (c *manageCommand) formats(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.format, "format", "", "`FORMAT`: table or json (default: table on a terminal, else json)")
}

func (c *manageCommand) lister(short string, f func(context.Context, adminClient, *manageCommand) error) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: short, Args: noArgument}
	c.formats(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return c.with(cmd, func(ctx context.Context, admin adminClient) error { return f(ctx, admin, c) })
	}
	return cmd
}

func (c *manageCommand) shower(short string, f func(context.Context, adminClient, *manageCommand) (found []string, err error)) *cobra.Command {
	cmd := &cobra.Command{Use: "show ID…", Short: short, Args: c.wantIDs}
	c.formats(cmd)
	cmd.RunE = func(cmd *cobra.Command, ids []string) error {
		c.selection.IDs = unique(ids)
		return c.with(cmd, func(ctx context.Context, admin adminClient) error {
			found, err := f(ctx, admin, c)
			if err != nil {
				return err
			}
			return c.name(web.Missing(c.selection.IDs, found))
		})
	}
	return cmd
}

func (c *manageCommand) wantIDs(cmd *cobra.Command, ids []string) error {
	if len(ids) == 0 {
		return fmt.Errorf("%s: no ID given; want one or more of the IDs in list", cmd.Name())
	}
	return nil
}

func (c *manageCommand) changer(name, short string, change func(adminClient, context.Context, web.Selection) (web.Outcome, error), say func(web.Outcome) string) *cobra.Command {
	cmd := &cobra.Command{Use: name + " ID…|--all", Short: short}
	cmd.Flags().BoolVar(&c.selection.All, "all", false, "all of them")
	cmd.Args = func(cmd *cobra.Command, ids []string) error {
		switch {
		case c.selection.All && len(ids) > 0:
			return fmt.Errorf("%s: want either IDs or --all, got both", name)
		case !c.selection.All && len(ids) == 0:
			return fmt.Errorf("%s: no ID given; want one or more of the IDs in list, or --all", name)
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, ids []string) error {
		c.selection.IDs, c.changes = unique(ids), true
		return c.with(cmd, func(ctx context.Context, admin adminClient) error {
			o, err := change(admin, ctx, c.selection)
			if o.Done > 0 || err == nil {
				fmt.Fprintln(c.stdout, say(o))
			}
			if err != nil {
				return err
			}
			for _, id := range o.Still {
				fmt.Fprintf(c.stderr, "mfawatch: still unreadable, and kept: %s\n", config.Clean(id))
			}
			for _, why := range o.Failed {
				fmt.Fprintf(c.stderr, "mfawatch: %s\n", safetext.Line(why, 4<<10))
			}
			err = c.name(o.Unknown)
			if len(o.Still)+len(o.Failed) > 0 {
				err = errReported
			}
			return err
		})
	}
	return cmd
}

// name fails for unknown IDs, and names them.
func (c *manageCommand) name(unknown []string) error {
	for _, id := range unknown {
		fmt.Fprintf(c.stderr, "mfawatch: no %s has the ID %s\n", c.noun, config.Clean(id))
	}
	if len(unknown) > 0 {
		return errReported
	}
	return nil
}

func unique(ids []string) []string { return slices.Compact(slices.Sorted(slices.Values(ids))) }
