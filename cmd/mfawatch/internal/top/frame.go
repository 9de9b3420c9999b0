package top

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/history"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/shard"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/web"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/sinks/message"
)

// A Size bounds a frame. Zero is no bound.
type Size struct{ Columns, Lines int }

// A line is plain text with one colour.
type line struct {
	text   string
	colour string // "": none
}

// The colours, as escape sequences.
const (
	bold   = "\x1b[1m"
	red    = "\x1b[1;31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	faint  = "\x1b[2m"
	normal = "\x1b[0m"
)

// Frame returns the lines that show an overview of the service at an address, in
// colours or plain. A problem, if there is one, is why the overview is out of date.
// Exposures get the room that the rest leaves, at least three lines.
func Frame(o web.Overview, address, problem string, size Size, colours bool) []string {
	var locale output.Locale // the names of accounts are in the overview
	locale.Zone, _ = time.LoadLocation(o.TimeZone)
	head := headLines(o, address, problem, locale)
	foot := append(append(sinkLines(o), sourceLines(o)...), shardLines(o, size)...)
	room := len(o.Exposures)
	if size.Lines > 0 {
		room = max(3, size.Lines-len(head)-len(foot)-3) // the heading, the rest and an empty line
	}
	all := append(append(head, exposureLines(o, room, locale)...), foot...)
	if size.Lines > 0 {
		all = all[:min(len(all), size.Lines)]
	}
	text := make([]string, len(all))
	for i, l := range all {
		text[i] = output.Cut(l.text, cmp.Or(size.Columns, 1<<12))
		if colours && l.colour != "" {
			text[i] = l.colour + text[i] + normal
		}
	}
	return text
}

func headLines(o web.Overview, address, problem string, locale output.Locale) []line {
	all := []line{{fmt.Sprintf("mfawatch at %s, %s", address, locale.Time(o.Time)), bold}}
	if problem != "" {
		all = append(all, line{"OUT OF DATE: " + problem, red})
	}
	switch {
	case o.OKSince != nil && len(o.Failing) == 0:
		all = append(all, line{"ok since " + locale.Time(*o.OKSince), green})
	default:
		for _, f := range o.Failing {
			all = append(all, line{fmt.Sprintf("FAILING: %s since %s: %s", f.Part, locale.Time(f.Since), f.Problem), red})
		}
	}
	for _, u := range o.Unanswered {
		all = append(all, line{"EXPOSURES MAY BE MISSING: " + u, red})
	}
	open, suspect, counts := 0, 0, ""
	for _, c := range o.Open {
		open, suspect = open+c.Open, suspect+c.Suspect
		if c.Open > 0 {
			counts += fmt.Sprintf("  %s %s", c.Severity, output.Grouped(int64(c.Open)))
			if c.Suspect > 0 {
				counts += fmt.Sprintf(" (%s suspect)", output.Grouped(int64(c.Suspect)))
			}
		}
	}
	text := fmt.Sprintf("%s open, %s suspect", output.Count(int64(open), "exposure"), output.Grouped(int64(suspect)))
	if counts != "" {
		text += ":" + counts
	}
	all = append(all, line{text, ""})
	var facts []string
	if o.RecordsPerSecond != nil {
		facts = append(facts, "records read: "+history.Rate(*o.RecordsPerSecond))
	}
	if o.DeliveryP99 != nil {
		facts = append(facts, "99 of 100 deliveries within "+history.Seconds(*o.DeliveryP99))
	}
	facts = append(facts, fmt.Sprintf("in quarantine: %d", o.Quarantined))
	return append(all, line{strings.Join(facts, ", "), ""}, line{})
}

func exposureLines(o web.Overview, room int, locale output.Locale) []line {
	shown := o.Exposures[:min(len(o.Exposures), room)]
	if len(shown) == 0 {
		return nil
	}
	var rows [][]string
	for _, x := range shown {
		rows = append(rows, []string{string(x.Severity), x.State, output.UserName(x.User, x.Root), output.Cell(message.Account(x.AccountName, x.Account), 40),
			locale.Local(x.OpenedAt), output.Span(max(0, o.Time.Sub(x.OpenedAt))), output.Cell(x.ID, 36)})
	}
	all := table([]string{"SEVERITY", "STATE", "USER", "ACCOUNT", locale.Head("OPENED"), "FOR", "ID"}, rows)
	for i, x := range shown {
		all[i+1].colour = colourOf(x.Severity)
	}
	if rest := o.Selected - len(shown); rest > 0 {
		all = append(all, line{fmt.Sprintf("and %s more: mfawatch exposures list --open", output.Grouped(int64(rest))), faint})
	}
	return append(all, line{})
}

func sinkLines(o web.Overview) []line {
	var rows [][]string
	for _, s := range o.Sinks {
		rows = append(rows, []string{output.Cell(s.Name, 28), state(s.Ready), ago(o.Time, s.LastSuccess), fmt.Sprint(s.Pending), age(o.Time, s.OldestPending), fmt.Sprint(s.DeadLetters)})
	}
	all := table([]string{"SINK", "STATE", "LAST SUCCESS", "PENDING", "OLDEST", "DEAD LETTERS"}, rows)
	for i, s := range o.Sinks {
		all[i+1].colour = partColour(s.Ready)
	}
	return append(all, line{})
}

func sourceLines(o web.Overview) []line {
	var rows [][]string
	for _, s := range o.Sources {
		rows = append(rows, []string{output.Cell(s.Name, 28), state(s.Ready), ago(o.Time, s.LastSuccess)})
	}
	all := table([]string{"SOURCE", "STATE", "LAST SUCCESS"}, rows)
	for i, s := range o.Sources {
		all[i+1].colour = partColour(s.Ready)
	}
	return all
}

// shardLines lists the shards of all replicas, those that fail first where the
// terminal has not room for all: they get a quarter of it. A service with a journal
// of its own has none.
func shardLines(o web.Overview, size Size) []line {
	if len(o.Shards) == 0 {
		return nil
	}
	serves := func(s web.Shard) bool { return s.State == shard.Serving && s.Problem == "" }
	shown, note := o.Shards, "Exposures, sinks and sources above are those of the replica that answers."
	if room := max(1, size.Lines/4); size.Lines > 0 && len(shown) > room {
		failing := slices.DeleteFunc(slices.Clone(shown), serves)
		shown = append(failing, slices.DeleteFunc(slices.Clone(shown), func(s web.Shard) bool { return !serves(s) })...)[:room]
		note = fmt.Sprintf("and %d more, %d failing in all: mfawatch shards. %s", len(o.Shards)-room, len(failing), note)
	}
	var rows [][]string
	for _, s := range shown {
		rows = append(rows, []string{fmt.Sprint(s.Partition), output.Cell(s.Owner, 28), s.State, ago(o.Time, s.LastCommit), fmt.Sprint(s.Lag), fmt.Sprint(s.Open)})
	}
	all := table([]string{"SHARD", "OWNER", "STATE", "LAST SUCCESS", "LAG", "OPEN"}, rows)
	for i, s := range shown {
		all[i+1].colour = partColour(serves(s))
	}
	return append([]line{{}}, append(all, line{note, faint})...)
}

// table lays out rows below a head.
func table(head []string, rows [][]string) []line {
	var all []output.Row
	for _, cells := range rows {
		all = append(all, output.Row{Cells: cells})
	}
	var b bytes.Buffer
	_ = output.WriteCells(&b, head, all, 0, false) // a buffer accepts everything
	var lines []line
	for text := range strings.Lines(b.String()) {
		lines = append(lines, line{text: strings.TrimSuffix(text, "\n")})
	}
	lines[0].colour = faint
	return lines
}

func state(ready bool) string {
	if ready {
		return "ok"
	}
	return "failing"
}

func partColour(ready bool) string {
	if ready {
		return ""
	}
	return red
}

func ago(now time.Time, t *time.Time) string {
	if t == nil {
		return "-"
	}
	return age(now, t) + " ago"
}

func age(now time.Time, t *time.Time) string {
	if t == nil {
		return "-"
	}
	return output.Span(max(0, now.Sub(*t)))
}

func colourOf(s exposure.Severity) string {
	switch s {
	case exposure.Critical, exposure.High:
		return red
	case exposure.Medium:
		return yellow
	}
	return ""
}
