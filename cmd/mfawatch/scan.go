package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/sources/bucket"
	"github.com/mfawatch/mfawatch/sources/files"
)

// A scanRun is what the command line of a scan says.
type scanRun struct {
	paths  []string
	format string
	span   rangeFlags
	resume string
}

func (p *program) scanCommand() *cobra.Command {
	var s scanRun
	cmd := &cobra.Command{
		Use:   "scan PATH…",
		Short: "Look through CloudTrail files and buckets and tell the exposures found",
		Long: `Look through CloudTrail records and tell who was without MFA, since when, by whom and
for how long. A PATH is a file, a folder, s3://bucket/prefix, or - for standard input.
Files may be .json or JSON lines, plain or compressed, as CloudTrail, a queue or a log
shipper wrote them.

The findings go to standard output: as a table on a terminal, else as one JSON
alert a line. What was read, and what could not be, goes to standard error.
Exit code 1 when something could not be read; the rest is told all the same.

` + rangeHelp + `
Told is what touches the range, each exposure with its begin and its end.

S3 is reached as AWS's own tools do: AWS_PROFILE, AWS_REGION and the other variables, the
files in ~/.aws, the role of the machine. What is needed is s3:ListBucket on the bucket,
s3:GetObject on its objects, and kms:Decrypt where they are encrypted with a key.

With --resume FILE a scan that was interrupted goes on where it was: give the same
command again. FILE keeps what was read and the records found in it; it stays when the
scan is done, so that the same command later reads only what is new.`,
		Example: `  mfawatch scan AWSLogs/111122223333/CloudTrail
  mfawatch scan s3://my-trail-bucket/AWSLogs --since 7d --accounts 111122223333
  mfawatch scan s3://my-trail-bucket --since 2026-01-01 --until 2026-03-31 --resume quarter.scan
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
	cmd.Flags().StringVar(&s.resume, "resume", "", "keep in `FILE` what was read, and go on from there")
	s.span.add(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s.paths = args
		if s.format == "" {
			s.format = "json"
			if isTerminal(p.stdout) {
				s.format = "table"
			}
		}
		wanted, wrong := s.span.wanted(time.Now())
		wrong = append(wrong, oneOf("--format", s.format, "table", "json")...)
		wrong = append(wrong, pathMistakes(args)...)
		if s.resume != "" && slices.Contains(args, files.Stdin) {
			wrong = append(wrong, mistake{"--resume", "standard input cannot be read again; name files, folders or buckets"})
		}
		if wrong != nil {
			return &configError{"scan", wrong}
		}
		ctx, stop := untilSignal(cmd.Context(), p.stderr)
		defer stop()
		return p.scan(ctx, &s, wanted)
	}
	return cmd
}

func (p *program) scan(ctx context.Context, s *scanRun, wanted bucket.Wanted) error {
	started := time.Now()
	r := reading{paths: s.paths, wanted: wanted, stdin: p.stdin, workers: runtime.GOMAXPROCS(0), bar: newProgress(p.stderr)}
	if s.resume != "" {
		var err error
		head := keptHead{Version: readBuild().version, Paths: s.paths, rangeFlags: s.span}
		if r.kept, r.wanted, err = openKept(s.resume, head, wanted); err != nil {
			return err
		}
	}
	found := r.run(ctx)
	r.bar.finish()
	if err := r.kept.Close(); err != nil {
		found.fail(err)
	}
	history := touching(exposure.DefaultPolicy().Fold(eventsWanted(found.events, r.wanted)), r.wanted)
	alerts := history.Alerts()
	var err error
	if s.format == "table" {
		err = writeTable(p.stdout, rows(history), p.colours())
	} else {
		err = writeJSON(p.stdout, alerts)
	}
	if err != nil {
		return fmt.Errorf("write the findings: %w", err)
	}
	if isTerminal(p.stdout) {
		fmt.Fprintln(p.stderr) // between the findings and the summary
	}
	if r.kept != nil && r.kept.files > 0 {
		fmt.Fprintf(p.stderr, "%s read before, as %s says\n", count(r.kept.files, "file"), clean(s.resume))
	}
	found.summary(p.stderr, len(alerts), time.Since(started))
	switch {
	case ctx.Err() != nil && r.kept != nil:
		fmt.Fprintln(p.stderr, "mfawatch: interrupted: this is what was read until then; the same command goes on from here")
		return errTold
	case ctx.Err() != nil:
		fmt.Fprintln(p.stderr, "mfawatch: interrupted: this is what was read until then")
		return errTold
	case found.unreadable.total > 0 || found.failures.total > 0:
		return errTold
	}
	return nil
}

// writeJSON writes one alert a line.
func writeJSON(w io.Writer, alerts []*processor.Alert) error {
	b := bufio.NewWriter(w)
	lines := json.NewEncoder(b)
	lines.SetEscapeHTML(false)
	for _, a := range alerts {
		if err := lines.Encode(a); err != nil {
			return err
		}
	}
	return b.Flush()
}

// summary says what was read, and what could not be.
func (f *found) summary(w io.Writer, alerts int, took time.Duration) {
	seconds := max(took.Seconds(), 1e-9)
	rate := float64(f.stats.Inflated) / seconds
	fmt.Fprintf(w, "%s, %s, %s in, %s inflated\n", count(f.files, "file"), count(f.stats.Records, "record"),
		byteSize(f.stats.Bytes), byteSize(f.stats.Inflated))
	fmt.Fprintf(w, "%s, %s, %s unreadable\n", count(int64(len(f.events)), "match"), count(int64(alerts), "alert"),
		count(f.unreadable.total+f.failures.total, "part"))
	fmt.Fprintf(w, "%s, %.1f MB/s inflated, %s records/s\n", took.Round(time.Millisecond), rate/1e6,
		grouped(int64(float64(f.stats.Records)/seconds)))
	f.failed(w)
}

// failed names what was not read, and why.
func (f *found) failed(w io.Writer) {
	if text := f.passed.String(); text != "" {
		fmt.Fprintf(w, "passed over: %s\n", text)
	}
	for _, list := range []*bad{&f.failures, &f.unreadable} {
		list.write(w)
	}
}

// count writes a number with its noun.
func count(n int64, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "ch"):
		noun += "e"
	}
	return grouped(n) + " " + noun + "s"
}

// grouped writes a number with commas between the thousands.
func grouped(n int64) string {
	digits := fmt.Sprint(n)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// byteSize writes a number of bytes with three digits or so.
func byteSize(n int64) string {
	size, unit := float64(n), "B"
	for _, next := range []string{"kB", "MB", "GB", "TB"} {
		if size < 1000 {
			break
		}
		size, unit = size/1000, next
	}
	if unit == "B" {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", size, unit)
}

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// colours reports whether standard output is a terminal whose user did not ask
// for plain text.
func (p *program) colours() bool {
	return isTerminal(p.stdout) && !slices.ContainsFunc(p.environ, func(v string) bool {
		value, set := strings.CutPrefix(v, "NO_COLOR=")
		return set && value != ""
	})
}
