package config

import (
	"bytes"
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// hidden replaces secrets.
const hidden = "(hidden)"

// Effective returns the configuration as YAML, with defaults and without secrets.
func Effective(c *Config) ([]byte, error) {
	node := mappingNode()
	for _, section := range []struct {
		name    string
		entries map[string]any
	}{{"sources", entriesOf(c.Sources)}, {"sinks", entriesOf(c.Sinks)}} {
		body := mappingNode()
		for _, name := range slices.Sorted(maps.Keys(section.entries)) {
			entry := mappingNode()
			addFields(entry, join(section.name, name), reflect.ValueOf(section.entries[name]).Elem())
			addPair(body, name, entry)
		}
		addPair(node, section.name, body)
	}
	addFields(node, "", reflect.ValueOf(c.Settings))
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	err := e.Encode(node)
	return b.Bytes(), err
}

func entriesOf[T any](entries map[string]T) map[string]any {
	all := make(map[string]any, len(entries))
	for name, e := range entries {
		all[name] = e
	}
	return all
}

// addFields adds a struct's fields under their keys, in the order they are
// declared. Empty fields are left out.
func addFields(node *yaml.Node, path string, v reflect.Value) {
	for key, field := range fieldsOf(v) {
		if value := valueNode(join(path, key), field); value != nil {
			addPair(node, key, value)
		}
	}
}

func valueNode(path string, v reflect.Value) *yaml.Node {
	if v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	if j, ok := v.Interface().(JournalConfig); ok {
		v = reflect.ValueOf(j.effective())
	}
	if d, ok := v.Interface().(time.Duration); ok {
		return textNode(FormatDuration(d))
	}
	if Secret(path) {
		if v.IsZero() {
			return nil
		}
		return textNode(hidden)
	}
	if v.Kind() == reflect.Map {
		node := mappingNode()
		for _, key := range slices.SortedFunc(slices.Values(v.MapKeys()), func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) }) {
			addPair(node, key.String(), valueNode(join(path, key.String()), v.MapIndex(key)))
		}
		if len(node.Content) == 0 {
			return nil
		}
		return node
	}
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		if text, err := m.MarshalText(); err == nil && !v.IsZero() {
			return textNode(Escape(string(text)))
		}
		return nil
	}
	switch v.Kind() {
	case reflect.Struct:
		node := mappingNode()
		addFields(node, path, v)
		if len(node.Content) == 0 {
			return nil
		}
		return node
	case reflect.Slice:
		if v.Len() == 0 {
			return nil
		}
		node := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for i := range v.Len() {
			if item := valueNode(path, v.Index(i)); item != nil {
				node.Content = append(node.Content, item)
			}
		}
		return node
	case reflect.String:
		if v.Len() == 0 {
			return nil
		}
		return textNode(Escape(v.String()))
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprint(v.Interface())}
}

func mappingNode() *yaml.Node { return &yaml.Node{Kind: yaml.MappingNode} }

func textNode(text string) *yaml.Node {
	var n yaml.Node
	n.SetString(text)
	return &n
}

func addPair(node *yaml.Node, key string, value *yaml.Node) {
	if value == nil {
		value = textNode("")
	}
	node.Content = append(node.Content, textNode(key), value)
}

// Secret reports whether a field holds a secret, rather than the name of a file
// with one. It decides by name, so that it works for unknown keys, too.
func Secret(path string) bool {
	name := path[strings.LastIndexByte(path, '.')+1:]
	name, _, _ = strings.Cut(name, "[")
	switch {
	case strings.Contains(path+".", ".headers."), strings.Contains(path, ".recipients"):
		return true // whatever the header or the sink is called
	case strings.HasSuffix(name, "_file"), strings.HasSuffix(name, "_files"):
		return false
	}
	for _, word := range []string{"passw", "secret", "token", "passphrase", "credential", "webhook"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return strings.HasSuffix(name, "key")
}
