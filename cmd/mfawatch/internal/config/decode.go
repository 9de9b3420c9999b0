package config

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/v2"
)

// decode decodes k at path over into, a pointer to a struct with the defaults.
// Unknown keys and values of the wrong type are mistakes.
func decode(k *koanf.Koanf, path string, into any) []Mistake {
	raw, ok := k.Get(path).(map[string]any)
	if !ok {
		return []Mistake{{path, "want a map of keys to values, got " + shown(path, k.Get(path))}}
	}
	mistakes := unknownKeys(path, raw, reflect.TypeOf(into).Elem())
	unknown := len(mistakes) > 0
	err := k.UnmarshalWithConf(path, into, koanf.UnmarshalConf{DecoderConfig: &mapstructure.DecoderConfig{
		ErrorUnused: true,
		MatchName:   func(key, field string) bool { return key == field },
		DecodeHook:  convert,
	}})
	for _, m := range MistakesOf(path, err) {
		// unknownKeys reports these better.
		if unknown && strings.HasPrefix(m.Problem, "has invalid keys") {
			continue
		}
		mistakes = append(mistakes, m)
	}
	return mistakes
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	timeType     = reflect.TypeFor[time.Time]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// convert converts a value of YAML, the environment or flags to a field's type.
// Text, which is all that the environment has, converts to numbers, booleans and
// comma-separated lists; nothing converts to text.
func convert(from, to reflect.Value) (any, error) {
	value := from.Interface()
	given := value // in messages
	if n, ok := value.(number); ok && to.Kind() != reflect.String && to.Kind() != reflect.Interface {
		from, value = reflect.ValueOf(n.Value), n.Value
	}
	if date, ok := value.(time.Time); ok { // YAML reads an unquoted date as one
		value = date.Format(time.RFC3339)
		given = value
	}
	text, isText := value.(string)
	want := to.Type()
	bad := func() (any, error) { return nil, wrongKind{want, given} }
	switch {
	case want == durationType:
		if d, err := ParseDuration(text); isText && err == nil {
			return d, nil
		}
		return bad()
	case want == timeType:
		if at, err := time.Parse(time.RFC3339, text); isText && err == nil {
			return at.UTC(), nil
		}
		return bad()
	case reflect.PointerTo(want).Implements(textType):
		if !isText {
			return bad()
		}
		into := reflect.New(want)
		if err := into.Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
			return nil, err
		}
		return into.Elem().Interface(), nil
	}
	switch want.Kind() {
	case reflect.String:
		if !isText {
			return bad()
		}
	case reflect.Slice:
		if isText {
			return splitList(text), nil
		}
		if from.Kind() != reflect.Slice {
			return bad()
		}
	case reflect.Struct, reflect.Map:
		if from.Kind() != reflect.Map && from.Kind() != reflect.Struct {
			return bad()
		}
	case reflect.Bool:
		if b, err := strconv.ParseBool(text); isText && err == nil {
			return b, nil
		}
		if from.Kind() != reflect.Bool {
			return bad()
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, err := integer(value)
		if err != nil || to.OverflowInt(n) {
			return bad()
		}
		return n, nil
	case reflect.Float64:
		if f, err := strconv.ParseFloat(strings.TrimSpace(text), 64); isText && err == nil {
			return f, nil
		}
		if k := from.Kind(); k != reflect.Int && k != reflect.Int64 && k != reflect.Float64 {
			return bad()
		}
	}
	return value, nil
}

func integer(value any) (int64, error) {
	switch v := value.(type) {
	case int:
		return int64(v), nil
	case int64:
		return v, nil
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v), nil
		}
	case string:
		return strconv.ParseInt(strings.TrimSpace(v), 10, 64)
	}
	return 0, errors.New("not a whole number")
}

func splitList(text string) []any {
	var list []any
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}

// ParseDuration parses a duration in Go's form or in days: 90s, 1h30m, 35d.
func ParseDuration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseInt(days, 10, 64)
		if err != nil || n > math.MaxInt64/int64(24*time.Hour) || n < math.MinInt64/int64(24*time.Hour) {
			return 0, errors.New("not a number of days")
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	return time.ParseDuration(text)
}

// FormatDuration returns a duration in the form that ParseDuration accepts,
// without trailing zero units.
func FormatDuration(d time.Duration) string {
	if day := 24 * time.Hour; d != 0 && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// wrongKind is the error of a value of the wrong type. describe adds the value,
// unless the field is a secret.
type wrongKind struct {
	want reflect.Type
	got  any
}

func (e wrongKind) Error() string { return "want " + kindName(e.want) }

func kindName(t reflect.Type) string {
	if t == durationType {
		return "a duration such as 90s, 15m or 35d"
	}
	if t == timeType {
		return "a time such as 2026-05-01T18:00:00Z"
	}
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Slice:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "a map of keys to values"
	case reflect.Pointer:
		return kindName(t.Elem())
	}
	return "a value that can be read as " + t.String()
}

// shown returns a value for a message: bounded, and hidden if the field may hold
// a secret.
func shown(field string, value any) string {
	switch v := value.(type) {
	case nil:
		return "nothing"
	case map[string]any, map[any]any:
		return "a map"
	case []any:
		return "a list"
	case string:
		if Secret(field) {
			return "a text that is not shown"
		}
		return strconv.Quote(Bounded(v))
	default:
		if Secret(field) {
			return "a value that is not shown"
		}
		return Bounded(fmt.Sprint(v))
	}
}

// Bounded returns at most 60 characters of text.
func Bounded(text string) string {
	if r := []rune(text); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return text
}

// Clean returns a key made safe for a terminal.
func Clean(key string) string {
	for _, r := range key {
		if !unicode.IsPrint(r) {
			return strconv.Quote(Bounded(key))
		}
	}
	return Bounded(key)
}
