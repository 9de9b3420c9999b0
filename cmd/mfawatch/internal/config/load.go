package config

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// LoadFile reads a configuration from a YAML file, the environment and flags.
func LoadFile(path string, environ []string, flags *pflag.FlagSet) (*Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, Refuse(path, Mistake{"", fmt.Sprintf("cannot read the configuration: %v", WithoutPath(err))})
	}
	return Load(path, text, environ, flags)
}

// Load merges defaults, YAML text, environment and flags, each overriding the one
// before. Its error is an *Error with every mistake.
func Load(name string, text []byte, environ []string, flags *pflag.FlagSet) (*Config, error) {
	file, err := yaml.Parser().Unmarshal(text)
	if err != nil {
		return nil, Refuse(name, Mistake{"", YAMLMistake(err)})
	}
	k := koanf.New(".")
	if err := k.Load(rawMap(file), nil); err != nil {
		return nil, Refuse(name, Mistake{"", err.Error()})
	}
	variables := make(map[string]string) // which variable set a field
	err = k.Load(env.Provider(".", env.Opt{
		Prefix:      envPrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(variable, value string) (string, any) {
			key := envKey(file, variable)
			if key != "" {
				variables[key] = variable
			}
			return key, value
		},
	}), nil)
	if err != nil {
		return nil, Refuse(name, Mistake{"", "environment: " + err.Error()})
	}
	if flags != nil {
		err := k.Load(posflag.ProviderWithFlag(flags, ".", nil, func(f *pflag.Flag) (string, any) {
			return flagKeys[f.Name], posflag.FlagVal(flags, f)
		}), nil)
		if err != nil {
			return nil, Refuse(name, Mistake{"", "flags: " + err.Error()})
		}
	}
	c, mistakes := build(k)
	if len(mistakes) > 0 {
		slices.SortStableFunc(mistakes, func(a, b Mistake) int { return strings.Compare(a.Field, b.Field) })
		for i, m := range mistakes {
			if variable, ok := variables[m.Field]; ok {
				mistakes[i].Problem += " (from " + variable + ")"
			}
		}
		return nil, Refuse(name, mistakes...)
	}
	return c, nil
}

// build returns the Config, or every mistake in it.
func build(k *koanf.Koanf) (*Config, []Mistake) {
	sources, mistakes := buildEntries(k, "sources", SourceKinds, "sources: {local: {type: files, paths: [trail.json]}}")
	sinks, more := buildEntries(k, "sinks", SinkKinds, "sinks: {console: {type: stdout}}")
	mistakes = append(mistakes, more...)
	rest := koanf.New(".")
	top := maps.Clone(k.Raw())
	delete(top, "sources")
	delete(top, "sinks")
	if err := rest.Load(rawMap(top), nil); err != nil {
		return nil, []Mistake{{"", err.Error()}}
	}
	c := &Config{Settings: Defaults(), Sources: sources, Sinks: sinks}
	wrong := decode(rest, "", &c.Settings)
	if len(wrong) == 0 {
		wrong = c.Settings.mistakes()
	}
	if len(more) == 0 {
		wrong = append(wrong, c.routeMistakes()...)
	}
	return c, append(mistakes, wrong...)
}

// A rawMap is a koanf provider of a map.
type rawMap map[string]any

func (m rawMap) Read() (map[string]any, error) { return m, nil }
func (m rawMap) ReadBytes() ([]byte, error)    { return nil, fmt.Errorf("no bytes") }

// validName is the form of the names of sources and sinks: they are labels of
// metrics and parts of variables' names.
var validName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[a-z0-9]+([_-][a-z0-9]+)*$`)
})

// buildEntries reads one map of entries by name. The type of an entry decides its
// other keys.
func buildEntries[E Entry](k *koanf.Koanf, section string, types map[string]func() E, example string) (map[string]E, []Mistake) {
	known := slices.Sorted(maps.Keys(types))
	value := k.Get(section)
	raw, ok := value.(map[string]any)
	switch {
	case value == nil || ok && len(raw) == 0:
		return nil, []Mistake{{section, "missing; want at least one, such as " + example}}
	case !ok:
		return nil, []Mistake{{section, "want a map of names to " + section + ", got " + shown(section, value)}}
	}
	entries := make(map[string]E, len(raw))
	var all []Mistake
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		path := join(section, name)
		if !validName().MatchString(name) || len(name) > 63 {
			all = append(all, Mistake{join(section, Clean(name)), "want a name of lower-case letters, digits and single - or _, 63 at most"})
			continue
		}
		fields, ok := raw[name].(map[string]any)
		if !ok {
			all = append(all, Mistake{path, "want a map of keys to values, got " + shown(path, raw[name])})
			continue
		}
		kind, ok := fields["type"].(string)
		if !ok && fields["type"] != nil {
			all = append(all, Mistake{path + ".type", "want text, got " + shown(path+".type", fields["type"])})
			continue
		}
		if wrong := OneOf(path+".type", kind, known...); wrong != nil {
			all = append(all, wrong...)
			continue
		}
		e := types[kind]()
		wrong := decode(k, path, e)
		if len(wrong) == 0 {
			wrong = MistakesOf(path, e.Validate())
		}
		all = append(all, wrong...)
		entries[name] = e
	}
	return entries, all
}

// WithoutPath removes the path and operation of an *os.PathError.
func WithoutPath(err error) error {
	if pe, ok := err.(*os.PathError); ok { //nolint:errorlint // the words around a wrapped one are to stay
		return pe.Err
	}
	return err
}

// YAMLMistake returns a YAML parser's error on one line. It repeats only errors
// about the form of the text, so that it quotes no secret.
func YAMLMistake(err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	text = strings.TrimPrefix(text, "unmarshal errors:\n  ")
	text, _, _ = strings.Cut(text, "\n")
	switch {
	case strings.Contains(text, "cannot unmarshal"):
		return "want a map of keys to values, such as sources: {…}, got something else"
	case strings.Contains(text, "unknown anchor"):
		return "not YAML: a value that begins with * needs quotes"
	case yamlForm().MatchString(text):
		return "not YAML: " + Bounded(text)
	}
	return "not readable as YAML; check for values that need quotes"
}

// yamlForm matches errors about the form of the text.
var yamlForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(line \d+: )?(did not find|could not find|found |mapping key|mapping values|block |control characters|invalid leading|incomplete )`)
})
