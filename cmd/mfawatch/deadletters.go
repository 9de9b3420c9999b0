package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/web"
)

func (p *program) deadLettersCommand() *cobra.Command {
	c := &manageCommand{program: p, noun: "dead letter"}
	cmd := c.command("deadletters", "Manage alerts that a sink did not accept",
		`Manage dead letters: alerts that a sink refused permanently, or that could not be
delivered within its retry.age. They are kept until a person retries or drops them.`)
	cmd.PersistentFlags().StringVar(&c.selection.Sink, "sink", "", "only those of the sink with this `NAME`")
	cmd.AddCommand(
		c.lister("List the dead letters", p.listDead),
		c.shower("Show dead letters in full", p.showDead),
		c.changer("retry", "Send dead letters again, each to its sink", adminClient.RetryDeadLetters, func(o web.Outcome) string {
			text := output.Count(int64(o.Done), "dead letter") + " requeued"
			if c.stopped {
				text += ", at the next start"
			}
			return text
		}),
		c.changer("drop", "Drop dead letters permanently", adminClient.DropDeadLetters, func(o web.Outcome) string {
			return output.Count(int64(o.Done), "dead letter") + " dropped"
		}),
	)
	return cmd
}

func (p *program) listDead(ctx context.Context, admin adminClient, c *manageCommand) error {
	locale := c.flags.locale
	var rows []output.Row
	err := admin.ListDeadLetters(ctx, c.selection, func(l web.DeadLetter) error {
		if c.format == "json" {
			return output.WriteJSONLine(p.stdout, l)
		}
		a := l.Alert
		if a == nil {
			return nil
		}
		rows = append(rows, output.Row{Severity: a.Severity, Since: l.Last, Cells: []string{output.Cell(a.ID, 36), output.Cell(l.Sink, 24), output.Cell(string(a.Severity), 8), output.Cell(string(a.Step), 10),
			output.Cell(locale.Account(a.AccountName, a.Account), 40), output.UserName(deref(a.User), a.Root), fmt.Sprint(l.Attempts), locale.Local(l.Last), output.Cell(l.Cause, 60)}})
		return nil
	})
	if err != nil || c.format == "json" {
		return err
	}
	if len(rows) == 0 {
		_, err := fmt.Fprintln(p.stdout, "no dead letters")
		return err
	}
	head := []string{"ID", "SINK", "SEVERITY", "STEP", "ACCOUNT", "USER", "ATTEMPTS", locale.Head("LAST"), "CAUSE"}
	return output.WriteCells(p.stdout, head, rows, 2, p.colours())
}

func (p *program) showDead(ctx context.Context, admin adminClient, c *manageCommand) (found []string, err error) {
	locale := c.flags.locale
	err = admin.ListDeadLetters(ctx, c.selection, func(l web.DeadLetter) error {
		if l.Alert == nil {
			return nil
		}
		found = append(found, l.Alert.ID)
		if c.format == "json" {
			return output.WriteJSONLine(p.stdout, l)
		}
		alert, err := json.MarshalIndent(l.Alert, "", "  ")
		if err != nil {
			return err
		}
		return output.WriteFields(p.stdout, [][2]string{
			{"id", l.Alert.ID}, {"sink", l.Sink}, {"cause", l.Cause}, {"attempts", fmt.Sprint(l.Attempts)},
			{"first", locale.In(l.First).Format(time.RFC3339)}, {"last", locale.In(l.Last).Format(time.RFC3339)},
			{"title", l.Alert.Title},
		}, "alert", alert)
	})
	return found, err
}

func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
