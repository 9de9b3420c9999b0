package config

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
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
		text, err := os.ReadFile(filepath.Join("../../../..", name))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(text))
	}
	return strings.Join(all, "\n")
}

// A keyTable is the tables of one section of a page: its heading and the keys in
// the first column.
type keyTable struct {
	page, heading string
	keys          []string
}

// keyTables reads the tables of keys of a page, by section. `.ca_file` behind
// `tls.enabled` is tls.ca_file, and `max` behind `retry.min` is written out.
func keyTables(t *testing.T, page string) []keyTable {
	t.Helper()
	var all []keyTable
	span := regexp.MustCompile("`([^`]+)`")
	inKeys := false
	for line := range strings.Lines(pages(t, page)) {
		if title, ok := strings.CutPrefix(line, "#"); ok {
			all = append(all, keyTable{page: page, heading: strings.TrimSpace(strings.TrimLeft(title, "#"))})
			continue
		}
		if !strings.HasPrefix(line, "|") {
			inKeys = false
		}
		inKeys = inKeys || strings.HasPrefix(line, "| key |")
		if !inKeys || !strings.HasPrefix(line, "| `") {
			continue
		}
		first, _, _ := strings.Cut(line[2:], " |")
		above, last := "", ""
		for _, m := range span.FindAllStringSubmatch(first, -1) {
			key := m[1]
			switch {
			case strings.HasPrefix(key, "."):
				key = last[:max(0, strings.LastIndexByte(last, '.'))] + key
			case above != "":
				key = above + "." + key
			}
			last = key
			all[len(all)-1].keys = append(all[len(all)-1].keys, key)
			if key == "routes" || key == "routes.mute_times" {
				above = key
			}
		}
	}
	return all
}

// placeholders stand for names that an operator chooses.
var placeholders = regexp.MustCompile(`\b[A-Z]+\b`)

// allKeys adds the keys of a struct, with what is in lists and maps of structs.
// Keys below a map of texts are free.
func allKeys(all map[string]bool, prefix string, t reflect.Type) {
	for name, field := range Keys(t) {
		path := prefix + name
		for field.Kind() == reflect.Pointer || field.Kind() == reflect.Slice || field.Kind() == reflect.Map {
			if field.Kind() == reflect.Map && !strings.HasSuffix(path, ".NAME") {
				path += ".NAME"
			}
			field = field.Elem()
		}
		if field.Kind() == reflect.Struct && len(Keys(field)) > 0 {
			allKeys(all, path+".", field)
			continue
		}
		all[path] = true
	}
}

// documented reports whether a table names a key: itself, what is above it, or
// with a placeholder.
func (d keyTable) documented(key string) bool {
	return slices.ContainsFunc(d.keys, func(k string) bool {
		k = placeholders.ReplaceAllString(k, "NAME")
		return k == key || k+".NAME" == key || strings.HasPrefix(key, k+".") && k != "routes"
	})
}

// sectionsOfService are the sections with the keys that belong to no source or
// sink.
var sectionsOfService = map[string][]string{
	processorPage: {"Policy", "Routes"},
	servicePage:   {"The service"},
}

