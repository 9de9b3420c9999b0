package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/message"
)

func (p *program) testAlertCommand() *cobra.Command {
	var name, severity string
	var resolve bool
	cmd := &cobra.Command{
		Use:   "test-alert [-c FILE]",
		Short: "Send a test alert through the sinks, and report the results",
		Long: `Send an alert that is marked as a test, about a user that does not exist, once
through every sink of the configuration, or one, and report the results. The alert
is real: it pages everybody whom an alert of that severity pages. With --resolve it
is resolved immediately. A running service is not affected.

Exit code 1 if a sink did not accept it.`,
		Example: `  mfawatch test-alert -c mfawatch.yaml --resolve
  mfawatch test-alert -c mfawatch.yaml --sink pager --severity critical`,
		Args: noArgument,
	}
	paths := config.AddConfig(cmd.Flags())
	cmd.Flags().StringVar(&name, "sink", "", "only through the sink with this `NAME`")
	cmd.Flags().StringVar(&severity, "severity", string(exposure.High), "`SEVERITY` of the test: info, low, medium, high or critical")
	cmd.Flags().BoolVar(&resolve, "resolve", false, "resolve it immediately")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := p.loadConfig(*paths, cmd.Flags())
		if err != nil {
			return err
		}
		if wrong := config.OneOf("--severity", severity, "info", "low", "medium", "high", "critical"); wrong != nil {
			return config.Refuse("test-alert", wrong...)
		}
		names := slices.Sorted(maps.Keys(c.Sinks))
		if name != "" {
			if c.Sinks[name] == nil {
				return noSuchSink(c, name)
			}
			names = []string{name}
		}
		ctx, stop := untilSignal(cmd.Context(), p.stderr)
		defer stop()
		alerts := testAlerts(rand.Reader, time.Now(), exposure.Severity(severity), resolve)
		if !p.testSinks(ctx, c, names, alerts) {
			return errReported
		}
		return nil
	}
	return cmd
}

// testAlerts returns the steps of a made-up exposure.
func testAlerts(random io.Reader, now time.Time, severity exposure.Severity, resolve bool) []*processor.Alert {
	var b [16]byte
	_, _ = io.ReadFull(random, b[:])
	id, at := hex.EncodeToString(b[:]), now.UTC().Truncate(time.Second)
	opened := message.SampleAlert()
	opened.ID, opened.Exposure, opened.Severity = id+"-opened", &id, severity
	opened.Time, opened.OpenedAt = at, &at
	if !resolve {
		return []*processor.Alert{opened}
	}
	resolved, how := *opened, exposure.Enabled
	resolved.ID, resolved.Step, resolved.Severity = id+"-resolved", exposure.Resolved, exposure.Info
	resolved.ResolvedAt, resolved.Resolution = &at, &how
	resolved.Title, resolved.Advice = "Test: mfawatch-test has MFA again in 000000000000", ""
	resolved.Summary = "This is the end of a test of mfawatch: nothing happened."
	return []*processor.Alert{opened, &resolved}
}

// testSinks sends the alerts through the sinks concurrently, and prints the
// results. It reports whether every sink accepted them.
func (p *program) testSinks(ctx context.Context, c *config.Config, names []string, alerts []*processor.Alert) bool {
	said, delivered := make([]string, len(names)), make([]bool, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		all.Go(func() { said[i], delivered[i] = testSink(ctx, c.Sinks[name], p.sinkDeps(c), alerts) })
	}
	all.Wait()
	width := 0
	for _, name := range names {
		width = max(width, len(name))
	}
	for i, name := range names {
		for line := range strings.Lines(said[i]) {
			fmt.Fprintf(p.stdout, "%-*s  %s", width, name, line)
		}
	}
	return !slices.Contains(delivered, false)
}

// testSink returns the results of one sink, a line for each alert. It stops at the
// first failure.
func testSink(ctx context.Context, c config.Sink, s config.Deps, alerts []*processor.Alert) (said string, delivered bool) {
	sink, err := c.Build(s)
	if err != nil {
		return fmt.Sprintf("cannot be built: %v\n", err), false
	}
	defer func() { _ = config.CloseSink(sink) }() // Send has returned each result
	var lines strings.Builder
	ref := ""
	for _, a := range alerts {
		began := time.Now()
		trying, cancel := context.WithTimeoutCause(ctx, c.Delivery().Timeout, fmt.Errorf("no answer within %s", c.Delivery().Timeout))
		newRef, err := sink.Send(trying, a, ref)
		cancel()
		if err != nil {
			verdict, _ := sinks.VerdictOf(err)
			fmt.Fprintf(&lines, "%-8s  NOT delivered (%s): %s\n", a.Step, verdict, safetext.Clean(err.Error(), 1000))
			return lines.String(), false
		}
		ref = newRef
		fmt.Fprintf(&lines, "%-8s  delivered in %s%s\n", a.Step, time.Since(began).Round(time.Millisecond), receipt(sink, ref))
	}
	return lines.String(), true
}

// receipt returns what the channel returned, in words.
func receipt(sink sinks.Sink, ref string) string {
	if r, ok := sink.(sinks.Receipter); ok {
		if text := r.Receipt(ref); text != "" {
			return ": " + safetext.Clean(text, 300)
		}
	}
	return ""
}
