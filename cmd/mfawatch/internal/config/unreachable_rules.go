package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/rule"
)

// Unreachable returns the severity rules that can never match, since earlier rules
// cover them. Alerts that a rule skips (see exposure.SeverityRule) stay for later
// rules.
func (c *Config) Unreachable() []string {
	var all []string
	for i := range c.Severity {
		var earlier []*rule.Matcher
		var places []int
		for k := range c.Severity[:i] {
			if c.Severity[k].shadows(&c.Severity[i]) {
				earlier, places = append(earlier, c.Severity[k].matcher()), append(places, k)
			}
		}
		by := c.Severity[i].matcher().Covered(earlier)
		if by == nil {
			continue
		}
		names := make([]string, len(by))
		for k, at := range by {
			names[k] = fmt.Sprintf("severity[%d]", places[at])
		}
		all = append(all, fmt.Sprintf("severity[%d]: can never match: it is covered by %s", i, strings.Join(names, ", ")))
	}
	return all
}

func (r *SeverityConfig) names(field string) bool { _, ok := r.Match[field]; return ok }

// matcher returns what the rule matches: no resolution, unless it names the step.
// The configuration must be valid.
func (r *SeverityConfig) matcher() *rule.Matcher {
	match := maps.Clone(r.Match)
	if !r.names("step") {
		match["step"] = map[string]any{"not": []any{string(exposure.Resolved)}}
	}
	m, _ := rule.Compile(match)
	return m
}

// shadows reports whether the rule applies to root and to exploited exposures
// wherever the later rule next would.
func (r *SeverityConfig) shadows(next *SeverityConfig) bool {
	level := func(s *SeverityConfig) int { return slices.Index(rule.Severities, s.Severity) }
	if r.Severity == string(exposure.Critical) {
		return true
	}
	used := r.names("step") || !next.names("step") && next.Severity != string(exposure.Critical)
	root := r.names("root") || next.Match["root"] == false || !next.names("root") && level(next) <= level(r)
	return used && root
}
