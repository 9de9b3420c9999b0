package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

func (p *program) deadLettersCommand() *cobra.Command {
	c := &manageCommand{program: p, noun: "dead letter"}
	cmd := c.command("deadletters", "See to alerts that a sink was not told",
		`See to dead letters: alerts that a sink refused for good, or could not be told for
longer than its retry.age. They are kept until a person retries or drops them.`)
	cmd.PersistentFlags().StringVar(&c.selection.Sink, "sink", "", "those of one sink alone, by its `NAME`")
	cmd.AddCommand(
		c.lister("List the dead letters", p.listDead),
		c.shower("Show dead letters in full", p.showDead),
		c.changer("retry", "Send dead letters again, each to its sink", adminClient.RetryDeadLetters, func(o Outcome) string {
			text := count(int64(o.Done), "dead letter") + " put back to be sent"
			if c.stopped {
				text += ", at the next start"
			}
			return text
		}),
		c.changer("drop", "Drop dead letters for good", adminClient.DropDeadLetters, func(o Outcome) string {
			return count(int64(o.Done), "dead letter") + " dropped"
		}),
	)
	return cmd
}

var deadHead = []string{"ID", "SINK", "SEVERITY", "STEP", "ACCOUNT", "USER", "ATTEMPTS", "LAST (UTC)", "CAUSE"}

func (p *program) listDead(ctx context.Context, admin adminClient, c *manageCommand) error {
	var rows []row
	err := admin.ListDeadLetters(ctx, c.selection, func(l DeadLetter) error {
		if c.format == "json" {
			return writeJSONLine(p.stdout, l)
		}
		a := l.Alert
		if a == nil {
			return nil
		}
		rows = append(rows, row{a.Severity, l.Last, []string{cell(a.ID, 36), cell(l.Sink, 24), cell(string(a.Severity), 8), cell(string(a.Step), 10),
			cell(a.Account, 20), userName(deref(a.User), a.Root), fmt.Sprint(l.Attempts), l.Last.UTC().Format(time.DateTime), cell(l.Cause, 60)}})
		return nil
	})
	if err != nil || c.format == "json" {
		return err
	}
	if len(rows) == 0 {
		_, err := fmt.Fprintln(p.stdout, "no dead letters")
		return err
	}
	return writeCells(p.stdout, deadHead, rows, 2, p.colours())
}

func (p *program) showDead(ctx context.Context, admin adminClient, c *manageCommand) (found []string, err error) {
	err = admin.ListDeadLetters(ctx, c.selection, func(l DeadLetter) error {
		if l.Alert == nil {
			return nil
		}
		found = append(found, l.Alert.ID)
		if c.format == "json" {
			return writeJSONLine(p.stdout, l)
		}
		alert, err := json.MarshalIndent(l.Alert, "", "  ")
		if err != nil {
			return err
		}
		return writeFields(p.stdout, [][2]string{
			{"id", l.Alert.ID}, {"sink", l.Sink}, {"cause", l.Cause}, {"attempts", fmt.Sprint(l.Attempts)},
			{"first", l.First.UTC().Format(time.RFC3339)}, {"last", l.Last.UTC().Format(time.RFC3339)},
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
