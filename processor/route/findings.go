package route

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mfawatch/mfawatch/processor/rule"
)

// Findings reports the parts of the routes that have no effect: routes that
// match or notify nothing, account names and classes that no account has, and
// sinks that no route notifies. Each is "routes[3]: problem" or "sinks.NAME:
// problem".
func (r *Router) Findings() []string {
	var all []string
	notified := map[string]bool{}
	var earlier []*rule.Matcher
	var places []int // of the earlier ones
	for i := range r.routes {
		c := &r.routes[i]
		switch by := c.match.Covered(earlier); {
		case c.match.Never() != "":
			all = append(all, fmt.Sprintf("%s: can never match: %s", r.name(i), c.match.Never()))
			continue
		case by != nil:
			names := make([]string, len(by))
			for k, at := range by {
				names[k] = r.name(places[at])
			}
			all = append(all, fmt.Sprintf("%s: can never match: every alert that it matches is matched before by %s", r.name(i), strings.Join(names, ", ")))
			continue
		}
		all = append(all, r.unknownAccounts(i)...)
		if !c.Continue {
			earlier, places = append(earlier, c.match), append(places, i)
		}
		if c.minSeverity > 0 {
			low, _ := rule.Compile(map[string]any{"severity": "< " + c.MinSeverity})
			if low.Covers(c.match) {
				all = append(all, fmt.Sprintf("%s: never notifies: the alerts that it matches are below its min_severity, %s", r.name(i), c.MinSeverity))
				continue
			}
		}
		for sink := range r.sinks {
			notified[sink] = notified[sink] || c.Notifies(sink)
		}
	}
	if len(r.routes) == 0 {
		return nil
	}
	for _, sink := range slices.Sorted(maps.Keys(r.sinks)) {
		if r.sinks[sink] != Machine && !notified[sink] {
			all = append(all, fmt.Sprintf("sinks.%s: no route notifies it", sink))
		}
	}
	return all
}

// unknownAccounts reports the account names and classes that the route names and
// no account has.
func (r *Router) unknownAccounts(i int) []string {
	var names, classes, all []string
	for _, a := range r.accounts {
		names, classes = append(names, a.Name), append(classes, a.Class)
	}
	for _, f := range []struct {
		field string
		known []string
	}{{"account_name", names}, {"account_class", classes}} {
		known := slices.DeleteFunc(f.known, func(s string) bool { return s == "" })
		slices.Sort(known)
		known = slices.Compact(known)
		for _, v := range r.routes[i].match.Unmatched(f.field, known) {
			all = append(all, fmt.Sprintf("%s: no account has the %s %s%s", r.name(i), f.field, shorten(v), rule.Suggestion(v, known)))
		}
	}
	return all
}

// Rest reports whether some alerts may match no route. Every sink is notified
// of those.
func (r *Router) Rest() bool {
	var all []*rule.Matcher
	for i := range r.routes {
		all = append(all, r.routes[i].match)
	}
	any, _ := rule.Compile(nil)
	return len(all) > 0 && any.Covered(all) == nil
}
