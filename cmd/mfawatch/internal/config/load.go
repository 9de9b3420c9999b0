package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"

	"github.com/mfawatch/mfawatch/processor/ownfile"
)

// MaxText bounds a text of a configuration, in bytes.
const MaxText = 16 << 20

// ReadText reads one file of a configuration.
func ReadText(path string) (Text, error) {
	text, err := ownfile.ReadRegular(path, MaxText)
	if err != nil {
		return Text{}, Refuse(path, Mistake{"", fmt.Sprintf("cannot read the configuration: %v", WithoutPath(err))})
	}
	return Text{path, text}, nil
}

// Load is LoadTexts of one text.
func Load(name string, text []byte, environ []string, flags *pflag.FlagSet) (*Config, error) {
	return LoadTexts([]Text{{name, text}}, environ, flags)
}

// LoadTexts merges defaults, texts in their order, environment and flags, each
// overriding the one before. Its error is an *Error with every mistake.
func LoadTexts(texts []Text, environ []string, flags *pflag.FlagSet) (*Config, error) {
	m, err := merge(texts, environ, flags)
	if err != nil {
		return nil, err
	}
	c, mistakes := build(m.values)
	mistakes = andOthers(m.mistakes, mistakes)
	c.refuse = func(mistakes ...Mistake) error { return refuseAt(m.name, m.at, m.variables, mistakes) }
	if len(mistakes) > 0 {
		return nil, c.refuse(mistakes...)
	}
	return c, nil
}

// A merged configuration holds the values of texts, environment and flags.
type merged struct {
	name      string // of the texts, in messages
	values    *koanf.Koanf
	at        places
	variables map[string]string // which variable or flag set a field
	mistakes  []Mistake         // of references that cannot be replaced
}

func merge(texts []Text, environ []string, flags *pflag.FlagSet) (*merged, error) {
	m := &merged{name: Names(texts), values: koanf.New("."), at: places{}}
	for _, text := range texts {
		r := textReader{name: text.Name, lookup: lookup(environ), places: m.at}
		values, err := r.read(text.YAML)
		if err != nil {
			line, problem := YAMLMistake(err)
			return nil, Refuse(cmp.Or(placed(text.Name, line), text.Name), Mistake{"", problem})
		}
		m.mistakes = append(m.mistakes, r.mistakes...)
		if err := m.values.Load(rawMap(values), nil); err != nil {
			return nil, Refuse(text.Name, Mistake{"", err.Error()})
		}
	}
	var err error
	if m.variables, err = loadEnvironment(m.values, environ); err != nil {
		return nil, Refuse(m.name, Mistake{"", "environment: " + err.Error()})
	}
	if flags != nil {
		err := m.values.Load(posflag.ProviderWithFlag(flags, ".", nil, func(f *pflag.Flag) (string, any) {
			if f.Changed && flagKeys[f.Name] != "" {
				m.variables[flagKeys[f.Name]] = "--" + f.Name
			}
			return flagKeys[f.Name], posflag.FlagVal(flags, f)
		}), nil)
		if err != nil {
			return nil, Refuse(m.name, Mistake{"", "flags: " + err.Error()})
		}
	}
	return m, nil
}

// build returns the Config, or every mistake in it.
func build(k *koanf.Koanf) (*Config, []Mistake) {
	sources, mistakes := buildEntries(k, "sources", SourceKinds, "sources: {local: {type: files, paths: [trail.json]}}")
	sinks, more := buildEntries(k, "sinks", SinkKinds, "sinks: {console: {type: stdout}}")
	mistakes = append(mistakes, more...)
	whole := document{Settings: Defaults()}
	wrong := decode(k, "", &whole)
	c := &Config{Settings: whole.Settings, Sources: sources, Sinks: sinks}
	mistakes = append(append(mistakes, c.Settings.mistakes()...), slices.Concat(c.listenerMistakes(), c.topicMistakes())...)
	if named, ok := k.Get("sinks").(map[string]any); ok {
		mistakes = append(mistakes, c.routeMistakes(slices.Sorted(maps.Keys(named)))...)
	}
	return c, andOthers(wrong, mistakes)
}

// A document is every key of a file. The type of an entry decides its other keys.
type document struct {
	Settings `koanf:",squash"`
	Sources  any `koanf:"sources"`
	Sinks    any `koanf:"sinks"`
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
		all = append(all, andOthers(decode(k, path, e), MistakesOf(path, e.Validate()))...)
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

// YAMLMistake returns the line of a YAML parser's error, "" if it names none, and
// the error on one line. It repeats only errors about the form of the text, so that
// it quotes no secret.
func YAMLMistake(err error) (line, problem string) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	text = strings.TrimPrefix(text, "unmarshal errors:\n  ")
	text, _, _ = strings.Cut(text, "\n")
	if at, rest, ok := strings.Cut(text, ": "); ok && strings.HasPrefix(at, "line ") {
		line, text = strings.TrimPrefix(at, "line "), rest
	}
	switch {
	case errors.As(err, new(secondDocument)):
		return line, text
	case strings.Contains(text, "cannot unmarshal"):
		return line, "want a map of keys to values, such as sources: {…}, got something else"
	case strings.Contains(text, "unknown anchor"):
		return line, "not YAML: a value that begins with * needs quotes"
	case strings.Contains(text, "cannot start any token"):
		return line, "not YAML: indent with spaces, not tabs, and put a value that begins with @, % or ` in quotes"
	case yamlForm().MatchString(text):
		return line, "not YAML: " + Bounded(text)
	}
	return line, "not readable as YAML; check for values that need quotes"
}

// yamlForm matches errors about the form of the text.
var yamlForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(did not find|could not find|found |mapping key|mapping values|block |control characters|invalid leading|incomplete )`)
})
