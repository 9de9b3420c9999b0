package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/batch"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/build"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/sources/bucket"
	"github.com/mfawatch/mfawatch/sources/files"
)

// A scanRun holds the command line of a scan.
type scanRun struct {
	paths  []string
	format string
	span   batch.Range
	resume string
	failOn string
}

func (p *program) scanCommand() *cobra.Command {
	var s scanRun
	cmd := &cobra.Command{
		Use:   "scan PATH…",
		Short: "Find exposures in CloudTrail files and buckets",
		Long: `Read CloudTrail records and report who was without MFA, since when, by whom and for
how long. A PATH is a file, a folder, s3://bucket/prefix, or - for standard input.
Files may be .json or JSON lines, plain or compressed, as CloudTrail, a queue or a log
shipper wrote them.

The findings go to standard output: as a table on a terminal, else as one JSON
alert a line. A summary and every unreadable input go to standard error.
Exit code 1 if some input was unreadable; the rest is reported all the same. With
--fail-on SEVERITY exit code 3 if there is an alert of that severity or a higher one.

` + batch.RangeHelp + `
Every exposure that overlaps the range is reported in full.

S3 is accessed as AWS's own tools do: AWS_PROFILE, AWS_REGION and the other variables, the
files in ~/.aws, the role of the machine. It needs s3:ListBucket on the bucket,
s3:GetObject on its objects, and kms:Decrypt where they are encrypted with a key.

With --resume FILE the same command continues an interrupted scan. FILE records which
inputs were read and the watched records found; it is kept after the scan, so that the
same command later reads only new objects.`,
		Example: `  mfawatch scan AWSLogs/111122223333/CloudTrail
  mfawatch scan s3://my-trail-bucket/AWSLogs --since 7d --accounts 111122223333
  mfawatch scan s3://my-trail-bucket --since 2026-01-01 --until 2026-03-31 --resume quarter.scan
  mfawatch scan --fail-on high --since 1d s3://my-trail-bucket/AWSLogs
  mfawatch scan --format json trail.json.gz | jq .title
  aws s3 cp s3://bucket/key.json.gz - | mfawatch scan -`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("scan: no path given; want files, folders, s3://bucket/prefix or -")
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&s.format, "format", "", "`FORMAT` of the findings: table or json (default: table on a terminal, else json)")
	cmd.Flags().StringVar(&s.resume, "resume", "", "record progress in `FILE`, and continue from it")
	cmd.Flags().StringVar(&s.failOn, "fail-on", "", "exit with code 3 for an alert of this `SEVERITY` or a higher one: info, low, medium, high or critical")
	s.span.Add(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s.paths = args
		if s.format == "" {
			s.format = "json"
			if output.IsTerminal(p.stdout) {
				s.format = "table"
			}
		}
		wanted, wrong := s.span.Wanted(time.Now())
		wrong = append(wrong, config.OneOf("--format", s.format, "table", "json")...)
		if s.failOn != "" {
			wrong = append(wrong, config.OneOf("--fail-on", s.failOn, "info", "low", "medium", "high", "critical")...)
		}
		wrong = append(wrong, batch.PathMistakes(args)...)
		if s.resume != "" && slices.Contains(args, files.Stdin) {
			wrong = append(wrong, config.Mistake{Field: "--resume", Problem: "standard input cannot be read again; name files, folders or buckets"})
		}
		if wrong != nil {
			return config.Refuse("scan", wrong...)
		}
		ctx, stop := untilSignal(cmd.Context(), p.stderr)
		defer stop()
		return p.scan(ctx, &s, wanted)
	}
	return cmd
}

func (p *program) scan(ctx context.Context, s *scanRun, wanted bucket.Wanted) error {
	started := time.Now()
	r := batch.Reading{Paths: s.paths, Wanted: wanted, Stdin: p.stdin, Workers: runtime.GOMAXPROCS(0), Bar: output.NewProgress(p.stderr)}
	if s.resume != "" {
		var err error
		head := batch.CheckpointHead{Version: build.Read().Version, Paths: s.paths, Range: s.span}
		if r.Checkpoint, r.Wanted, err = batch.OpenCheckpoint(s.resume, head, wanted); err != nil {
			return err
		}
	}
	found := r.Run(ctx)
	r.Bar.Finish()
	if err := r.Checkpoint.Close(); err != nil {
		found.Fail(err)
	}
	history := batch.Touching(alerting.FoldUnder(exposure.DefaultPolicy(), batch.EventsWanted(found.Events, r.Wanted)), r.Wanted)
	alerts := history.Alerts()
	var err error
	if s.format == "table" {
		err = batch.WriteTable(p.stdout, batch.Rows(history), p.colours())
	} else {
		err = batch.WriteJSON(p.stdout, alerts)
	}
	if err != nil {
		return fmt.Errorf("write the findings: %w", err)
	}
	if output.IsTerminal(p.stdout) {
		fmt.Fprintln(p.stderr) // between the findings and the summary
	}
	if r.Checkpoint != nil && r.Checkpoint.Files > 0 {
		fmt.Fprintf(p.stderr, "%s read before, as %s says\n", output.Count(r.Checkpoint.Files, "file"), config.Clean(s.resume))
	}
	found.Summary(p.stderr, len(alerts), time.Since(started))
	failed := s.failOn != "" && p.reportSevere(alerts, exposure.Severity(s.failOn))
	switch {
	case ctx.Err() != nil && r.Checkpoint != nil:
		fmt.Fprintln(p.stderr, "mfawatch: interrupted: the records read so far are shown; the same command continues")
		return errReported
	case ctx.Err() != nil:
		fmt.Fprintln(p.stderr, "mfawatch: interrupted: the records read so far are shown")
		return errReported
	case failed:
		return errFound
	case found.Unreadable.Total > 0 || found.Failures.Total > 0:
		return errReported
	}
	return nil
}

// reportSevere reports whether an alert is at least so severe, and says how many
// are.
func (p *program) reportSevere(alerts []*processor.Alert, least exposure.Severity) bool {
	severe := int64(0)
	for _, a := range alerts {
		if slices.Index(exposure.Severities, a.Severity) >= slices.Index(exposure.Severities, least) {
			severe++
		}
	}
	if severe > 0 {
		fmt.Fprintf(p.stderr, "mfawatch: --fail-on %s: %s\n", least, output.Count(severe, "alert"))
	}
	return severe > 0
}

// colours reports whether standard output is a terminal, without NO_COLOR.
func (p *program) colours() bool {
	return output.IsTerminal(p.stdout) && !slices.ContainsFunc(p.environ, func(v string) bool {
		value, set := strings.CutPrefix(v, "NO_COLOR=")
		return set && value != ""
	})
}
