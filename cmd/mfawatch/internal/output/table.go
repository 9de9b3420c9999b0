package output

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/safetext"
)

// A Row is an exposure or an attempt, in cells.
type Row struct {
	Severity exposure.Severity
	Since    time.Time
	Cells    []string
}

// UserName returns a user's name for a table.
func UserName(user string, root bool) string {
	switch {
	case root:
		return "root"
	case user == "":
		return "(unknown)"
	}
	return Cell(user, 28)
}

// WriteCells writes the rows' cells below a head, those of one column in the
// colours of their severity.
func WriteCells(w io.Writer, head []string, all []Row, coloured int, colours bool) error {
	lines := [][]string{head}
	for _, r := range all {
		lines = append(lines, r.Cells)
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
				padded = colour(all[n-1].Severity) + padded + "\x1b[0m"
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

// Cell returns untrusted text for a table, without control characters and at most
// width columns wide. Of several spaces, which would look like the next column, only the
// first stays one.
func Cell(text string, width int) string {
	var b strings.Builder
	before := ' '
	for _, r := range safetext.Clean(text, 4*width) {
		shown := r
		if r == ' ' && before == ' ' {
			shown = utf8.RuneError
		}
		b.WriteRune(shown)
		before = r
	}
	return Cut(b.String(), width)
}

// Cut returns text without control characters and at most width columns wide.
func Cut(text string, width int) string {
	text = safetext.Clean(text, 4*width)
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

// Span returns a duration with two units: 45s, 3m10s, 2h5m, 3d4h.
func Span(d time.Duration) string {
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
