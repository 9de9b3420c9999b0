package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/web"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal"
)

func (p *program) quarantineCommand() *cobra.Command {
	c := &manageCommand{program: p, noun: "quarantined record"}
	cmd := c.command("quarantine", "Manage watched records that could not be read",
		`Manage the quarantine: records that name a watched event and could not be read, and
messages that a source could not process. The journal keeps the first 500 of
each kind and source, or 8 MiB, for its retention.`)
	cmd.AddCommand(
		c.lister("List quarantined records", p.listQuarantine),
		c.shower("Show quarantined records in full", p.showQuarantine),
		c.changer("retry", "Read quarantined records again, such as after an upgrade", adminClient.RetryQuarantine, saidRetried),
		c.changer("drop", "Drop quarantined records permanently", adminClient.DropQuarantine, func(o web.Outcome) string {
			return output.Count(int64(o.Done), "record") + " dropped"
		}),
	)
	return cmd
}

// saidRetried says what was read again. Sources journal the events of messages, and
// do not say how many were new.
func saidRetried(o web.Outcome) string {
	var said []string
	if records := o.Done - o.Messages; records > 0 || o.Messages == 0 {
		said = append(said, output.Count(int64(records), "record")+" read, "+output.Count(int64(o.Events), "new event"))
	}
	if o.Messages > 0 {
		said = append(said, output.Count(int64(o.Messages), "message")+" read by the source, which journals the events")
	}
	return strings.Join(said, "; ")
}

func (p *program) listQuarantine(ctx context.Context, admin adminClient, c *manageCommand) error {
	var rows []output.Row
	err := admin.ListQuarantine(ctx, c.selection, func(r journal.Quarantined) error {
		if c.format == "json" {
			return output.WriteJSONLine(p.stdout, r)
		}
		rows = append(rows, output.Row{Severity: exposure.Medium, Since: r.Time, Cells: []string{output.Cell(r.ID, 36), c.flags.locale.Local(r.Time), output.Cell(r.Reason, 20),
			fmt.Sprint(len(r.Raw)), output.Cell(r.Origin, 50), fmt.Sprint(r.Offset), output.Cell(r.Err, 60)}})
		return nil
	})
	if err != nil || c.format == "json" {
		return err
	}
	if len(rows) == 0 {
		_, err := fmt.Fprintln(p.stdout, "no quarantined records")
		return err
	}
	head := []string{"ID", c.flags.locale.Head("KEPT"), "REASON", "BYTES", "ORIGIN", "OFFSET", "ERROR"}
	return output.WriteCells(p.stdout, head, rows, 2, p.colours())
}

func (p *program) showQuarantine(ctx context.Context, admin adminClient, c *manageCommand) (found []string, err error) {
	err = admin.ListQuarantine(ctx, c.selection, func(r journal.Quarantined) error {
		found = append(found, r.ID)
		if c.format == "json" {
			return output.WriteJSONLine(p.stdout, r)
		}
		return output.WriteFields(p.stdout, [][2]string{
			{"id", r.ID}, {"kept", c.flags.locale.In(r.Time).Format(time.RFC3339)}, {"origin", r.Origin}, {"offset", fmt.Sprint(r.Offset)},
			{"source", r.Source}, {"reason", r.Reason}, {"error", r.Err}, {"bytes", fmt.Sprint(len(r.Raw))},
		}, "record", r.Raw)
	})
	return found, err
}
