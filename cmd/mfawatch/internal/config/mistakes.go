package config

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/go-viper/mapstructure/v2"

	"github.com/mfawatch/mfawatch/processor/rule"
)

// An Error lists every mistake in a configuration, each with its place, field, value
// and the expected form.
type Error struct {
	Name     string // where the configuration came from
	Mistakes []Mistake
	places   []string // file:line of each mistake; nil or "": unknown
}

// Refuse returns the Error of mistakes in the named configuration or command line.
func Refuse(name string, mistakes ...Mistake) error { return &Error{Name: name, Mistakes: mistakes} }

// refuseAt returns the Error of mistakes in files, each with its place or with the
// variable or flag that set the field.
func refuseAt(name string, at places, variables map[string]string, mistakes []Mistake) error {
	slices.SortStableFunc(mistakes, func(a, b Mistake) int { return strings.Compare(a.Field, b.Field) })
	e := &Error{name, mistakes, make([]string, len(mistakes))}
	for i, m := range mistakes {
		variable := fromVariable(variables, m.Field)
		switch {
		case variable == "":
			e.places[i] = at.of(m.Field)
		case strings.HasPrefix(m.Problem, "unknown key") && !strings.Contains(m.Field, "."):
			e.Mistakes[i].Problem, _, _ = strings.Cut(m.Problem, "; known")
			e.Mistakes[i].Problem += misspelt(m.Field, variable)
		default:
			e.Mistakes[i].Problem += " (from " + variable + ")"
		}
	}
	return e
}

// A Mistake is one wrong field. The problem holds no secret.
type Mistake struct{ Field, Problem string }

// andOthers returns mistakes of decoding with those of validation, except those that
// follow from a value that was not decoded.
func andOthers(decoding, validation []Mistake) []Mistake {
	var wrong []string
	for _, m := range decoding {
		wrong = append(wrong, m.Field)
		if _, meant, ok := strings.Cut(m.Problem, "; did you mean "); ok && strings.HasPrefix(m.Problem, "unknown key") {
			meant, _, _ = strings.Cut(meant, "?")
			wrong = append(wrong, m.Field[:strings.LastIndex(m.Field, ".")+1]+meant)
		}
	}
	follows := func(m Mistake) bool {
		return slices.ContainsFunc(wrong, func(field string) bool { return within(m.Field, field) || within(field, m.Field) })
	}
	return append(slices.Clone(decoding), slices.DeleteFunc(slices.Clone(validation), follows)...)
}

