package rule

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

func FuzzCompile(f *testing.F) {
	f.Add(`{"user":"svc-*","source_ip":["10.0.0.0/8","x.com"],"severity":">= high"}`, "svc-a")
	f.Add(`{"user":{"is":["a","b"],"not":"\u0085"},"mfa":[true,"unknown"],"step":{"not":"opened"}}`, "\xff")
	f.Fuzz(func(t *testing.T, config, text string) {
		var raw map[string]any
		if json.Unmarshal([]byte(config), &raw) != nil {
			return
		}
		m, err := Compile(raw)
		if err != nil {
			if err.Error() == "" {
				t.Fatal("an error without words")
			}
			return
		}
		if len(m.conditions) == 0 {
			return
		}
		facts := Facts{User: text, Actor: text, SourceIP: text, Severity: text, Account: text}
		var again map[string]any
		if err := yaml.Unmarshal([]byte("{"+m.String()+"}"), &again); err != nil {
			t.Fatalf("printed as %s: %v", m, err)
		}
		n, err := Compile(again)
		if err != nil {
			t.Fatalf("printed as %s: %v", m, err)
		}
		if m.String() != n.String() || m.Match(&facts) != n.Match(&facts) {
			t.Fatalf("printed as %s, read as %s", m, n)
		}
		if !m.Covers(m) {
			t.Fatalf("%s does not cover itself", m)
		}
	})
}

// A glob matches like the equivalent regular expression.
func FuzzGlob(f *testing.F) {
	for _, s := range [][3]string{{"a*b", "aXb", "a*"}, {"?", "é", "??"}, {"*a*b*", "AABB", "*"}, {"", "", "?*"}} {
		f.Add(s[0], s[1], s[2])
	}
	f.Fuzz(func(t *testing.T, pattern, text, other string) {
		if len(pattern) > 50 || len(other) > 50 || len(text) > 200 || !utf8.ValidString(pattern+text+other) {
			return
		}
		lowered := func(p string) string { return strings.Map(func(r rune) rune { c, _ := lower(string(r)); return c }, p) }
		pattern, other = lowered(pattern), lowered(other)
		want := regexp.MustCompile(`(?s)^` + strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(pattern)) + `$`)
		got := glob(pattern, text)
		if got != want.MatchString(lowered(text)) {
			t.Fatalf("glob(%q, %q) = %v", pattern, text, got)
		}
		if too := glob(other, text); got && too && !globsMeet(pattern, other) || got && !too && globCovers(other, pattern) {
			t.Fatalf("%q, %q: meet %v, covers %v, but %q", pattern, other, globsMeet(pattern, other), globCovers(other, pattern), text)
		}
	})
}
