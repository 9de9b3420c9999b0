package dryrun

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/processor"
)

// An Outcome is the delivery of an alert at one sink.
type Outcome struct {
	Sink       string     `json:"sink"`
	At         *time.Time `json:"at"` // null: it is not sent
	Recipients int        `json:"recipients"`
	Why        string     `json:"why"`
}

// Outcomes returns the outcome of the alert at each sink.
func (s *Alert) Outcomes() []Outcome {
	all := []Outcome{}
	for _, d := range s.sinks {
		to := Outcome{Sink: d.sink, Recipients: len(d.To), Why: d.Why}
		if !d.at.IsZero() {
			to.At = &d.at
		}
		all = append(all, to)
	}
	return all
}

// To returns the names of the sinks that would have been sent the alert.
func (s *Alert) To() (names []string) {
	for _, d := range s.sinks {
		if !d.at.IsZero() {
			names = append(names, d.sink)
		}
	}
	return names
}

// WriteJSON writes one JSON object a line: when the alert would have been journalled,
// its outcome at each sink, and the alert.
func WriteJSON(w io.Writer, all []*Alert) error {
	b := bufio.NewWriter(w)
	for _, s := range all {
		if err := output.WriteJSONLine(b, struct {
			At         time.Time        `json:"at"`
			Deliveries []Outcome        `json:"deliveries"`
			Alert      *processor.Alert `json:"alert"`
		}{s.At, s.Outcomes(), s.Alert}); err != nil {
			return err
		}
	}
	return b.Flush()
}

// WriteTable writes the alerts as a table.
func WriteTable(w io.Writer, all []*Alert, l output.Locale, colours bool) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "nothing would have been sent")
		return err
	}
	var lines []output.Row
	for _, t := range all {
		a, user := t.Alert, ""
		if a.User != nil {
			user = *a.User
		}
		step := string(a.Step)
		if a.Escalation != nil {
			step += fmt.Sprintf(" (%d)", *a.Escalation)
		}
		lines = append(lines, output.Row{Severity: a.Severity, Since: t.At, Cells: []string{
			l.Local(t.At), string(a.Severity), step, output.Cell(l.Account(a.AccountName, a.Account), 40), output.UserName(user, a.Root),
			cmp.Or(strings.Join(t.To(), ", "), "none"), strings.Join(a.Reasons, ", "),
		}})
	}
	return output.WriteCells(w, []string{l.Head("NOTIFIED"), "SEVERITY", "STEP", "ACCOUNT", "USER", "TO", "WHY"}, lines, 1, colours)
}

// Text returns the outcome in words, for an alert of that time.
func (t *Outcome) Text(at time.Time, l output.Locale) string {
	if t.At == nil {
		return t.Sink + " is not notified: " + t.Why
	}
	text := t.Sink + " is notified at " + l.Local(*t.At)
	if t.At.After(at) {
		text += ", held back until then"
	}
	if t.Recipients > 0 {
		text += ", " + output.Count(int64(t.Recipients), "recipient")
	}
	if t.Why != "" {
		text += " (" + t.Why + ")"
	}
	return text
}
