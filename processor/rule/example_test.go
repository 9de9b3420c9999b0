package rule_test

import (
	"fmt"

	"github.com/mfawatch/mfawatch/processor/rule"
)

func ExampleCompile() {
	m, err := rule.Compile(map[string]any{
		"user":      []any{"svc-*", "deploy"},
		"source_ip": map[string]any{"not": "10.0.0.0/8"},
		"severity":  ">= high",
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(m)
	fmt.Println(m.Match(&rule.Facts{User: "svc-backup", SourceIP: "203.0.113.7", Severity: "critical"}))
	fmt.Println(m.Match(&rule.Facts{User: "svc-backup", SourceIP: "10.1.2.3", Severity: "critical"}))

	_, err = rule.Compile(map[string]any{"usr": "bob", "step": "open"})
	fmt.Println(err)
	// Output:
	// user: [svc-*, deploy], source_ip: {not: "10.0.0.0/8"}, severity: ">= high"
	// true
	// false
	// step: unknown open; did you mean opened?
	// usr: unknown field; did you mean user?
}

func ExampleMatcher_Never() {
	m, _ := rule.Compile(map[string]any{"root": true, "privileged": false})
	fmt.Println(m.Never())
	// Output: root is always privileged
}
