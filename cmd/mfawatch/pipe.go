package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/sources"
	"github.com/mfawatch/mfawatch/sources/files"
)

// pipeOptions are the flags of pipe that stand for no key.
type pipeOptions struct {
	config  string // the file, "" for none
	output  string // a file for the alerts
	confirm bool   // standard output is for confirmations
}

func (p *program) pipeCommand() *cobra.Command {
	var o pipeOptions
	cmd := &cobra.Command{
		Use:   "pipe",
		Short: "A filter: records on standard input, alerts on standard output",
		Long: `A filter: records on standard input, alerts on standard output, one JSON object a
line, each written at once. Records may be in any carrier and may come without end;
what is there is handled at once.

What is known is forgotten at the end, unless --journal names a file: then the next
run goes on from there. A configuration (-c) may say the rest, and whom to tell:
if it has sinks they are told, in the place of standard output. It has no sources.

With --confirm it is a program for rsyslog's omprog with confirmMessages="on": it says
OK on standard output for each line once that is durable, so the alerts go elsewhere:
to --output FILE, or to the configuration's sinks.

It ends with its input, or with SIGINT or SIGTERM, once all is told.`,
		Example: `  zcat *.json.gz | mfawatch pipe | jq -r .title
  tail -F trail.jsonl | mfawatch pipe --journal mfawatch.db >> alerts.jsonl
  mfawatch pipe --confirm --journal /var/lib/mfawatch/mfawatch.db --output alerts.jsonl`,
		Args: cobra.NoArgs,
	}
	path := config.AddFlags(cmd.Flags())
	cmd.Flags().StringVar(&o.output, "output", "", "tell the alerts to `FILE`, as JSON lines, in the place of standard output")
	cmd.Flags().BoolVar(&o.confirm, "confirm", false, "confirm each line on standard output, as rsyslog's omprog wants it")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o.config = *path
		scratch, err := os.MkdirTemp("", "mfawatch-pipe-")
		if err != nil {
			return fmt.Errorf("a folder for what is known until the end: %w", err)
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

// pipeConfig is the configuration as any other, with standard input for its
// source, and with defaults that suit a filter: a journal in the scratch folder,
// standard output for a sink, no HTTP, and a log of what goes wrong.
func (p *program) pipeConfig(o pipeOptions, scratch string, flags *pflag.FlagSet) (*config.Config, error) {
	name, file := "pipe", map[string]any{}
	if o.config != "" {
		name = o.config
		text, err := os.ReadFile(o.config)
		if err != nil {
			return nil, config.Refuse(name, config.Mistake{Problem: fmt.Sprintf("cannot read the configuration: %v", config.WithoutPath(err))})
		}
		if file, err = yaml.Parser().Unmarshal(text); err != nil {
			return nil, config.Refuse(name, config.Mistake{Problem: config.YAMLMistake(err)})
		}
		if file == nil {
			file = map[string]any{}
		}
	}
	if _, ok := file["sources"]; ok {
		return nil, config.Refuse(name, config.Mistake{Field: "sources", Problem: "want none, since pipe reads standard input; mfawatch run reads sources"})
	}
	file["sources"] = map[string]any{"stdin": map[string]any{"type": "files", "paths": []any{files.Stdin}}}
	fillIn(file, "sinks", "output", o.output != "", map[string]any{"type": "file", "path": o.output})
	fillIn(file, "sinks", "stdout", file["sinks"] == nil && !o.confirm, map[string]any{"type": "stdout"})
	fillIn(file, "journal", "path", true, filepath.Join(scratch, "mfawatch.db"))
	fillIn(file, "http", "address", true, config.HTTPOff)
	fillIn(file, "log", "level", true, "warn")
	if file["sinks"] == nil {
		return nil, config.Refuse(name, config.Mistake{Field: "--confirm", Problem: "standard output is for the confirmations; want --output FILE for the alerts, or a configuration with sinks (-c)"})
	}
	text, err := yaml.Parser().Marshal(file)
	if err != nil {
		return nil, config.Refuse(name, config.Mistake{Problem: err.Error()})
	}
	c, err := config.Load(name, text, p.environ, flags)
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

// fillIn sets a key of a section that is not set, if it is to be.
func fillIn(file map[string]any, section, key string, wanted bool, value any) {
	if !wanted {
		return
	}
	if file[section] == nil {
		file[section] = map[string]any{}
	}
	if m, ok := file[section].(map[string]any); ok && m[key] == nil {
		m[key] = value
	}
}

// pipe runs the pipeline over standard input, until that ends or ctx does, and
// all is told. scratch says that the journal is gone after the end.
func (p *program) pipe(ctx context.Context, c *config.Config, confirm, scratch bool) error {
	in := &pipeSource{Source: c.Sources["stdin"], confirm: confirm, until: ctx, ended: make(chan error, 1)}
	c.Sources["stdin"] = in
	service, err := p.newServed(c, p.stdout, nil)
	if err != nil {
		return err
	}
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
			return errors.Join(err, lastTold(running, service, ctx.Err() != nil, scratch))
		}
	})
	err = errors.Join(g.Wait(), service.Close())
	if unread := unreadableParts(service); err == nil && unread > 0 {
		fmt.Fprintf(p.stderr, "mfawatch: %s could not be read; the rest was\n", output.Count(int64(unread), "part"))
		return errTold
	}
	return err
}

// lastTold waits until all that was read is told. That ends with the drain time
// where a signal wants it to, or where what is left waits in the journal.
func lastTold(ctx context.Context, service *served, signalled, scratch bool) error {
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
		return fmt.Errorf("not all was told within the drain time (%s), and what was not is lost: --journal FILE would keep it", config.FormatDuration(service.Config().ShutdownTimeout))
	}
	return fmt.Errorf("not all was told within the drain time (%s); the rest waits in the journal %s for the next run", config.FormatDuration(service.Config().ShutdownTimeout), service.Config().Journal.Path)
}

// unreadableParts is how much of the input could not be read.
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

// A pipeSource is standard input as the source of a pipe. It ends when until
// does, before the pipeline, so that what was read is told; and it is not read
// again when it failed.
type pipeSource struct {
	config.Source
	confirm bool
	until   context.Context
	source  sources.Source
	ended   chan error // is sent what Run came to
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