// Each key is in the table of its kind, and each key in a table exists.
func TestPagesNameTheKeysThatExist(t *testing.T) {
	var tables []keyTable
	for _, page := range []string{sourcesPage, sinksPage, processorPage, servicePage} {
		tables = append(tables, keyTables(t, page)...)
	}
	kinds := map[string]map[string]bool{} // keys by "sources.s3" and the like
	add := func(name string, config any) {
		keys := map[string]bool{}
		allKeys(keys, "", reflect.TypeOf(config).Elem())
		delete(keys, "type")
		kinds[name] = keys
	}
	for kind, make := range SourceKinds {
		add("sources."+kind, make())
	}
	for kind, make := range SinkKinds {
		add("sinks."+kind, make())
	}
	rest := map[string]bool{}
	allKeys(rest, "", reflect.TypeFor[Settings]())

	// ofService reports whether a table has keys of the service, about which
	// kinds it is about otherwise.
	ofService := func(d keyTable) bool { return slices.Contains(sectionsOfService[d.page], d.heading) }
	about := func(d keyTable) (all []string) {
		section := strings.TrimSuffix(d.page, "/README.md")
		for _, kind := range slices.Sorted(maps.Keys(kinds)) {
			of, name, _ := strings.Cut(kind, ".")
			switch {
			case d.page == servicePage && d.heading == "AWS and Kafka",
				section == of && d.heading == "Every sink",
				section == of && slices.Contains(strings.Split(strings.ToLower(d.heading), ", "), name):
				all = append(all, kind)
			}
		}
		return all
	}
	for _, table := range tables {
		if len(table.keys) == 0 {
			continue
		}
		if !ofService(table) && len(about(table)) == 0 {
			t.Errorf("%s: it is not known what the keys under %q belong to", table.page, table.heading)
		}
		for _, key := range table.keys {
			known := ofService(table) && (keyTable{keys: []string{key}}).meansOneOf(rest)
			for _, kind := range about(table) {
				known = known || (keyTable{keys: []string{key}}).meansOneOf(kinds[kind])
			}
			if !known {
				t.Errorf("%s: under %q it names the key %s, which does not exist", table.page, table.heading, key)
			}
		}
	}
	inTables := func(key string, fits func(keyTable) bool) bool {
		return slices.ContainsFunc(tables, func(d keyTable) bool { return fits(d) && d.documented(key) })
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		for _, key := range slices.Sorted(maps.Keys(kinds[kind])) {
			if !inTables(key, func(d keyTable) bool { return slices.Contains(about(d), kind) }) {
				t.Errorf("no page names the key %s of %s in a table about it", key, kind)
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(rest)) {
		if !inTables(key, ofService) {
			t.Errorf("no page names the key %s in a table", key)
		}
	}
}

// meansOneOf reports whether the one key of d is, or is above, one of keys.
func (d keyTable) meansOneOf(keys map[string]bool) bool {
	for key := range keys {
		if d.documented(key) || d.keys[0] == "routes" && strings.HasPrefix(key, "routes.") {
			return true
		}
	}
	return false
}

// An example can be copied: it has no mistakes, except files that do not exist.
func TestPagesHaveExamplesWithoutUnknownKeys(t *testing.T) {
	seen := 0
	for _, m := range regexp.MustCompile("(?s) *```yaml\n(.*?) *```").FindAllStringSubmatch(pages(t), -1) {
		var example map[string]any
		text := m[1]
		if strings.HasPrefix(text, " ") { // the rest of a sink
			text = "sinks:\n  rest:\n    type: sms\n" + text
		}
		if err := yaml.Unmarshal([]byte(text), &example); err != nil {
			t.Errorf("%v in\n%s", err, m[1])
			continue
		}
		seen++
		var wrong []Mistake
		for section, types := range map[string]func(string) any{
			"sources": func(kind string) any { return SourceKinds[kind]() },
			"sinks":   func(kind string) any { return SinkKinds[kind]() },
		} {
			entries, _ := example[section].(map[string]any)
			for name, entry := range entries {
				fields := entry.(map[string]any)
				wrong = append(wrong, unknownKeys(section+"."+name, fields, reflect.TypeOf(types(fields["type"].(string))).Elem())...)
			}
			delete(example, section)
		}
		wrong = append(wrong, unknownKeys("", example, reflect.TypeFor[Settings]())...)
		for _, w := range wrong {
			t.Errorf("%s in\n%s", w, m[1])
		}
	}
	if seen < 10 {
		t.Errorf("%d examples", seen)
	}
}

// A row that a table has twice was left by a merge.
func TestPagesHaveNoRowTwice(t *testing.T) {
	for _, page := range []string{frontPage, sourcesPage, sinksPage, processorPage, servicePage, commandsPage, metricsPage} {
		counted := map[string]bool{}
		var heading string
		var metrics []string
		for line := range strings.Lines(pages(t, page)) {
			if strings.HasPrefix(line, "#") {
				heading = strings.TrimSpace(line)
			}
			if !strings.HasPrefix(line, "| `") {
				continue
			}
			first, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " |")
			if counted[heading+first] {
				t.Errorf("%s: under %q a row appears twice: %s", page, heading, first)
			}
			counted[heading+first] = true
			if strings.HasPrefix(first, "`mfawatch_") {
				metrics = append(metrics, strings.Trim(first, "`"))
			}
		}
		if page == metricsPage && !slices.IsSorted(metrics) {
			t.Errorf("%s: the metrics are not in alphabetical order: %v", page, metrics)
		}
	}
}
