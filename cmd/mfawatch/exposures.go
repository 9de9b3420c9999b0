package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/web"
	"github.com/mfawatch/mfawatch/processor/safetext"
)

func (p *program) exposuresCommand() *cobra.Command {
	c := &manageCommand{program: p, noun: "exposure", actions: "list, show or close"}
	cmd := c.command("exposures", "List, show and close exposures",
		`List the exposures that are open or of which the journal keeps an alert; show one with
its alerts and who was notified; close one that is open, with a name and a note.`)
	cmd.AddCommand(p.listExposuresCommand(c), p.showExposureCommand(c), p.closeExposureCommand(c))
	return cmd
}

func (p *program) listExposuresCommand(c *manageCommand) *cobra.Command {
	var open, suspect bool
	var rows []output.Row
	write := func(x web.Exposure) error {
		if c.format == "json" {
			return output.WriteJSONLine(p.stdout, x)
		}
		rows = append(rows, exposureRow(x, c.flags.locale))
		return nil
	}
	cmd := c.lister("List exposures, the one that opened last first", func(ctx context.Context, admin adminClient, c *manageCommand) error {
		f := web.ExposureFilter{Limit: 1000}
		if open {
			f.States = []string{web.StateOpen}
		}
		if suspect {
			f.States = []string{web.StateSuspect}
		}
		for page := (web.ExposurePage{Next: "first"}); page.Next != ""; f.After = page.Next {
			var err error
			if page, err = admin.ListExposures(ctx, f); err != nil {
				return err
			}
			for _, x := range page.Exposures {
				if err := write(x); err != nil {
					return err
				}
			}
		}
		switch {
		case c.format == "json":
			return nil
		case len(rows) == 0:
			_, err := fmt.Fprintln(p.stdout, "no exposures")
			return err
		}
		head := []string{"ID", "STATE", "SEVERITY", "ACCOUNT", "USER", c.flags.locale.Head("OPENED"), "LASTED", "ENDED BY"}
		return output.WriteCells(p.stdout, head, rows, 2, p.colours())
	})
	cmd.Flags().BoolVar(&open, "open", false, "only open ones, suspect ones included")
	cmd.Flags().BoolVar(&suspect, "suspect", false, "only suspect ones: a device came back, but an intruder may hold it")
	return cmd
}

func exposureRow(x web.Exposure, l output.Locale) output.Row {
	lasted := "-"
	switch {
	case x.ResolvedAt != nil:
		lasted = output.Span(x.ResolvedAt.Sub(x.OpenedAt))
	case x.State != web.StateReduced:
		lasted = output.Span(time.Since(x.OpenedAt)) + " so far"
	}
	return output.Row{Severity: x.Severity, Since: x.OpenedAt, Cells: []string{output.Cell(x.ID, 36), x.State, string(x.Severity), output.Cell(l.Account(x.AccountName, x.Account), 40),
		output.UserName(x.User, x.Root), l.Local(x.OpenedAt), lasted, output.Cell(x.Resolution, 20)}}
}

func (p *program) showExposureCommand(c *manageCommand) *cobra.Command {
	return c.shower("Show exposures with their alerts, and who was notified", func(ctx context.Context, admin adminClient, c *manageCommand) (found []string, err error) {
		for _, id := range c.selection.IDs {
			story, err := admin.ShowExposure(ctx, id)
			if missing := (web.NotFound{}); errors.As(err, &missing) {
				continue
			}
			if err != nil {
				return found, err
			}
			found = append(found, id)
			if c.format == "json" {
				err = output.WriteJSONLine(p.stdout, story)
			} else {
				err = p.writeStory(story, c.flags.locale)
			}
			if err != nil {
				return found, err
			}
		}
		return found, nil
	})
}

// writeStory writes an exposure and what was alerted of it, in order of time.
func (p *program) writeStory(s web.ExposureStory, l output.Locale) error {
	fields := [][2]string{
		{"id", s.ID}, {"state", s.State}, {"severity", string(s.Severity)}, {"account", l.Account(s.AccountName, s.Account)},
		{"user", output.UserName(s.User, s.Root)}, {"opened", l.In(s.OpenedAt).Format(time.RFC3339)},
	}
	if s.ResolvedAt != nil {
		fields = append(fields, [2]string{"resolved", l.In(*s.ResolvedAt).Format(time.RFC3339)}, [2]string{"ended by", s.Resolution})
	}
	if s.Campaign != "" {
		fields = append(fields, [2]string{"campaign", s.Campaign})
	}
	clean := func(text string) string { return safetext.Clean(text, 500) }
	var b bytes.Buffer
	for i := len(s.Alerts) - 1; i >= 0; i-- {
		r := s.Alerts[i]
		fmt.Fprintf(&b, "%s  %-9s %-8s %s\n", l.Local(r.Alert.Time), r.Alert.Step, r.Alert.Severity, clean(r.Alert.Title))
		fmt.Fprintf(&b, "    alert %s, event %s\n", clean(r.Alert.ID), clean(r.Alert.Event.ID))
		for _, d := range r.Deliveries {
			fmt.Fprintf(&b, "    %s: %s\n", d.Sink, clean(web.DeliveryText(d, l)))
		}
	}
	return output.WriteFields(p.stdout, fields, "alerts", b.Bytes())
}

func (p *program) closeExposureCommand(c *manageCommand) *cobra.Command {
	var closing web.Closing
	cmd := &cobra.Command{Use: "close ID --by NAME --note TEXT", Short: "Close an open exposure", Args: func(cmd *cobra.Command, ids []string) error {
		switch {
		case len(ids) != 1:
			return fmt.Errorf("close: want one ID of those in list, got %d", len(ids))
		case closing.By == "" || closing.Note == "":
			return errors.New("close: want --by NAME, who closes it, and --note TEXT, what was found")
		}
		return nil
	}}
	cmd.Flags().StringVar(&closing.By, "by", "", "the `NAME` of the person who closes it")
	cmd.Flags().StringVar(&closing.Note, "note", "", "the `TEXT` for the alert: what was found")
	cmd.RunE = func(cmd *cobra.Command, ids []string) error {
		c.changes = true
		return c.with(cmd, func(ctx context.Context, admin adminClient) error {
			err := admin.CloseExposure(ctx, ids[0], closing)
			if missing := (web.NotFound{}); errors.As(err, &missing) {
				return c.name(ids)
			}
			if err != nil {
				return err
			}
			text := "exposure " + config.Clean(ids[0]) + " closed"
			if c.stopped {
				text += "; its alert is sent after the next start"
			}
			_, err = fmt.Fprintln(p.stdout, text)
			return err
		})
	}
	return cmd
}
