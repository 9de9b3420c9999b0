package route

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mfawatch/mfawatch/processor/rule"
)

// Findings tells what in the routes can have no effect: those that can never
// take an alert, or never tell one, and sinks that no route tells. Each is
// "routes[3]: problem" or "sinks.NAME: problem".
func (r *Router) Findings() []string {
	var all []string
	told := map[string]bool{}
	var earlier []*rule.Matcher
	var places []int // of the earlier ones
	for i := range r.routes {
		c := &r.routes[i]
		switch by := c.match.Covered(earlier); {
		case c.match.Never() != "":
			all = append(all, fmt.Sprintf("%s: can never match: %s", name(i), c.match.Never()))
			continue
		case by != nil:
			names := make([]string, len(by))
			for k, at := range by {
				names[k] = name(places[at])
			}
			all = append(all, fmt.Sprintf("%s: can never match: all that it means is taken before by %s", name(i), strings.Join(names, ", ")))
			continue
		}
		if !c.Continue {
			earlier, places = append(earlier, c.match), append(places, i)
		}
		if c.least > 0 {
			low, _ := rule.Compile(map[string]any{"severity": "< " + c.MinSeverity})
			if low.Covers(c.match) {
				all = append(all, fmt.Sprintf("%s: never tells anybody: what it takes is below its min_severity, %s", name(i), c.MinSeverity))
				continue
			}
		}
		for sink := range r.sinks {
			told[sink] = told[sink] || c.tells(sink)
		}
	}
	if len(r.routes) == 0 {
		return nil
	}
	for _, sink := range slices.Sorted(maps.Keys(r.sinks)) {
		if r.sinks[sink] != Machine && !told[sink] {
			all = append(all, fmt.Sprintf("sinks.%s: no route tells it", sink))
		}
	}
	return all
}

// Rest reports whether there may be alerts that no route takes, which all are
// told.
func (r *Router) Rest() bool {
	var all []*rule.Matcher
	for i := range r.routes {
		all = append(all, r.routes[i].match)
	}
	any, _ := rule.Compile(nil)
	return len(all) > 0 && any.Covered(all) == nil
}
