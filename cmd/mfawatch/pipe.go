package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
	"golang.org/x/sync/errgroup"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/sources"
	"github.com/mfawatch/mfawatch/sources/files"
)

// pipeOptions are the flags of pipe without a key.
type pipeOptions struct {
	config  []string // the files
	output  string   // a file for the alerts
	confirm bool     // standard output is for confirmations
}

func (p *program) pipeCommand() *cobra.Command {
	var o pipeOptions
	cmd := &cobra.Command{
		Use:   "pipe",
		Short: "A filter: records on standard input, alerts on standard output",
		Long: `A filter: records on standard input, alerts on standard output, one JSON object a
line. Each line is processed as it arrives; the input may be endless, and records may
be in any envelope.

The state is lost at the end, unless --journal names a file: then the next run
continues from it. A configuration (-c) may set the rest; its sinks replace standard
output. It must have no sources.

With --confirm it is a program for rsyslog's omprog with confirmMessages="on": it
writes OK to standard output for each line once that is durable, so the alerts go to
--output FILE, or to the configuration's sinks.

It stops at the end of its input, or at SIGINT or SIGTERM, once every alert is
delivered.`,
		Example: `  zcat *.json.gz | mfawatch pipe | jq -r .title
  tail -F trail.jsonl | mfawatch pipe --journal mfawatch.db >> alerts.jsonl
  mfawatch pipe --confirm --journal /var/lib/mfawatch/mfawatch.db --output alerts.jsonl`,
		Args: noArgument,
	}
	paths := config.AddFlags(cmd.Flags())
	cmd.Flags().StringVar(&o.output, "output", "", "write the alerts to `FILE`, or - for standard output, as JSON lines, beside the sinks of a configuration")
	cmd.Flags().BoolVar(&o.confirm, "confirm", false, "confirm each line on standard output, for rsyslog's omprog")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o.config = *paths
		scratch, err := os.MkdirTemp("", "mfawatch-pipe-")
		if err != nil {
			return fmt.Errorf("make a folder for the journal: %w", err)
		}
		defer os.RemoveAll(scratch)
		c, err := p.pipeConfig(o, scratch, cmd.Flags())
		if err != nil {
			return err
		}
		ctx, stop := untilSignal(cmd.Context(), p.stderr)
		defer stop()
		return p.pipe(ctx, c, o.confirm, filepath.Dir(c.Journal.Path) == scratch)
	}
	return cmd
}

// pipeConfig returns a configuration with standard input as its source, and with
// defaults for a filter: a journal in the scratch folder, standard output as the
// sink, no HTTP, and a log of warnings.
func (p *program) pipeConfig(o pipeOptions, scratch string, flags *pflag.FlagSet) (*config.Config, error) {
	var texts []config.Text
	if slices.Contains(o.config, files.Stdin) {
		return nil, config.Refuse("pipe", config.Mistake{Field: "-c", Problem: "standard input is for the records; want the configuration in a file"})
	}
	if len(o.config) > 0 {
		var err error
		if texts, err = p.configTexts(o.config); err != nil {
			return nil, err
		}
	}
	name := cmp.Or(config.Names(texts), "pipe")
	sinks := map[string]any{}
	for _, text := range texts {
		var file struct {
			Sources any            `yaml:"sources"`
			Sinks   map[string]any `yaml:"sinks"`
		}
		if err := yaml.Unmarshal(text.YAML, &file); err == nil && file.Sources != nil {
			return nil, config.Refuse(name, config.Mistake{Field: "sources", Problem: "want none, since pipe reads standard input; mfawatch run reads sources"})
		}
		maps.Copy(sinks, file.Sinks)
	}
	defaults := map[string]any{
		"sources": map[string]any{"stdin": map[string]any{"type": "files", "paths": []any{files.Stdin}}},
		"journal": map[string]any{"path": config.Escape(filepath.Join(scratch, "mfawatch.db"))},
		"http":    map[string]any{"address": config.HTTPOff},
		"log":     map[string]any{"level": "warn"},
	}
	switch {
	case o.output != "" && sinks["output"] != nil:
		return nil, config.Refuse(name, config.Mistake{Field: "sinks.output", Problem: "is the name of the sink of --output; want another name, or no --output"})
	case o.output == files.Stdin:
		defaults["sinks"] = map[string]any{"output": map[string]any{"type": "stdout"}}
	case o.output != "":
		defaults["sinks"] = map[string]any{"output": map[string]any{"type": "file", "path": config.Escape(o.output)}}
	case len(sinks) == 0 && o.confirm:
		return nil, config.Refuse(name, config.Mistake{Field: "--confirm", Problem: "standard output is for the confirmations; want --output FILE for the alerts, or a configuration with sinks (-c)"})
	case len(sinks) == 0:
		defaults["sinks"] = map[string]any{"stdout": map[string]any{"type": "stdout"}}
	}
	text, err := yaml.Marshal(defaults)
	if err != nil {
		return nil, err
	}
	c, err := config.LoadTexts(append([]config.Text{{Name: "pipe", YAML: text}}, texts...), p.environ, flags)
	if err != nil || !o.confirm {
		return c, err
	}
	var wrong []config.Mistake
	for _, name := range slices.Sorted(maps.Keys(c.Sinks)) {
		if c.Sinks[name].UsesStdout() {
			wrong = append(wrong, config.Mistake{Field: "sinks." + name, Problem: "standard output is for the confirmations; take this sink out, or --confirm"})
		}
	}
	if filepath.Dir(c.Journal.Path) == scratch {
		wrong = append(wrong, config.Mistake{Field: "--confirm", Problem: "a line is confirmed once it is durable; want --journal FILE, or journal.path in a configuration (-c)"})
	}
	if wrong != nil {
		return nil, config.Refuse(name, wrong...)
	}
	return c, nil
}

