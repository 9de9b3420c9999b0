package main

import (
	"fmt"
	"slices"
	"strings"
)

// A changes says what a reload came to, for the log and who asked.
type changes struct {
	Started   []string `json:"started,omitempty"` // such as "source trail"
	Restarted []string `json:"restarted,omitempty"`
	Stopped   []string `json:"stopped,omitempty"`
}

func (c changes) String() string {
	var parts []string
	for _, p := range []struct {
		what  string
		names []string
	}{{"started", c.Started}, {"started anew", c.Restarted}, {"stopped", c.Stopped}} {
		if len(p.names) > 0 {
			slices.Sort(p.names)
			parts = append(parts, p.what+" "+strings.Join(p.names, ", "))
		}
	}
	if len(parts) == 0 {
		return "every source and sink goes on"
	}
	return strings.Join(parts, "; ")
}

// needRestart tells the settings that do not change while the service runs.
func needRestart(now, next *settings) []mistake {
	var all []mistake
	for _, s := range []struct{ field, now, next string }{
		{"http.address", now.HTTP.Address, next.HTTP.Address},
		{"journal.path", now.Journal.Path, next.Journal.Path},
		{"log.format", now.Log.Format, next.Log.Format},
		{"retention", formatDuration(now.Retention), formatDuration(next.Retention)},
	} {
		if s.now != s.next {
			all = append(all, mistake{s.field, fmt.Sprintf("changed from %s to %s: that takes a restart", bounded(s.now), bounded(s.next))})
		}
	}
	return all
}

// Begun notes a part that was started, or restarted where it ran before.
func (c *changes) begun(what string, before bool) {
	if before {
		c.Restarted = append(c.Restarted, what)
	} else {
		c.Started = append(c.Started, what)
	}
}
