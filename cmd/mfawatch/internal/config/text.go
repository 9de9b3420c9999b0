package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A Text is one file of a configuration, YAML.
type Text struct {
	Name string // in messages
	YAML []byte
}

// Names returns the names of texts, for messages.
func Names(texts []Text) string {
	names := make([]string, len(texts))
	for i, t := range texts {
		names[i] = t.Name
	}
	return strings.Join(names, ", ")
}

// A textReader reads the values of texts, and records where each stands.
type textReader struct {
	name     string
	lookup   func(variable string) (string, bool) // nil: references are not replaced
	places   places
	mistakes []Mistake // of references that cannot be replaced
}

// places holds the file and line of each field, as file:line.
type places map[string]string

// of returns the place of a field, or of what it belongs to.
func (p places) of(field string) string {
	for field != "" {
		if at, ok := p[field]; ok {
			return at
		}
		field = field[:max(0, strings.LastIndexAny(field, ".["))]
	}
	return p[""] // of a text that is not YAML
}

// read returns the values of a text.
func (r *textReader) read(text []byte) (map[string]any, error) {
	var top yaml.Node
	// The library refuses repeated keys, and aliases that multiply.
	if err := yaml.Unmarshal(text, new(map[string]any)); err != nil {
		return nil, err
	}
	documents := yaml.NewDecoder(bytes.NewReader(text))
	if err := documents.Decode(&top); err != nil || len(top.Content) == 0 {
		if errors.Is(err, io.EOF) { // it is empty
			return nil, nil
		}
		return nil, err
	}
	var next yaml.Node
	if err := documents.Decode(&next); err == nil && len(next.Content) > 0 && next.Content[0].ShortTag() != "!!null" {
		return nil, secondDocument(next.Content[0].Line)
	} else if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	values, _ := r.value("", top.Content[0]).(map[string]any)
	return values, nil
}

// A secondDocument is the line of a second YAML document in a text. Only the first
// one would have an effect.
type secondDocument int

func (line secondDocument) Error() string {
	return fmt.Sprintf("line %d: want one YAML document, got a second one after ---; remove the ---, or give each document a file and a -c", int(line))
}

func (r *textReader) value(field string, n *yaml.Node) any {
	// The tag may be the beginning of a password, so it is not shown.
	if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
		r.mistakes = append(r.mistakes, Mistake{field, "begins with !, and YAML would drop the word behind it; put the value in quotes"})
	}
	switch n.Kind {
	case yaml.AliasNode:
		return r.value(field, n.Alias)
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			r.pair(field, m, n.Content[i], n.Content[i+1])
		}
		return m
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			at := fmt.Sprintf("%s[%d]", field, i)
			r.place(at, item)
			list[i] = r.value(at, item)
		}
		return list
	}
	var v any
	_ = n.Decode(&v) // read has decoded it before
	switch value := v.(type) {
	case string:
		return r.expand(field, value)
	case int, int64, uint64, float64:
		if fmt.Sprint(v) != n.Value {
			return number{v, n.Value}
		}
	}
	return v
}

// pair adds one key to a map. The keys of a merge (<<) give way to those beside it.
func (r *textReader) pair(field string, m map[string]any, key, value *yaml.Node) {
	if key.Kind == yaml.AliasNode {
		key = key.Alias
	}
	if key.ShortTag() != "!!merge" {
		at := join(field, Clean(key.Value))
		r.place(at, key)
		m[key.Value] = r.value(at, value)
		return
	}
	merged := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		merged = value.Content
	}
	for _, n := range merged {
		other, _ := r.value(field, n).(map[string]any)
		for name, v := range other {
			if _, ok := m[name]; !ok {
				m[name] = v
			}
		}
	}
}

func (r *textReader) place(field string, n *yaml.Node) {
	r.places[field] = placed(r.name, strconv.Itoa(n.Line))
}

// placed returns file:line, "" without a line.
func placed(file, line string) string {
	if line == "" {
		return ""
	}
	return file + ":" + line
}

// A number keeps the digits that it was written with, such as those of an account
// that begins with 0.
type number struct {
	Value  any
	Digits string
}

func (n number) String() string { return n.Digits }
