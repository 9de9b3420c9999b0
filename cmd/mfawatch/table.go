package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/rivo/uniseg"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
)

var tableHead = []string{"SEVERITY", "ACCOUNT", "USER", "WHAT", "BY", "SINCE (UTC)", "LASTED", "ENDED BY"}

// A row is an exposure or an attempt, in cells.
type row struct {
	severity exposure.Severity
	since    time.Time
	cells    []string
}

// rows tells a history: what began first comes first.
func rows(h exposure.History) []row {
	var all []row
	for _, x := range h.Exposures {
		lasted, ended := "open", ""
		switch {
		case x.ResolvedAt != nil:
			lasted, ended = span(x.ResolvedAt.Sub(x.OpenedAt)), strings.ReplaceAll(x.Resolution, "_", " ")
		case x.Reduced:
			lasted = "-"
		}
		all = append(all, newRow(x.Severity, x.OpenedAt, x.Account, userName(x.User, x.Root), happened(x),
			actorName(&x.Actor), lasted, ended))
	}
	for _, w := range h.Campaigns {
		lasted := "open"
		if at := w.Over(); at != nil {
			lasted = span(at.Sub(w.First))
		}
		all = append(all, newRow(w.Severity, w.First, w.Account, fmt.Sprintf("(%s users)", grouped(int64(w.Users))), "campaign: MFA off", actorName(&w.Actor), lasted, ""))
	}
	for _, a := range h.Attempts {
		what := "attempt failed"
		if a.Count > 1 {
			what = fmt.Sprintf("%s attempts failed", grouped(int64(a.Count)))
		}
		if len(a.Codes) > 0 {
			what += " (" + cell(strings.Join(a.Codes, ", "), 24) + ")"
		}
		all = append(all, newRow(a.Severity, a.First, a.Account, userName(a.User, a.Root), what, actorName(&a.Actor), "-", ""))
	}
	slices.SortStableFunc(all, func(a, b row) int { return a.since.Compare(b.since) })
	return all
}

func newRow(s exposure.Severity, since time.Time, account, user, what, by, lasted, ended string) row {
	return row{s, since, []string{string(s), cell(account, 20), user, what, by, since.UTC().Format(time.DateTime), lasted, ended}}
}

// happened says in a few words what became of the user's MFA.
func happened(x *exposure.Exposure) string {
	what := "MFA off"
	if x.Reduced {
		what = "one device fewer"
	}
	if x.Exploited {
		what += ", exploited"
	}
	if x.Changed {
		what += ", credentials changed"
	}
	return what
}

func userName(user string, root bool) string {
	switch {
	case root:
		return "root"
	case user == "":
		return "(unknown)"
	}
	return cell(user, 28)
}

func actorName(a *trail.Actor) string {
	switch {
	case a.Self:
		return "(self)"
	case a.Name != "":
		return cell(a.Name, 28)
	case a.ARN != "":
		return cell(a.ARN, 28)
	}
	return cell(a.Type, 28)
}

// writeTable writes the rows below a head. Colours are for a terminal.
func writeTable(w io.Writer, all []row, colours bool) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "nothing found")
		return err
	}
	return writeCells(w, tableHead, all, 0, colours)
}

// writeCells writes the rows' cells below a head, those of one column in the
// colours of their severity.
func writeCells(w io.Writer, head []string, all []row, coloured int, colours bool) error {
	lines := [][]string{head}
	for _, r := range all {
		lines = append(lines, r.cells)
	}
	widths := make([]int, len(head))
	for _, row := range lines {
		for i, text := range row {
			widths[i] = max(widths[i], uniseg.StringWidth(text))
		}
	}
	var b strings.Builder
	for n, row := range lines {
		var out strings.Builder
		for i, text := range row {
			padded := text + strings.Repeat(" ", widths[i]-uniseg.StringWidth(text)+2)
			if colours && i == coloured && n > 0 {
				padded = colour(all[n-1].severity) + padded + "\x1b[0m"
			}
			out.WriteString(padded)
		}
		b.WriteString(strings.TrimRight(out.String(), " ") + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func colour(s exposure.Severity) string {
	switch s {
	case exposure.Critical:
		return "\x1b[1;31m"
	case exposure.High:
		return "\x1b[31m"
	case exposure.Medium:
		return "\x1b[33m"
	}
	return "\x1b[2m"
}

// cell makes a text of somebody else's fit for a table: nothing that steers a
// terminal, and not too wide.
func cell(text string, width int) string {
	text = exposure.Clean(text, 4*width)
	if uniseg.StringWidth(text) <= width {
		return text
	}
	var b strings.Builder
	room := width - 1
	for g := uniseg.NewGraphemes(text); g.Next() && g.Width() <= room; {
		b.WriteString(g.Str())
		room -= g.Width()
	}
	return b.String() + "…"
}

// span writes how long something lasted with two units: 45s, 3m10s, 2h5m, 3d4h.
func span(d time.Duration) string {
	d = d.Round(time.Second)
	units := []struct {
		name string
		size time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}}
	for i, u := range units {
		if d < u.size {
			continue
		}
		text := fmt.Sprintf("%d%s", d/u.size, u.name)
		if i+1 < len(units) {
			if rest := d % u.size / units[i+1].size; rest > 0 {
				text += fmt.Sprintf("%d%s", rest, units[i+1].name)
			}
		}
		return text
	}
	return "0s"
}
