package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
)

var shardHead = []string{"SHARD", "OWNER", "ADDRESS", "STATE", "RESTORED TO", "LEFT", "LAG", "OPEN", "PROBLEM"}

func (p *program) shardsCommand() *cobra.Command {
	c := &manageCommand{program: p}
	cmd := &cobra.Command{
		Use:   "shards",
		Short: "List the shards of replicas that share a journal",
		Long: `List the shards of a journal that replicas share: the replica that owns each, how far
it is restored and reads, and its open exposures. Any running replica is asked.`,
		Example: "  mfawatch shards -c mfawatch.yaml\n  mfawatch shards --address 127.0.0.1:9464 --format json",
		Args:    noArgument,
	}
	c.flags.addService(cmd)
	c.formats(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := c.chooseFormat(cmd); err != nil {
			return err
		}
		client, _, err := p.running(&c.flags)
		if err != nil {
			return err
		}
		ctx, stop := untilSignal(cmd.Context(), p.stderr)
		defer stop()
		list, err := client.ListShards(ctx)
		if err != nil {
			return withNextStep(err)
		}
		if c.format == "json" {
			return p.complete(client, output.WriteJSONLine(p.stdout, list))
		}
		if len(list.Shards) == 0 {
			_, err := fmt.Fprintln(p.stdout, "no shards: the journal is a file")
			return err
		}
		var rows []output.Row
		for _, s := range list.Shards {
			number := func(n int64) string { return strconv.FormatInt(n, 10) }
			offset := "-"
			if s.Offset >= 0 {
				offset = number(s.Offset)
			}
			rows = append(rows, output.Row{Cells: []string{number(int64(s.Partition)), output.Cell(s.Owner, 40), output.Cell(s.Address, 40), s.State, offset,
				number(s.ChangeLogLag), number(s.Lag), number(int64(s.Open)), output.Cell(s.Problem, 60)}})
		}
		return p.complete(client, output.WriteCells(p.stdout, shardHead, rows, -1, p.colours()))
	}
	return cmd
}