// pipe runs the pipeline over standard input, until the input ends or ctx is done,
// and every alert is delivered. scratch reports that the journal is deleted at the
// end.
func (p *program) pipe(ctx context.Context, c *config.Config, confirm, scratch bool) error {
	if err := wantFile(c, "pipe"); err != nil {
		return err
	}
	in := &pipeSource{Source: c.Sources["stdin"], confirm: confirm, until: ctx, ended: make(chan error, 1)}
	c.Sources["stdin"] = in
	service, err := p.newServed(c, p.stdout, nil)
	if err != nil {
		return err
	}
	if scratch { // it is open, so that nothing is left however the process ends
		err := service.Journal().Unlink()
		if err == nil {
			err = os.Remove(filepath.Dir(c.Journal.Path))
		}
		if err != nil && runtime.GOOS != "windows" {
			return errors.Join(fmt.Errorf("remove the temporary journal: %w", err), service.Close())
		}
	}
	before := deadLetters(service)
	running, stopRunning := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRunning()
	g, running := errgroup.WithContext(running)
	g.Go(func() error { return service.Run(running) })
	g.Go(func() error {
		defer stopRunning()
		select {
		case <-running.Done():
			return nil
		case err := <-in.ended:
			return errors.Join(err, waitDelivered(running, service, ctx.Err() != nil, scratch))
		}
	})
	err = g.Wait()
	dead := deadLetters(service) - before
	if err = errors.Join(err, service.Close()); err != nil {
		return err
	}
	unread := unreadableParts(service)
	if unread > 0 {
		fmt.Fprintf(p.stderr, "mfawatch: %s could not be read; the rest was\n", output.Count(int64(unread), "part"))
	}
	switch {
	case dead > 0 && scratch:
		fmt.Fprintf(p.stderr, "mfawatch: %s refused, and lost: the log names each; --journal FILE would keep them as dead letters\n", output.Count(dead, "alert"))
	case dead > 0:
		fmt.Fprintf(p.stderr, "mfawatch: %s\n", saidDead(dead, c))
	}
	if unread > 0 || dead > 0 {
		return errReported
	}
	return nil
}

// deadLetters returns how many dead letters the journal has.
func deadLetters(service *served) (n int64) {
	stats, err := service.Journal().Stats()
	if err != nil {
		return 0 // closed: Run returns why
	}
	for _, sink := range stats.Sinks {
		n += int64(sink.Dead)
	}
	return n
}

// saidDead says how many alerts became dead letters, and where they are shown.
func saidDead(n int64, c *config.Config) string {
	return fmt.Sprintf("%s not delivered: see 'mfawatch deadletters list --journal %s'", output.Count(n, "alert"), c.Journal.Path)
}

// waitDelivered waits until every alert is delivered: for at most shutdown_timeout
// after a signal, or if the journal keeps the rest.
func waitDelivered(ctx context.Context, service *served, signalled, scratch bool) error {
	limited := ctx
	if signalled || !scratch {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(ctx, service.Config().ShutdownTimeout)
		defer cancel()
	}
	err := service.Journal().Idle(limited)
	switch {
	case err == nil, ctx.Err() != nil:
		return nil
	case !errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("wait for the last alert: %w", err)
	case scratch:
		return fmt.Errorf("not every alert was delivered within shutdown_timeout (%s), and the rest is lost: --journal FILE would keep it", config.FormatDuration(service.Config().ShutdownTimeout))
	}
	return fmt.Errorf("not every alert was delivered within shutdown_timeout (%s); the rest stays in the journal %s for the next run", config.FormatDuration(service.Config().ShutdownTimeout), service.Config().Journal.Path)
}

// unreadableParts returns how many parts of the input were unreadable.
func unreadableParts(service *served) (n float64) {
	families, _ := service.Gather() // what there is of them
	for _, f := range families {
		if f.GetName() != "mfawatch_unreadable_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			n += m.GetCounter().GetValue()
		}
	}
	return n
}

// A pipeSource is standard input as the source of a pipe. It stops when until is
// done, before the pipeline, so that every alert is delivered, and it is not
// restarted after a failure.
type pipeSource struct {
	config.Source
	confirm bool
	until   context.Context
	source  sources.Source
	ended   chan error // gets the result of Run
}

func (s *pipeSource) Build(name string, around config.Deps) (sources.Source, error) {
	if s.confirm {
		s.source = files.NewConfirmed(name, around.Stdin, around.Stdout, sources.Options{Logger: around.Log, Registerer: around.Metrics})
		return s, nil
	}
	var err error
	s.source, err = s.Source.Build(name, around)
	return s, err
}

// Run implements sources.Source.
func (s *pipeSource) Run(ctx context.Context, h processor.Handler) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.until, cancel)()
	s.ended <- s.source.Run(ctx, h)
	return nil
}