// within reports whether a field is another one or a part of that. A secret and the
// file with it are one field.
func within(field, whole string) bool {
	rest, ok := strings.CutPrefix(strings.TrimSuffix(field, "_file"), strings.TrimSuffix(whole, "_file"))
	return ok && (whole == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}

// String returns the mistake in one line.
func (m Mistake) String() string {
	if m.Field == "" {
		return m.Problem
	}
	return m.Field + ": " + m.Problem
}

// Error returns every mistake, on separate lines if there are several.
func (e *Error) Error() string {
	place := func(i int) string {
		if e.places == nil {
			return ""
		}
		return e.places[i]
	}
	if len(e.Mistakes) == 1 {
		return cmp.Or(place(0), e.Name) + ": " + e.Mistakes[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d mistakes:", e.Name, len(e.Mistakes))
	for i, m := range e.Mistakes {
		b.WriteString("\n  ")
		if at := place(i); at != "" {
			b.WriteString(at + ": ")
		}
		b.WriteString(m.String())
	}
	return b.String()
}

// MistakesOf returns one mistake for each leaf in a tree of errors of decoding and
// validation. Fields are prefixed with prefix.
func MistakesOf(prefix string, err error) []Mistake {
	switch e := err.(type) { //nolint:errorlint // errors.As would not see the siblings
	case nil:
		return nil
	case *mapstructure.DecodeError:
		field := join(prefix, e.Name())
		return []Mistake{{field, describe(field, e.Unwrap())}}
	case interface{ Unwrap() []error }:
		var all []Mistake
		for _, inner := range e.Unwrap() {
			all = append(all, MistakesOf(prefix, inner)...)
		}
		return all
	}
	if inner := errors.Unwrap(err); inner != nil && strings.HasPrefix(err.Error(), "decoding failed") {
		return MistakesOf(prefix, inner) // mapstructure's heading
	}
	field, problem, ok := strings.Cut(err.Error(), ": ")
	if ok && fieldName().MatchString(field) {
		return []Mistake{{join(prefix, field), problem}}
	}
	return []Mistake{{prefix, err.Error()}}
}

// fieldName is the form of a key in an error of Validate.
var fieldName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[a-z0-9_]+(\[[0-9]+\])?(\.[a-z0-9_]+(\[[0-9]+\])?)*$`)
})

// describe returns an error of decoding in the words of a configuration.
func describe(field string, err error) string {
	var unconvertible *mapstructure.UnconvertibleTypeError
	var parse *mapstructure.ParseError
	var kind wrongKind
	switch {
	case errors.As(err, &kind):
		return wanted(field, kind.want, kind.got)
	case errors.As(err, &unconvertible):
		return wanted(field, unconvertible.Expected.Type(), unconvertible.Value)
	case errors.As(err, &parse):
		return wanted(field, parse.Expected.Type(), parse.Value)
	}
	return err.Error()
}

// wanted returns the message about a value of the wrong type.
func wanted(field string, want reflect.Type, got any) string {
	name := kindName(want)
	switch got.(type) {
	case number, int, float64, bool:
		if want.Kind() == reflect.String {
			name = "text, in quotes"
		}
	}
	return fmt.Sprintf("want %s, got %s", name, shown(field, got))
}

// unknownKeys returns a mistake for each key of raw without a field in t.
func unknownKeys(prefix string, raw map[string]any, t reflect.Type) []Mistake {
	known := Keys(t)
	names := slices.Sorted(maps.Keys(known))
	var all []Mistake
	for key, value := range raw {
		field, ok := known[key]
		if !ok {
			all = append(all, Mistake{join(prefix, Clean(key)), "unknown key" + suggestion(key, names)})
			continue
		}
		if field.Kind() == reflect.Pointer {
			field = field.Elem()
		}
		if sub, isMap := value.(map[string]any); isMap && field.Kind() == reflect.Struct {
			all = append(all, unknownKeys(join(prefix, key), sub, field)...)
		}
		if list, isList := value.([]any); isList && field.Kind() == reflect.Slice && field.Elem().Kind() == reflect.Struct {
			for i, item := range list {
				if sub, isMap := item.(map[string]any); isMap {
					all = append(all, unknownKeys(fmt.Sprintf("%s[%d]", join(prefix, key), i), sub, field.Elem())...)
				}
			}
		}
	}
	return all
}

// Keys returns the configuration keys of a struct, squashed ones included.
func Keys(t reflect.Type) map[string]reflect.Type {
	fields := make(map[string]reflect.Type)
	for key, field := range fieldsOf(reflect.Zero(t)) {
		fields[key] = field.Type()
	}
	return fields
}

// fieldsOf yields the fields of a struct under their keys, in the order in which they
// are declared, squashed ones included.
func fieldsOf(v reflect.Value) iter.Seq2[string, reflect.Value] {
	return func(yield func(string, reflect.Value) bool) {
		for f, field := range v.Fields() {
			key, options, _ := strings.Cut(f.Tag.Get("koanf"), ",")
			if options == "squash" {
				for key, field := range fieldsOf(field) {
					if !yield(key, field) {
						return
					}
				}
			} else if key != "" && key != "-" && !yield(key, field) {
				return
			}
		}
	}
}

// elsewhere holds the words that others have for our keys.
var elsewhere = map[string]string{
	"input": "sources", "inputs": "sources", "output": "sinks", "outputs": "sinks", "receivers": "sinks", "notifiers": "sinks",
}

func suggestion(key string, known []string) string {
	if ours := elsewhere[key]; slices.Contains(known, ours) {
		return "; did you mean " + ours + "?"
	}
	return Suggestion(key, known)
}

// Suggestion returns the end of a message about an unknown word.
func Suggestion(word string, known []string) string { return rule.Suggestion(word, known) }

func join(prefix, field string) string {
	switch {
	case prefix == "":
		return field
	case field == "":
		return prefix
	}
	return prefix + "." + field
}
