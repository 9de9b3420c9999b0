package web

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/journal/outbox"
)

// An openAPI is the part of the document that the test compares.
type openAPI struct {
	OpenAPI string `yaml:"openapi"`
	Paths   map[string]map[string]struct {
		OperationID string `yaml:"operationId"`
		Parameters  []struct {
			Name, In string
			Schema   schema
		}
		Responses map[string]any
	}
	Components struct{ Schemas map[string]schema }
}

type schema struct {
	Type       any
	Ref        string `yaml:"$ref"`
	Properties map[string]schema
	Required   []string
	Items      *schema
	AllOf      []schema `yaml:"allOf"`
	OneOf      []schema `yaml:"oneOf"`
}

// schemaTypes are the types of answers and bodies, by the name of their schema.
var schemaTypes = map[string]reflect.Type{
	"Exposure": reflect.TypeFor[Exposure](), "ExposurePage": reflect.TypeFor[ExposurePage](), "ExposureStory": reflect.TypeFor[ExposureStory](),
	"Closing": reflect.TypeFor[Closing](), "AlertPage": reflect.TypeFor[AlertPage](), "RecordedAlert": reflect.TypeFor[outbox.Recorded](), "ListedAlert": reflect.TypeFor[ListedAlert](),
	"Shard": reflect.TypeFor[Shard](), "ShardList": reflect.TypeFor[ShardList](),
	"Delivery": reflect.TypeFor[outbox.Delivery](), "Alert": reflect.TypeFor[exposure.Alert](), "AlertActor": reflect.TypeFor[exposure.AlertActor](),
	"AlertDevice": reflect.TypeFor[exposure.AlertDevice](), "AlertEvent": reflect.TypeFor[exposure.AlertEvent](), "AlertAttempts": reflect.TypeFor[exposure.AlertAttempts](),
	"AlertUsers": reflect.TypeFor[exposure.AlertUsers](), "AlertPlannedChange": reflect.TypeFor[exposure.AlertPlannedChange](),
	"AlertLeftBehind": reflect.TypeFor[exposure.AlertLeftBehind](), "DeadLetter": reflect.TypeFor[DeadLetter](), "QuarantinedRecord": reflect.TypeFor[journal.Quarantined](),
	"Outcome": reflect.TypeFor[Outcome](), "SinkStatus": reflect.TypeFor[SinkStatus](), "SinkList": reflect.TypeFor[SinkList](),
	"Overview": reflect.TypeFor[Overview](), "Failure": reflect.TypeFor[Failure](), "Counted": reflect.TypeFor[Counted](),
	"SourceStatus": reflect.TypeFor[SourceStatus](), "SourceList": reflect.TypeFor[SourceList](), "Changes": reflect.TypeFor[config.Changes](),
}

// Each route and each field is in the document, and nothing else is.
func TestOpenAPI(t *testing.T) {
	text, err := os.ReadFile("../../../../deploy/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc openAPI
	if err := yaml.Unmarshal(text, &doc); err != nil || !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Fatalf("%q, %v", doc.OpenAPI, err)
	}
	want := []string{"POST /-/reload"}
	parameters := map[string][]string{}
	for _, r := range append(append((&Admin{}).routes(), board{}.routes()...), (&query{}).shardsRoute()) {
		want = append(want, r.pattern)
		parameters[r.pattern] = slices.Sorted(slices.Values(strings.Fields(r.parameters)))
	}
	var got []string
	ids := map[string]bool{}
	for path, methods := range doc.Paths {
		for method, operation := range methods {
			if method == "parameters" {
				continue
			}
			pattern := strings.ToUpper(method) + " " + path
			got = append(got, pattern)
			var documented []string
			for _, p := range operation.Parameters {
				if p.In != "query" {
					continue
				}
				if p.Schema.Items != nil {
					p.Name += "*"
				}
				documented = append(documented, p.Name)
			}
			if slices.Sort(documented); !slices.Equal(documented, parameters[pattern]) {
				t.Errorf("%s has the parameters %v in the document, and %v", pattern, documented, parameters[pattern])
			}
			if len(documented) > 0 && operation.Responses["400"] == nil {
				t.Errorf("%s: no response 400", pattern)
			}
			for _, status := range []string{"200", "401", "403"} {
				if operation.Responses[status] == nil {
					t.Errorf("%s %s: no response %s", method, path, status)
				}
			}
			if operation.OperationID == "" || ids[operation.OperationID] {
				t.Errorf("%s %s: operationId %q", method, path, operation.OperationID)
			}
			ids[operation.OperationID] = true
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the document has %v,\nthe program %v", got, want)
	}
	for name := range doc.Components.Schemas {
		if schemaTypes[name] == nil {
			t.Errorf("schema %s is of no type", name)
		}
	}
	for name, of := range schemaTypes {
		s, ok := doc.Components.Schemas[name]
		if !ok {
			t.Errorf("no schema %s", name)
			continue
		}
		fields := fieldsOf(of)
		for field, f := range fields {
			p, ok := s.Properties[field]
			if !ok {
				t.Errorf("%s: no field %s (%s)", name, field, f.kind)
				continue
			}
			if got := p.kind(); got != f.kind {
				t.Errorf("%s.%s is %s in the document, and %s", name, field, got, f.kind)
			}
			if required := slices.Contains(s.Required, field); required == f.optional {
				t.Errorf("%s.%s: required is %v", name, field, required)
			}
		}
		for field := range s.Properties {
			if _, ok := fields[field]; !ok {
				t.Errorf("%s: field %s is not the program's", name, field)
			}
		}
	}
}

// kind describes a schema in one word: a type, "null" behind it where that may be;
// a reference; or a list of these.
func (s schema) kind() string {
	switch {
	case s.Ref != "":
		return s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]
	case len(s.OneOf) == 2:
		return s.OneOf[0].kind() + " null"
	case s.Items != nil:
		return "[]" + s.Items.kind()
	}
	if list, ok := s.Type.([]any); ok {
		return list[0].(string) + " null"
	}
	text, _ := s.Type.(string)
	return text
}

type field struct {
	kind     string
	optional bool
}

// fieldsOf returns the fields of a type as JSON, those of embedded types included.
func fieldsOf(of reflect.Type) map[string]field {
	all := map[string]field{}
	for _, f := range reflect.VisibleFields(of) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || !f.IsExported() || name == "-" {
			continue
		}
		all[name] = field{kindOf(f.Type, strings.Contains(options, "omit")), strings.Contains(options, "omit")}
	}
	return all
}

func kindOf(of reflect.Type, optional bool) string {
	for name, known := range schemaTypes {
		if known == of {
			return name
		}
	}
	switch {
	case of == reflect.TypeFor[time.Time](), of.Kind() == reflect.String, of == reflect.TypeFor[[]byte]():
		return "string"
	case of == reflect.TypeFor[json.RawMessage]():
		return "object null"
	}
	switch of.Kind() {
	case reflect.Bool:
		return "boolean"
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint64:
		return "integer"
	case reflect.Float64:
		return "number"
	case reflect.Slice:
		return "[]" + kindOf(of.Elem(), false)
	case reflect.Pointer:
		if kind := kindOf(of.Elem(), false); optional || strings.HasSuffix(kind, " null") {
			return kind
		}
		return kindOf(of.Elem(), false) + " null"
	}
	return of.String()
}
