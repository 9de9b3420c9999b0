package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/batch"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/message"
)

func (p *program) renderCommand() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "render [-c FILE] --sink NAME [PATH]",
		Short: "Show what a sink would send, and send nothing",
		Long: `Show what a sink of the configuration would send of each alert in PATH: alerts as
JSON lines, as scan and the file sink write them, or CloudTrail records, of which
the alerts are made first. Without PATH it is a test alert, about no user. Secrets
are hidden; nothing is sent over the network.`,
		Example: `  mfawatch render -c mfawatch.yaml --sink mail
  mfawatch render -c mfawatch.yaml --sink chat alerts.jsonl`,
		Args: optional(oneArgument("PATH")),
	}
	paths := config.AddConfig(cmd.Flags())
	cmd.Flags().StringVar(&name, "sink", "", "the sink, by its `NAME`")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := p.loadConfig(*paths, cmd.Flags())
		if err != nil {
			return err
		}
		if name == "" && len(c.Sinks) == 1 {
			for name = range c.Sinks {
			}
		}
		if c.Sinks[name] == nil {
			return noSuchSink(c, name)
		}
		alerts := []*processor.Alert{message.SampleAlert()}
		if len(args) == 1 {
			if alerts, err = p.alertsIn(cmd.Context(), args[0], c.Policy()); err != nil {
				return err
			}
		}
		sink, err := c.Sinks[name].Build(p.sinkDeps(c))
		if err != nil {
			return fmt.Errorf("sinks.%s: %w", name, err)
		}
		defer func() { _ = config.CloseSink(sink) }() // it sent nothing
		for i, a := range alerts {
			if i > 0 {
				fmt.Fprintln(p.stdout)
			}
			text, err := render(sink, a)
			if err != nil {
				return fmt.Errorf("render alert %s: %w", a.ID, err)
			}
			if _, err := io.WriteString(p.stdout, strings.TrimSuffix(text, "\n")+"\n"); err != nil {
				return err
			}
		}
		return nil
	}
	return cmd
}

// noSuchSink returns the error of an unknown sink, which names the known ones.
func noSuchSink(c *config.Config, name string) error {
	var known []string
	for name := range c.Sinks {
		known = append(known, name)
	}
	slices.Sort(known)
	if name == "" {
		return config.Refuse("--sink", config.Mistake{Problem: "missing; want one of " + strings.Join(known, ", ")})
	}
	return config.Refuse("--sink", config.Mistake{Problem: "there is no sink " + config.Clean(name) + config.Suggestion(name, known)})
}

// sinkDeps returns the dependencies of sinks outside the service.
func (p *program) sinkDeps(c *config.Config) config.Deps {
	log, level := config.NewLogger(c.Log, p.stderr)
	return config.Deps{Stdin: p.stdin, Stdout: p.stdout, Colours: p.colours(), Log: log, Level: level, Wording: c.Wording()}
}

// render returns the message that the sink would send, or the alert as JSON.
func render(sink sinks.Sink, a *processor.Alert) (string, error) {
	if r, ok := sink.(sinks.Renderer); ok {
		return r.Render(a)
	}
	text, err := json.MarshalIndent(a, "", "  ")
	return string(text), err
}

// alertsIn reads alerts, or folds the records there into alerts by the policy.
func (p *program) alertsIn(ctx context.Context, path string, policy exposure.Policy) ([]*processor.Alert, error) {
	var text []byte
	var err error
	if path == "-" {
		text, err = io.ReadAll(io.LimitReader(p.stdin, maxAlertsText))
	} else if info, statErr := os.Stat(path); statErr == nil && info.Mode().IsRegular() && info.Size() <= maxAlertsText {
		text, err = os.ReadFile(path)
	} else {
		err = statErr
	}
	if err != nil {
		return nil, fmt.Errorf("read alerts: %w", err)
	}
	if alerts := parseAlerts(text); alerts != nil {
		return alerts, nil
	}
	found := batch.Read(ctx, []string{path}, bytes.NewReader(text), runtime.GOMAXPROCS(0), output.NewProgress(io.Discard))
	alerts := alerting.FoldUnder(policy, found.Events).Alerts()
	if len(alerts) == 0 {
		return nil, errors.New(config.Clean(path) + " holds no alert, and no record that causes one; want the output of scan --format json, or CloudTrail records")
	}
	return alerts, nil
}

// maxAlertsText bounds a file of alerts.
const maxAlertsText = 256 << 20

// parseAlerts returns the alerts of a text that has nothing else, or nil.
func parseAlerts(text []byte) (alerts []*processor.Alert) {
	for d := json.NewDecoder(bytes.NewReader(text)); ; {
		a := new(processor.Alert)
		switch err := d.Decode(a); {
		case errors.Is(err, io.EOF):
			return alerts
		case err != nil, a.Schema != exposure.Schema:
			return nil
		}
		alerts = append(alerts, a)
	}
}
