package main

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
)

// The pages that describe the program; each test reads those that it is about.
const (
	frontPage     = "README.md"
	sourcesPage   = "sources/README.md"
	sinksPage     = "sinks/README.md"
	processorPage = "processor/README.md"
	servicePage   = "deploy/README.md"
	commandsPage  = "deploy/commands.md"
	metricsPage   = "deploy/metrics.md"
)

// pages returns the text of the named pages, or of all.
func pages(t *testing.T, names ...string) string {
	t.Helper()
	if len(names) == 0 {
		names = []string{frontPage, sourcesPage, sinksPage, processorPage, servicePage, commandsPage, metricsPage, "CONTRIBUTING.md", "deploy/prometheus/runbook.md"}
	}
	var all []string
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(text))
	}
	return strings.Join(all, "\n")
}

// words is every word of a text, in the letters that keys and metrics have.
func words(text string) map[string]bool {
	all := map[string]bool{}
	for _, word := range regexp.MustCompile(`[a-z0-9_]+`).FindAllString(text, -1) {
		all[word] = true
	}
	return all
}

// Each type of source and sink has a page that names it.
func TestPagesNameEveryType(t *testing.T) {
	for page, types := range map[string][]string{
		sourcesPage: slices.Collect(maps.Keys(config.SourceKinds)),
		sinksPage:   slices.Collect(maps.Keys(config.SinkKinds)),
	} {
		for _, kind := range types {
			if !strings.Contains(pages(t, page), "`"+kind+"`") {
				t.Errorf("%s does not name the type %s", page, kind)
			}
		}
	}
}

// metricNames is every metric that the program's text declares.
func metricNames(t *testing.T) map[string]bool {
	t.Helper()
	literal := regexp.MustCompile(`"(mfawatch_[a-z0-9_]+)"`)
	names := map[string]bool{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range literal.FindAllSubmatch(text, -1) {
			names[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestPagesNameEveryMetric(t *testing.T) {
	declared, named, anywhere := metricNames(t), words(pages(t, metricsPage)), words(pages(t))
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		if !named[name] {
			t.Errorf("%s does not name the metric %s", metricsPage, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(anywhere)) {
		if !strings.HasPrefix(name, "mfawatch_") || declared[name] {
			continue
		}
		base := name
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			base = strings.TrimSuffix(base, suffix)
		}
		if !declared[base] {
			t.Errorf("a page names the metric %s, which does not exist", name)
		}
	}

	// The metrics of a service are declared where the search above finds them.
	c, err := config.Load("test", []byte(`
sources: {trail: {type: kafka, brokers: ['127.0.0.1:1'], topics: [t]}, local: {type: files, paths: [none]}, door: {type: http},
  logs: {type: files, paths: [none], follow: true}, bucket: {type: s3, queue_url: 'https://sqs.us-east-1.amazonaws.com/111122223333/trail'}}
sinks: {console: {type: stdout}, hook: {type: webhook, url: 'http://127.0.0.1:1/'}}
http: {address: '127.0.0.1:0'}
`), []string{"MFAWATCH_JOURNAL__PATH=" + filepath.Join(t.TempDir(), "mfawatch.db")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	quiet := &program{stdout: t.Output(), stderr: t.Output()}
	p, err := quiet.newServed(c, t.Output(), nil)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := prometheus.GathererFunc(p.Gather).Gather()
	if err != nil {
		t.Errorf("gather: %v", err)
	}
	for _, family := range shown {
		if name := family.GetName(); strings.HasPrefix(name, "mfawatch_") && !declared[name] {
			t.Errorf("the service shows %s, which is not one literal in the program's text", name)
		}
	}
	if len(shown) < 30 {
		t.Errorf("the service shows %d families of metrics", len(shown))
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// foreign matches a line of code that runs another program.
var foreign = regexp.MustCompile("(?m)^[ `]*(aws|curl|docker|go|golangci-lint) .*$")

// code matches Markdown code: blocks, indented lines, spans.
var code = regexp.MustCompile("(?s:```.*?```)|(?m:^    .*$)|`[^`\n]+`")

func TestPagesNameEveryCommandAndFlag(t *testing.T) {
	root := new(program).command()
	flags := map[string]bool{"help": true}
	named := map[string]bool{"help": true}
	var commands []string
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		for _, set := range []*pflag.FlagSet{c.Flags(), c.PersistentFlags()} {
			set.VisitAll(func(f *pflag.Flag) {
				flags[f.Name] = true
				named[f.Name] = named[f.Name] || f.Shorthand != "" && strings.Contains(pages(t), "-"+f.Shorthand+" ")
			})
		}
		for _, sub := range c.Commands() {
			commands = append(commands, sub.CommandPath())
			visit(sub)
		}
	}
	visit(root)
	text := pages(t)
	command := regexp.MustCompile(`\bmfawatch( [a-z][a-z-]*)+`)
	flag := regexp.MustCompile(`(?:^|[\s\[|\x60])--([a-z][a-z-]*)`)
	var spans []string
	for _, span := range code.FindAllString(text, -1) {
		spans = append(spans, span)
		for _, found := range command.FindAllString(span, -1) {
			words := strings.Fields(found)[1:]
			c, rest, err := root.Find(words)
			if err != nil || c == root || c.HasSubCommands() && len(rest) > 0 {
				t.Errorf("a page names a command that does not exist: %s", found)
			}
		}
		for _, m := range flag.FindAllStringSubmatch(foreign.ReplaceAllString(span, ""), -1) {
			if named[m[1]] = true; !flags[m[1]] {
				t.Errorf("a page names a flag that does not exist: --%s, in %s", m[1], strings.TrimSpace(span))
			}
		}
	}
	said := strings.Join(spans, "\n")
	for _, c := range commands {
		name := strings.TrimPrefix(c, "mfawatch ")
		parent, last, below := strings.Cut(name, " ")
		if below && !strings.Contains(said, parent) || !regexp.MustCompile(`\b`+strings.TrimPrefix(last, " ")+`\b`).MatchString(said) || !below && !strings.Contains(said, "mfawatch "+name) {
			t.Errorf("no page names the command %s", c)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(flags)) {
		if !named[name] {
			t.Errorf("no page names the flag --%s", name)
		}
	}
}
