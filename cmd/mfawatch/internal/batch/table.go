package batch

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
)

var tableHead = []string{"SEVERITY", "ACCOUNT", "USER", "WHAT", "BY", "SINCE (UTC)", "LASTED", "ENDED BY"}

// Rows returns the lines of a history, in the order of their beginning.
func Rows(h alerting.History) []output.Row {
	var all []output.Row
	for _, x := range h.Exposures {
		lasted, ended := "open", ""
		switch {
		case x.ResolvedAt != nil:
			lasted, ended = output.Span(x.ResolvedAt.Sub(x.OpenedAt)), strings.ReplaceAll(x.Resolution, "_", " ")
		case x.Reduced:
			lasted = "-"
		}
		all = append(all, newRow(x.Severity, x.OpenedAt, x.Account, output.UserName(x.User, x.Root), happened(x),
			actorName(&x.Actor), lasted, ended))
	}
	for _, w := range h.Campaigns {
		what, lasted := "campaign: MFA off", "open"
		if w.Denied() {
			what = "campaign: attempts failed"
		}
		if at := w.Over(); at != nil {
			lasted = output.Span(at.Sub(w.First))
		}
		all = append(all, newRow(w.Severity, w.First, w.Account, fmt.Sprintf("(%s users)", output.Grouped(int64(w.Users))), what, actorName(&w.Actor), lasted, ""))
	}
	for _, a := range h.Attempts {
		what := "attempt failed"
		if a.Count > 1 {
			what = fmt.Sprintf("%s attempts failed", output.Grouped(int64(a.Count)))
		}
		if len(a.Codes) > 0 {
			what += " (" + output.Cell(strings.Join(a.Codes, ", "), 24) + ")"
		}
		all = append(all, newRow(a.Severity, a.First, a.Account, output.UserName(a.User, a.Root), what, actorName(&a.Actor), "-", ""))
	}
	slices.SortStableFunc(all, func(a, b output.Row) int { return a.Since.Compare(b.Since) })
	return all
}

func newRow(s exposure.Severity, since time.Time, account, user, what, by, lasted, ended string) output.Row {
	return output.Row{Severity: s, Since: since, Cells: []string{string(s), output.Cell(account, 20), user, what, by, since.UTC().Format(time.DateTime), lasted, ended}}
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

func actorName(a *trail.Actor) string {
	switch {
	case a.Self:
		return "(self)"
	case a.Name != "":
		return output.Cell(a.Name, 28)
	case a.ARN != "":
		return output.Cell(a.ARN, 28)
	}
	return output.Cell(a.Type, 28)
}

// WriteTable writes the rows below a head. Colours are for a terminal.
func WriteTable(w io.Writer, all []output.Row, colours bool) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "nothing found")
		return err
	}
	return output.WriteCells(w, tableHead, all, 0, colours)
}
