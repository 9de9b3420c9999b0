package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/rule"
)

// Unreachable tells the rules of severity that can never match, since all that they
// mean is taken by rules before them. What a rule leaves alone (see
// exposure.SeverityRule) is there for those behind it.
func (c *Config) Unreachable() []string {
	var all []string
	for i := range c.Severity {
		var earlier []*rule.Matcher
		var places []int
		for k := range c.Severity[:i] {
			if c.Severity[k].leavesNoneTo(&c.Severity[i]) {
				earlier, places = append(earlier, c.Severity[k].means()), append(places, k)
			}
		}
		by := c.Severity[i].means().Covered(earlier)
		if by == nil {
			continue
		}
		names := make([]string, len(by))
		for k, at := range by {
			names[k] = fmt.Sprintf("severity[%d]", places[at])
		}
		all = append(all, fmt.Sprintf("severity[%d]: can never match: all that it means is taken before by %s", i, strings.Join(names, ", ")))
	}
	return all
}

func (r *SeverityConfig) names(field string) bool { _, ok := r.Match[field]; return ok }

// means is what the rule matches: no end, where it does not name the step. The
// configuration is sound.
func (r *SeverityConfig) means() *rule.Matcher {
	match := maps.Clone(r.Match)
	if !r.names("step") {
		match["step"] = map[string]any{"not": []any{string(exposure.Resolved)}}
	}
	m, _ := rule.Compile(match)
	return m
}

// leavesNoneTo reports whether the rule takes root, and what somebody makes use of,
// wherever one behind it would.
func (r *SeverityConfig) leavesNoneTo(next *SeverityConfig) bool {
	level := func(s *SeverityConfig) int { return slices.Index(rule.Severities, s.Severity) }
	if r.Severity == string(exposure.Critical) {
		return true
	}
	used := r.names("step") || !next.names("step") && next.Severity != string(exposure.Critical)
	root := r.names("root") || next.neverRoot() || !next.names("root") && level(next) <= level(r)
	return used && root
}

// neverRoot reports whether the rule says that it does not mean root.
func (r *SeverityConfig) neverRoot() bool { return r.Match["root"] == false }
