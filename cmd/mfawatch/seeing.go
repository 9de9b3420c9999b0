package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// A seeing is a command with others below it that all see to the same kind of
// thing.
type seeing struct {
	*program
	path, noun string
	flags      deskFlags
	format     string
	selection  selection
	stopped    bool // the service is
}

func (c *seeing) command(name, short, long string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   name,
		Short: short,
		Long: long + `

Where the service runs, it is asked over HTTP; where it is stopped, its journal is
opened. -c FILE finds out which; --address and --journal say it.`,
		Example: "  mfawatch " + name + " list -c mfawatch.yaml\n  mfawatch " + name + " retry --all -c mfawatch.yaml",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			c.started = false
			return fmt.Errorf("%s: no action given; want list, show, retry or drop", name)
		},
	}
	c.flags.add(cmd)
	return cmd
}

// at carries f out at the desk.
func (c *seeing) at(cmd *cobra.Command, f func(context.Context, *desk) error) error {
	if c.format == "" {
		c.format = "json"
		if isTerminal(c.stdout) {
			c.format = "table"
		}
	}
	if wrong := oneOf("--format", c.format, "table", "json"); wrong != nil {
		return &configError{cmd.CommandPath(), wrong}
	}
	d, err := c.openDesk(&c.flags)
	if err != nil {
		return err
	}
	c.stopped = d.journal != nil
	ctx, stop := untilSignal(cmd.Context(), c.stderr)
	defer stop()
	return errors.Join(f(ctx, d), d.Close())
}

func (c *seeing) formats(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.format, "format", "", "`FORMAT`: table or json (default: table on a terminal, else json)")
}

func (c *seeing) lister(short string, f func(context.Context, *desk, *seeing) error) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: short, Args: cobra.NoArgs}
	c.formats(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return c.at(cmd, func(ctx context.Context, d *desk) error { return f(ctx, d, c) })
	}
	return cmd
}

func (c *seeing) shower(short string, f func(context.Context, *desk, *seeing) (found []string, err error)) *cobra.Command {
	cmd := &cobra.Command{Use: "show ID…", Short: short, Args: c.wantIDs}
	c.formats(cmd)
	cmd.RunE = func(cmd *cobra.Command, ids []string) error {
		c.selection.ids = unique(ids)
		return c.at(cmd, func(ctx context.Context, d *desk) error {
			found, err := f(ctx, d, c)
			if err != nil {
				return err
			}
			return c.name(missing(c.selection.ids, found))
		})
	}
	return cmd
}

func (c *seeing) wantIDs(cmd *cobra.Command, ids []string) error {
	if len(ids) == 0 {
		return fmt.Errorf("%s: no ID given; want one or more of those that list shows", cmd.Name())
	}
	return nil
}

func (c *seeing) changer(name, short, method, suffix string, say func(outcome) string) *cobra.Command {
	cmd := &cobra.Command{Use: name + " ID…|--all", Short: short}
	cmd.Flags().BoolVar(&c.selection.all, "all", false, "all of them")
	cmd.Args = func(cmd *cobra.Command, ids []string) error {
		switch {
		case c.selection.all && len(ids) > 0:
			return fmt.Errorf("%s: want either IDs or --all, got both", name)
		case !c.selection.all && len(ids) == 0:
			return fmt.Errorf("%s: no ID given; want one or more of those that list shows, or --all", name)
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, ids []string) error {
		c.selection.ids = unique(ids)
		return c.at(cmd, func(ctx context.Context, d *desk) error {
			o, err := d.change(ctx, method, c.path+suffix, c.selection)
			if o.Done > 0 || err == nil {
				fmt.Fprintln(c.stdout, say(o))
			}
			if err != nil {
				return err
			}
			for _, id := range o.Still {
				fmt.Fprintf(c.stderr, "mfawatch: still cannot be read, and is kept: %s\n", clean(id))
			}
			err = c.name(o.Unknown)
			if len(o.Still) > 0 {
				err = errTold
			}
			return err
		})
	}
	return cmd
}

// name fails for IDs that nothing has.
func (c *seeing) name(unknown []string) error {
	for _, id := range unknown {
		fmt.Fprintf(c.stderr, "mfawatch: no %s has the ID %s\n", c.noun, clean(id))
	}
	if len(unknown) > 0 {
		return errTold
	}
	return nil
}

func unique(ids []string) []string { return slices.Compact(slices.Sorted(slices.Values(ids))) }

// writeFields writes what is known of one thing, and a text of several lines at
// the end, fit for a terminal.
func writeFields(w io.Writer, fields [][2]string, last string, text []byte) error {
	var b strings.Builder
	for _, f := range fields {
		fmt.Fprintf(&b, "%-9s %s\n", f[0], exposure.Clean(f[1], 1000))
	}
	b.WriteString(last + "\n")
	for l := range bytes.Lines(text) {
		l = bytes.TrimRight(l, "\r\n")
		fmt.Fprintf(&b, "  %s\n", exposure.Clean(string(l), 1<<20))
	}
	_, err := io.WriteString(w, b.String()+"\n")
	return err
}
