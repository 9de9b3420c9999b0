package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Changes lists what a reload started, restarted and stopped, for the log and the
// caller.
type Changes struct {
	Started   []string `json:"started,omitempty"` // such as "source trail"
	Restarted []string `json:"restarted,omitempty"`
	Stopped   []string `json:"stopped,omitempty"`
}

// String returns the changes in one line.
func (c Changes) String() string {
	var parts []string
	for _, p := range []struct {
		what  string
		names []string
	}{{"started", c.Started}, {"restarted", c.Restarted}, {"stopped", c.Stopped}} {
		if len(p.names) > 0 {
			slices.Sort(p.names)
			parts = append(parts, p.what+" "+strings.Join(p.names, ", "))
		}
	}
	if len(parts) == 0 {
		return "no source or sink changed"
	}
	return strings.Join(parts, "; ")
}

// NeedRestart returns the settings that differ and need a restart to take effect.
func NeedRestart(now, next *Settings) []Mistake {
	var all []Mistake
	if !reflect.DeepEqual(now.Journal.Shared, next.Journal.Shared) {
		all = append(all, Mistake{"journal", "changed; restart the service to apply it"})
	}
	for _, s := range []struct{ field, now, next string }{
		{"http.address", now.HTTP.Address, next.HTTP.Address},
		{"journal.type", now.Journal.Type, next.Journal.Type},
		{"http.admin_address", now.HTTP.AdminAddress, next.HTTP.AdminAddress},
		{"journal.path", now.Journal.Path, next.Journal.Path},
		{"log.format", now.Log.Format, next.Log.Format},
		{"retention", FormatDuration(now.Retention), FormatDuration(next.Retention)},
	} {
		if s.now != s.next {
			all = append(all, Mistake{s.field, fmt.Sprintf("changed from %s to %s; restart the service to apply it", Bounded(s.now), Bounded(s.next))})
		}
	}
	return all
}

// AddStarted adds a part that was started, or restarted if it ran before.
func (c *Changes) AddStarted(what string, before bool) {
	if before {
		c.Restarted = append(c.Restarted, what)
	} else {
		c.Started = append(c.Started, what)
	}
}
