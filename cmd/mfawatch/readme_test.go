package main

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
)

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// words is every word of a text, in the letters that keys and metrics have.
func words(text string) map[string]bool {
	all := map[string]bool{}
	for _, word := range regexp.MustCompile(`[a-z0-9_]+`).FindAllString(text, -1) {
		all[word] = true
	}
	return all
}

// keysOf adds the configuration keys of a struct to all.
func keysOf(all map[string]bool, prefix string, t reflect.Type) {
	for name, field := range config.Keys(t) {
		if field.Kind() == reflect.Pointer {
			field = field.Elem()
		}
		if field.Kind() == reflect.Struct && len(config.Keys(field)) > 0 {
			keysOf(all, prefix+name+".", field)
			continue
		}
		all[prefix+name] = true
	}
}

func TestREADMENamesEveryKey(t *testing.T) {
	keys := map[string]bool{}
	keysOf(keys, "", reflect.TypeFor[config.Settings]())
	for kind, make := range config.SourceKinds {
		keysOf(keys, "sources."+kind+".", reflect.TypeOf(make()).Elem())
	}
	for kind, make := range config.SinkKinds {
		keysOf(keys, "sinks."+kind+".", reflect.TypeOf(make()).Elem())
	}
	named := words(readme(t))
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if last := key[strings.LastIndexByte(key, '.')+1:]; !named[last] {
			t.Errorf("the README does not name the key %s", key)
		}
	}
	for _, types := range [][]string{slices.Sorted(maps.Keys(config.SourceKinds)), slices.Sorted(maps.Keys(config.SinkKinds))} {
		for _, kind := range types {
			if !named[kind] {
				t.Errorf("the README does not name the type %s", kind)
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

func TestREADMENamesEveryMetric(t *testing.T) {
	declared, text := metricNames(t), readme(t)
	named := words(text)
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		if !named[name] {
			t.Errorf("the README does not name the metric %s", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if !strings.HasPrefix(name, "mfawatch_") || declared[name] {
			continue
		}
		base := name
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			base = strings.TrimSuffix(base, suffix)
		}
		if !declared[base] {
			t.Errorf("the README names the metric %s, which there is not", name)
		}
	}

	// What a service shows is declared where the search above finds it.
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

// code is what stands in a Markdown text as code.
var code = regexp.MustCompile("(?s)```.*?```|(?m)^    .*$|`[^`\n]+`")

func TestREADMENamesEveryCommandAndFlag(t *testing.T) {
	root := new(program).command()
	flags := map[string]bool{"help": true}
	named := map[string]bool{"help": true}
	var commands []string
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		for _, set := range []*pflag.FlagSet{c.Flags(), c.PersistentFlags()} {
			set.VisitAll(func(f *pflag.Flag) {
				flags[f.Name] = true
				named[f.Name] = named[f.Name] || f.Shorthand != "" && strings.Contains(readme(t), "-"+f.Shorthand+" ")
			})
		}
		for _, sub := range c.Commands() {
			commands = append(commands, sub.CommandPath())
			visit(sub)
		}
	}
	visit(root)
	text := readme(t)
	command := regexp.MustCompile(`\bmfawatch( [a-z][a-z-]*)+`)
	flag := regexp.MustCompile(`(?:^|[\s\[|\x60])--([a-z][a-z-]*)`)
	var spans []string
	for _, span := range code.FindAllString(text, -1) {
		spans = append(spans, span)
		for _, found := range command.FindAllString(span, -1) {
			words := strings.Fields(found)[1:]
			c, rest, err := root.Find(words)
			if err != nil || c == root || c.HasSubCommands() && len(rest) > 0 {
				t.Errorf("the README names a command that there is not: %s", found)
			}
		}
		for _, m := range flag.FindAllStringSubmatch(span, -1) {
			if named[m[1]] = true; !flags[m[1]] {
				t.Errorf("the README names a flag that there is not: --%s, in %s", m[1], strings.TrimSpace(span))
			}
		}
	}
	said := strings.Join(spans, "\n")
	for _, c := range commands {
		name := strings.TrimPrefix(c, "mfawatch ")
		parent, last, below := strings.Cut(name, " ")
		if below && !strings.Contains(said, parent) || !regexp.MustCompile(`\b`+strings.TrimPrefix(last, " ")+`\b`).MatchString(said) || !below && !strings.Contains(said, "mfawatch "+name) {
			t.Errorf("the README does not name the command %s", c)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(flags)) {
		if !named[name] {
			t.Errorf("the README does not name the flag --%s", name)
		}
	}
}
