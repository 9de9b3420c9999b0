package config

import (
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// A keyTable is one table of the README's configuration: what its heading says,
// and the keys in its first column.
type keyTable struct {
	heading string
	keys    []string
}

// keyTables reads the tables between two headings. `.ca_file` behind
// `tls.enabled` is tls.ca_file, and `max` behind `retry.min` is written out.
func keyTables(t *testing.T, text string) []keyTable {
	t.Helper()
	_, text, _ = strings.Cut(text, "\n## Configuration\n")
	text, _, ok := strings.Cut(text, "\n## ")
	if !ok {
		t.Fatal("the README has no section about the configuration")
	}
	var all []keyTable
	span := regexp.MustCompile("`([^`]+)`")
	for line := range strings.Lines(text) {
		if title, ok := strings.CutPrefix(line, "#"); ok {
			all = append(all, keyTable{heading: strings.TrimSpace(strings.TrimLeft(title, "#"))})
			continue
		}
		if len(all) == 0 || !strings.HasPrefix(line, "| `") {
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
			if key == "routes" || key == "routes.quiet" {
				above = key
			}
		}
	}
	return all
}

// placeholders stand for names that somebody chooses.
var placeholders = regexp.MustCompile(`\b[A-Z]+\b`)

// allKeys adds the keys of a struct, with what is in lists and maps of structs.
// What a map of texts has below it is free.
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

// Each key is in the table of its kind, and each key in a table is there.
func TestREADMEKeysAreThoseThatThereAre(t *testing.T) {
	tables := keyTables(t, readme(t))
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

	// concerns says which kinds a table is about.
	section := ""
	concerns := map[string][]string{}
	for _, table := range tables {
		switch table.heading {
		case "Keys of sources":
			section = "sources"
		case "Keys of sinks":
			section = "sinks"
		case "Reaching AWS and Kafka":
			section = "reaching"
		case "How it judges", "Whom it tells", "The service":
			section = ""
		}
		var about []string
		for _, kind := range slices.Sorted(maps.Keys(kinds)) {
			of, name, _ := strings.Cut(kind, ".")
			if section == "reaching" || section == of && (table.heading == "any sink" || slices.Contains(strings.Split(table.heading, ", "), name)) {
				about = append(about, kind)
			}
		}
		concerns[section+table.heading] = about
		for _, key := range table.keys {
			if strings.HasPrefix(key, "sources.NAME") || strings.HasPrefix(key, "sinks.NAME") {
				continue
			}
			known := section == "" && (keyTable{keys: []string{key}}).meansOneOf(rest)
			for _, kind := range about {
				known = known || (keyTable{keys: []string{key}}).meansOneOf(kinds[kind])
			}
			if !known {
				t.Errorf("under %q the README names the key %s, which there is not", table.heading, key)
			}
		}
	}
	inTables := func(key string, about func(keyTable) bool) bool {
		return slices.ContainsFunc(tables, func(d keyTable) bool { return about(d) && d.documented(key) })
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		of, _, _ := strings.Cut(kind, ".")
		for _, key := range slices.Sorted(maps.Keys(kinds[kind])) {
			if !inTables(key, func(d keyTable) bool {
				return slices.Contains(concerns[of+d.heading], kind) || slices.Contains(concerns["reaching"+d.heading], kind)
			}) {
				t.Errorf("the README does not name the key %s of %s in a table about it", key, kind)
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(rest)) {
		if !inTables(key, func(d keyTable) bool {
			return slices.Contains([]string{"How it judges", "Whom it tells", "The service"}, d.heading)
		}) {
			t.Errorf("the README does not name the key %s in a table", key)
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

// Whoever copies an example gets no mistakes but for files that are not there.
func TestREADMEExamplesHaveNoUnknownKeys(t *testing.T) {
	seen := 0
	for _, m := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(readme(t), -1) {
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

// A row that is there twice is what a merge left.
func TestREADMEHasNoRowTwice(t *testing.T) {
	counted := map[string]int{}
	var heading string
	var metrics []string
	for line := range strings.Lines(readme(t)) {
		if strings.HasPrefix(line, "#") {
			heading = strings.TrimSpace(line)
		}
		first, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " |")
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		if counted[heading+" "+first]++; counted[heading+" "+first] == 2 && first != "`routes`" {
			t.Errorf("under %q a row is there twice: %s", heading, first)
		}
		if heading == "## Metrics" {
			metrics = append(metrics, first)
		}
	}
	if !slices.IsSorted(metrics) {
		for i := range metrics[1:] {
			if metrics[i] > metrics[i+1] {
				t.Errorf("the metrics are not in the order of the alphabet: %s before %s", metrics[i], metrics[i+1])
			}
		}
	}
}

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
