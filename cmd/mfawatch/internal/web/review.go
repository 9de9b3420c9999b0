package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/safetext"
)

// A review is the page of the dead letters or of the quarantine.
type review struct {
	Path, Title, Noun, Retry string
	Rows                     []reviewRow
	Total, From, To          int
	Before, After            string // links
	Done                     string // outcome of a change
	Replica                  string // "": the journal is a file
	Form                     string // proves that the form is of this page
	WantsToken               bool
	Refused                  string // why nothing can be changed here
	Drop                     []string
	DropAll                  bool // asks whether to drop all
}

// A reviewRow is a dead letter or a quarantined record.
type reviewRow struct{ Key, What, Link, Severity, Where, Why, When string }

// pageKept bounds the rows of a page.
const pageKept = 50

// A reviewed names the subject of a review.
type reviewed struct {
	path, title, noun, retry string
	total                    func(journal.Stats) int
	list                     func(ctx context.Context, each func(reviewRow) error) error
	change                   func(ctx context.Context, action string, keys []string) (Outcome, error) // of no keys: of all
}

// reviews returns the pages at which a person decides on what was kept.
func (p pages) reviews() []reviewed {
	return []reviewed{
		{"/deadletters", "Dead letters", "dead letter", "Send again", deadTotal, p.listDead, p.changeDead},
		{"/quarantine", "Quarantine", "quarantined record", "Read again", func(st journal.Stats) int { return st.Quarantined }, p.listQuarantined, p.changeQuarantined},
	}
}

func deadTotal(st journal.Stats) (n int) {
	for _, s := range st.Sinks {
		n += s.Dead
	}
	return n
}

func (p pages) listDead(ctx context.Context, each func(reviewRow) error) error {
	words := p.wording()
	return p.admin.ListDeadLetters(ctx, Selection{}, func(d DeadLetter) error {
		m := words.Message(d.Alert)
		return each(reviewRow{d.Sink + ":" + d.Alert.ID, m.Title, deref(d.Alert.Exposure), string(m.Severity), "sink " + d.Sink,
			safetext.Line(d.Cause, maxProblem) + attempts(" after %d attempts", d.Attempts), words.Time(d.Last)})
	})
}

func (p pages) listQuarantined(ctx context.Context, each func(reviewRow) error) error {
	words := p.wording()
	return p.admin.ListQuarantine(ctx, Selection{}, func(q journal.Quarantined) error {
		what := "record"
		if q.Message {
			what = "message"
		}
		return each(reviewRow{q.ID, fmt.Sprintf("%s of %s", what, output.ByteSize(int64(len(q.Raw)))), "", "", "source " + cmp.Or(q.Source, "unknown") + ", " + safetext.Line(q.Origin, maxProblem),
			safetext.Line(joined(q.Reason, q.Err), maxProblem), words.Time(q.Time)})
	})
}

// errEnough ends a list.
var errEnough = errors.New("enough")

// review returns the page of a number from 0 on.
func (p pages) review(r *http.Request, of reviewed) (*review, error) {
	v := &review{Path: of.path, Title: of.title, Noun: of.noun, Retry: of.retry, Replica: p.group.name(), Form: p.form, WantsToken: !p.open()}
	if v.WantsToken && p.config().TokenFile == "" {
		v.Refused = "This address changes nothing without http.token_file. Ask on the machine of the service, or use mfawatch " + of.path[1:] + "."
	}
	st, err := p.Stats()
	if err != nil {
		return nil, err
	}
	v.Total = of.total(st)
	number, _ := strconv.Atoi(r.URL.Query().Get("page"))
	number = max(0, min(number, max(0, v.Total-1)/pageKept))
	v.From = number*pageKept + 1
	skip := number * pageKept
	err = of.list(r.Context(), func(row reviewRow) error {
		switch {
		case skip > 0:
			skip--
		case len(v.Rows) == pageKept:
			return errEnough
		default:
			v.Rows = append(v.Rows, row)
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	v.To = number*pageKept + len(v.Rows)
	v.Total = max(v.Total, v.To) // the stats may be a moment old
	if number > 0 {
		v.Before = fmt.Sprintf("%s?page=%d", of.path, number-1)
	}
	if v.To < v.Total && len(v.Rows) == pageKept {
		v.After = fmt.Sprintf("%s?page=%d", of.path, number+1)
	}
	return v, nil
}
