package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
)

var tableHead = []string{"SEVERITY", "ACCOUNT", "USER", "WHAT", "BY", "SINCE (UTC)", "LASTED", "ENDED BY"}

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
