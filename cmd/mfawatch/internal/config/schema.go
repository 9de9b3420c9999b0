package config

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"
)

// Schema returns the JSON Schema of configurations, made from the structs that they
// are read into. A reference such as ${NAME} may stand for every value.
func Schema() map[string]any {
	settings := Defaults()
	top := object(reflect.ValueOf(settings))
	properties := top["properties"].(map[string]any)
	properties["sources"] = entriesSchema(SourceKinds)
	properties["sinks"] = entriesSchema(SinkKinds)
	top["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	top["title"] = "The configuration of mfawatch"
	return top
}

// entriesSchema returns the schema of entries by name, each of one type.
func entriesSchema[E Entry](kinds map[string]func() E) map[string]any {
	var each []any
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		s := object(reflect.ValueOf(kinds[kind]()).Elem())
		s["properties"].(map[string]any)["type"] = map[string]any{"const": kind}
		s["required"] = []string{"type"}
		each = append(each, s)
	}
	return map[string]any{
		"type": "object", "minProperties": 1,
		"propertyNames":        map[string]any{"pattern": validName().String(), "maxLength": 63},
		"additionalProperties": map[string]any{"oneOf": each},
	}
}

// object returns the schema of a struct. Its value holds the defaults.
func object(v reflect.Value) map[string]any {
	properties := map[string]any{}
	for key, field := range fieldsOf(v) {
		properties[key] = valueSchema(field)
	}
	return map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
}

// valueSchema returns the schema of a field. Text converts to every other type.
func valueSchema(v reflect.Value) map[string]any {
	t := v.Type()
	if t.Kind() == reflect.Pointer {
		return valueSchema(reflect.Zero(t.Elem()))
	}
	s := map[string]any{"type": "string"}
	switch {
	case t == durationType:
		s["pattern"] = `^-?[0-9].*(ns|us|µs|ms|[smhd])$|^-?0$|\$\{`
	case t == timeType:
		s["pattern"] = `^[0-9]{4}-[0-9]{2}-[0-9]{2}T|\$\{`
	case reflect.PointerTo(t).Implements(textType):
	default:
		s = kindSchema(v)
	}
	switch d, isDuration := v.Interface().(time.Duration); {
	case v.IsZero() && t.Kind() != reflect.Bool:
	case isDuration:
		s["default"] = FormatDuration(d)
	case t.Kind() == reflect.String || t.Kind() == reflect.Bool || v.CanInt() || v.CanFloat():
		s["default"] = v.Interface()
	default:
		if m, ok := v.Interface().(encoding.TextMarshaler); ok {
			s["default"] = fmt.Sprint(m)
		}
	}
	return s
}

func kindSchema(v reflect.Value) map[string]any {
	t := v.Type()
	switch t.Kind() {
	case reflect.Struct:
		return object(v)
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": valueSchema(reflect.Zero(t.Elem()))}
	case reflect.Slice:
		return map[string]any{"type": []string{"array", "string"}, "items": valueSchema(reflect.Zero(t.Elem()))}
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": []string{"boolean", "string"}}
	case reflect.Float64:
		return map[string]any{"type": []string{"number", "string"}}
	case reflect.Interface:
		return map[string]any{}
	}
	return map[string]any{"type": []string{"integer", "string"}}
}
