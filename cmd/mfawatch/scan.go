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
)

func (p *program) scanCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "scan PATH…",
		Short: "Look through CloudTrail files and tell the exposures found",
		Long: `Look through files and folders of CloudTrail records and tell who was without MFA,
since when, by whom and for how long. Files may be .json or JSON lines, plain or
compressed, as CloudTrail, a queue or a log shipper wrote them; - is standard input.

The findings go to standard output: as a table on a terminal, else as one JSON
alert a line. What was read, and what could not be, goes to standard error.
Exit code 1 when something could not be read; the rest is told all the same.`,
		Example: `  mfawatch scan AWSLogs/111122223333/CloudTrail
  mfawatch scan --format json trail.json.gz | jq .title
  aws s3 cp s3://bucket/key.json.gz - | mfawatch scan -`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("scan: no path given; want files, folders or -")
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&format, "format", "", "`FORMAT` of the findings: table or json (default: table on a terminal, else json)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if format == "" {
			format = "json"
			if isTerminal(p.stdout) {
				format = "table"
			}
		}
		if wrong := oneOf("--format", format, "table", "json"); wrong != nil {
			return &configError{"scan", wrong}
		}
		ctx, stop := untilSignal(cmd.Context(), p.stderr)
		defer stop()
		return p.scan(ctx, args, format)
	}
	return cmd
}

func (p *program) scan(ctx context.Context, paths []string, format string) error {
	started := time.Now()
	bar := newProgress(p.stderr)
	found := read(ctx, paths, p.stdin, runtime.GOMAXPROCS(0), bar)
	bar.finish()
	history := exposure.DefaultPolicy().Fold(found.events)
	alerts := history.Alerts()
	var err error
	if format == "table" {
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
	found.summary(p.stderr, len(alerts), time.Since(started))
	switch {
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
