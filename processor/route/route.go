package route

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/rule"
	"github.com/mfawatch/mfawatch/processor/safetext"
)

// Kind is how the recipients of a sink use it.
type Kind int

// The kinds. Machine is the default.
const (
	Machine Kind = iota // gets every alert that no route excepts for it
	Reader              // people who read in their own time: chat, mail, tickets
	Pager               // people who are called: pages, text messages
)

// String returns the kind in lower case.
func (k Kind) String() string { return [...]string{"machine", "reader", "pager"}[k] }

// Route matches alerts and sets which human sinks are notified. The first route
// that matches an alert decides, unless it continues.
type Route struct {
	// Match is the matcher: see rule.Compile. Empty: it matches every alert.
	Match map[string]any `koanf:"match"`
	// Sinks are notified. Nil: all are.
	Sinks []string `koanf:"sinks"`
	// Except are sinks that are not notified, machine sinks included, whatever
	// other routes say.
	Except []string `koanf:"except"`
	// MinSeverity is the lowest severity of which human sinks are notified. The
	// route matches lower ones all the same.
	MinSeverity string `koanf:"min_severity"`
	// MuteTimes are the mute times: human sinks are notified at their end.
	MuteTimes []MuteTime `koanf:"mute_times"`
	// Recipients replace a sink's own recipients, by the sink's name.
	Recipients map[string][]string `koanf:"recipients"`
	// Continue asks the later routes, too.
	Continue bool `koanf:"continue"`
	// Default marks a route that stands for the defaults of sinks, where no
	// route is configured.
	Default bool `koanf:"-"`
}

// maxRecipients bounds the recipients of one sink for one alert, and so what
// the journal keeps of each exposure.
const maxRecipients = 50

// Validate reports every mistake in r, for sinks of the given names. The errors
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
	if r.Sinks != nil && len(r.Sinks) == 0 {
		bad("sinks: want at least one, got none; without sinks a route notifies all human sinks, except those of its except")
	}
	for i, name := range r.Sinks {
		known(fmt.Sprintf("sinks[%d]", i), name)
	}
	for i, name := range r.Except {
		field := fmt.Sprintf("except[%d]", i)
		known(field, name)
		if slices.Contains(r.Sinks, name) {
			bad("%s: %s is also in sinks: name it in one of them", field, name)
		}
	}
	for i, q := range r.MuteTimes {
		if _, err := q.compile(time.UTC); err != nil {
			errs = append(errs, below(fmt.Sprintf("mute_times[%d]", i), err))
		}
	}
	if len(errs) == 0 && coversWeek(r.MuteTimes) {
		bad("mute_times: covers the whole week: want some time at which people may be notified")
	}
	for _, name := range slices.Sorted(maps.Keys(r.Recipients)) {
		list, field := r.Recipients[name], "recipients"
		if !slices.Contains(sinks, name) {
			bad("%s: there is no sink %q%s", field, shorten(name), rule.Suggestion(name, sinks))
			continue
		}
		field += "." + name
		switch {
		case !r.Notifies(name):
			bad("%s: the route does not notify this sink: add it to its sinks", field)
		case len(list) == 0:
			bad("%s: want at least one, got none", field)
		case len(list) > maxRecipients:
			bad("%s: want at most %d, got %d", field, maxRecipients, len(list))
		case slices.ContainsFunc(list, func(to string) bool { return strings.TrimSpace(to) == "" }):
			bad("%s: want no empty one", field)
		}
	}
	return errors.Join(errs...)
}

// Notifies reports whether the route includes the sink.
func (r Route) Notifies(name string) bool {
	return (len(r.Sinks) == 0 || slices.Contains(r.Sinks, name)) && !slices.Contains(r.Except, name)
}

// below prefixes each of the joined errors with a field's name.
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

func shorten(text string) string { return safetext.Clean(text, 60) }
