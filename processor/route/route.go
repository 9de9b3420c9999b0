// Package route says who is told of an alert, when, and through which
// recipients: a pure function of the alert, the configuration and the time.
package route

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/rule"
)

// A Kind is what a sink is to those behind it.
type Kind int

// The kinds. Where nothing is said, a sink is a machine.
const (
	Machine Kind = iota // gets every alert, unless a route excepts it by name
	Reader              // people who read when they have time: chat, mail, tickets
	Pager               // people who are called: pages, text messages
)

func (k Kind) String() string { return [...]string{"machine", "reader", "pager"}[k] }

// A Route takes alerts and says which people are told of them. Routes are asked
// in order, and the first one that takes an alert decides, unless it goes on.
type Route struct {
	// Match is which alerts it takes: see rule.Compile. Empty: every one.
	Match map[string]any `koanf:"match"`
	// Sinks are told. Empty: all are.
	Sinks []string `koanf:"sinks"`
	// Except are sinks that are not told, whatever other routes say, machines
	// among them.
	Except []string `koanf:"except"`
	// MinSeverity is below which people are not told. The alert is taken all the
	// same.
	MinSeverity string `koanf:"min_severity"`
	// Quiet is when people are left alone: they are told at its end.
	Quiet []Quiet `koanf:"quiet"`
	// Recipients are whom a sink tells in place of its own, by its name.
	Recipients map[string][]string `koanf:"recipients"`
	// Continue asks the routes behind it, too.
	Continue bool `koanf:"continue"`
}

// maxRecipients bounds whom one sink tells of one alert, and so what is kept of
// each case.
const maxRecipients = 50

// Validate tells every mistake in r, for sinks of the given names. The errors
// are joined, each "field: problem", and hold no recipient.
func (r Route) Validate(sinks []string) error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if _, err := rule.Compile(r.Match); err != nil {
		errs = append(errs, below("match", err))
	}
	if s := r.MinSeverity; s != "" && !slices.Contains(rule.Severities, s) {
		bad("min_severity: unknown %q%s", shorten(s), rule.Suggestion(s, rule.Severities))
	}
	known := func(field, name string) {
		if !slices.Contains(sinks, name) {
			bad("%s: there is no sink %q%s", field, shorten(name), rule.Suggestion(name, sinks))
		}
	}
	for i, name := range r.Sinks {
		known(fmt.Sprintf("sinks[%d]", i), name)
	}
	for i, name := range r.Except {
		field := fmt.Sprintf("except[%d]", i)
		known(field, name)
		if slices.Contains(r.Sinks, name) {
			bad("%s: %s is among sinks, too: want it in one of them", field, name)
		}
	}
	for i, q := range r.Quiet {
		if err := q.validate(); err != nil {
			errs = append(errs, below(fmt.Sprintf("quiet[%d]", i), err))
		}
	}
	if len(errs) == 0 && endless(r.Quiet) {
		bad("quiet: it never ends: want some time in the week at which people may be told")
	}
	for _, name := range slices.Sorted(maps.Keys(r.Recipients)) {
		list, field := r.Recipients[name], "recipients"
		if !slices.Contains(sinks, name) {
			bad("%s: there is no sink %q%s", field, shorten(name), rule.Suggestion(name, sinks))
			continue
		}
		field += "." + name
		switch {
		case len(r.Sinks) > 0 && !slices.Contains(r.Sinks, name), slices.Contains(r.Except, name):
			bad("%s: the route does not tell this sink: want it among its sinks", field)
		case len(list) == 0:
			bad("%s: want at least one, got none", field)
		case len(list) > maxRecipients:
			bad("%s: want at most %d, got %d", field, maxRecipients, len(list))
		case slices.ContainsFunc(list, func(to string) bool { return strings.TrimSpace(to) == "" }):
			bad("%s: want none of them empty", field)
		}
	}
	return errors.Join(errs...)
}

// below puts a field's name in front of each of the joined errors.
func below(field string, err error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return fmt.Errorf("%s.%w", field, err)
	}
	var errs []error
	for _, e := range joined.Unwrap() {
		errs = append(errs, below(field, e))
	}
	return errors.Join(errs...)
}

func shorten(text string) string { return exposure.Clean(text, 60) }
