package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor"
)

// toldTo is one sink.
type toldTo struct {
	Sink       string     `json:"sink"`
	At         *time.Time `json:"at"` // null: it is not told
	Recipients int        `json:"recipients"`
	Why        string     `json:"why"`
}

// told is what becomes of an alert at each sink.
func (s *saying) told() []toldTo {
	all := []toldTo{}
	for _, d := range s.sinks {
		to := toldTo{Sink: d.sink, Recipients: len(d.To), Why: d.Why}
		if !d.at.IsZero() {
			to.At = &d.at
		}
		all = append(all, to)
	}
	return all
}

// to is the sinks that would have been told, by name.
func (s *saying) to() (names []string) {
	for _, d := range s.sinks {
		if !d.at.IsZero() {
			names = append(names, d.sink)
		}
	}
	return names
}

// writeSayings writes one JSON object a line: when the alert would have been
// journalled, who told of it and when, and the alert.
func writeSayings(w io.Writer, all []*saying) error {
	b := bufio.NewWriter(w)
	for _, s := range all {
		if err := writeJSONLine(b, struct {
			At    time.Time        `json:"at"`
			Told  []toldTo         `json:"told"`
			Alert *processor.Alert `json:"alert"`
		}{s.at, s.told(), s.alert}); err != nil {
			return err
		}
	}
	return b.Flush()
}

func writeSayingTable(w io.Writer, all []*saying, colours bool) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "nothing would have been sent")
		return err
	}
	var lines []row
	for _, t := range all {
		a, user := t.alert, ""
		if a.User != nil {
			user = *a.User
		}
		step := string(a.Step)
		if a.Escalation != nil {
			step += fmt.Sprintf(" (%d)", *a.Escalation)
		}
		lines = append(lines, row{severity: a.Severity, since: t.at, cells: []string{
			t.at.UTC().Format(time.DateTime), string(a.Severity), step, cell(a.Account, 20), userName(user, a.Root),
			cmp.Or(strings.Join(t.to(), ", "), "nobody"), strings.Join(a.Reasons, ", "),
		}})
	}
	return writeCells(w, []string{"TOLD (UTC)", "SEVERITY", "STEP", "ACCOUNT", "USER", "TO", "WHY"}, lines, 1, colours)
}

// text is what becomes of an alert of that time at the sink.
func (t *toldTo) text(at time.Time) string {
	if t.At == nil {
		return t.Sink + " is not told: " + t.Why
	}
	text := t.Sink + " is told at " + t.At.UTC().Format(time.DateTime)
	if t.At.After(at) {
		text += ", held back until then"
	}
	if t.Recipients > 0 {
		text += ", " + count(int64(t.Recipients), "recipient")
	}
	if t.Why != "" {
		text += " (" + t.Why + ")"
	}
	return text
}
