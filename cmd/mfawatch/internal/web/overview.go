package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/history"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/sinks/message"
)

// Bounds of the overview.
const (
	pageOpen   = 40
	pageAlerts = 10
	pageQuery  = 100 // bytes
)

// A view holds the choices of the reader of the overview.
type view struct {
	Sort     string // severity or age
	Query    string // part of a user or an account
	State    string // "": any
	Severity string // "": any
	Page     int    // from 0 on
}

// The orders of the overview.
const (
	sortSeverity = "severity"
	sortAge      = "age"
)

// viewOf returns the view of a query. The error names a wrong value, which a page
// does without.
func viewOf(q url.Values) (v view, err error) {
	v = view{Sort: sortSeverity, Query: safetext.Clean(strings.TrimSpace(q.Get("q")), pageQuery)}
	if len(q.Get("q")) > pageQuery {
		err = refused{http.StatusBadRequest, fmt.Sprintf("q: want at most %d bytes", pageQuery)}
	}
	for _, of := range []struct {
		name  string
		to    *string
		known []string
	}{{"sort", &v.Sort, []string{sortSeverity, sortAge}}, {"state", &v.State, []string{StateSuspect}}, {"severity", &v.Severity, severities()}} {
		text := q.Get(of.name)
		if wrong := oneOf(of.name, text, of.known...); wrong == nil {
			*of.to = text
		} else if text != "" {
			err = wrong
		}
	}
	if text := q.Get("page"); text != "" {
		n, wrong := strconv.Atoi(text)
		if v.Page = max(0, n); wrong != nil || n < 0 {
			v.Page, err = 0, refused{http.StatusBadRequest, fmt.Sprintf("page: want 0 or more, got %q", config.Bounded(text))}
		}
	}
	return v, err
}

// link returns the link to a view.
func (v view) link() string {
	q := url.Values{}
	for name, value := range map[string]string{"q": v.Query, "state": v.State, "severity": v.Severity} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if v.Sort != sortSeverity {
		q.Set("sort", v.Sort)
	}
	if v.Page > 0 {
		q.Set("page", strconv.Itoa(v.Page))
	}
	return "/?" + q.Encode()
}

// from and to return the bounds of the page among so many.
func (v view) from(total int) int { return min(v.Page*pageOpen, total) }
func (v view) to(total int) int   { return min((v.Page+1)*pageOpen, total) }

// selectOpen returns the selected open exposures in the order of the view, and how
// many are open of each severity. A page behind the last becomes the last.
func (b board) selectOpen(v *view) (selected []exposure.Open, counts []Counted) {
	open := b.openExposures()
	for _, severity := range slices.Backward(exposure.Severities) {
		counts = append(counts, Counted{Severity: severity})
	}
	for _, x := range open {
		if i := slices.IndexFunc(counts, func(c Counted) bool { return c.Severity == x.Severity }); i >= 0 {
			counts[i].Open++
			if x.Suspect {
				counts[i].Suspect++
			}
		}
	}
	names, query := b.Config().Accounts, strings.ToLower(v.Query)
	selected = slices.DeleteFunc(open, func(x exposure.Open) bool {
		return v.State == StateSuspect && !x.Suspect || v.Severity != "" && v.Severity != string(x.Severity) ||
			query != "" && !strings.Contains(strings.ToLower(x.User+" "+x.Account+" "+names[x.Account].Name), query)
	})
	slices.SortFunc(selected, func(a, b exposure.Open) int {
		worse := 0
		if v.Sort == sortSeverity {
			worse = slices.Index(exposure.Severities, b.Severity) - slices.Index(exposure.Severities, a.Severity)
		}
		return cmp.Or(worse, a.OpenedAt.Compare(b.OpenedAt), strings.Compare(a.ID, b.ID))
	})
	v.Page = min(v.Page, max(0, len(selected)-1)/pageOpen)
	return selected, counts
}

// An overview shows health, open exposures and the latest alerts.
type overview struct {
	view
	States, Severities []option
	OKSince            string
	Failing            []pageFailure
	Heads              []pageHead
	Open               []pageExposure
	Unanswered         []string // why some are missing
	All                int      // open exposures, selected or not
	Total, Suspect     int      // of the selected
	From, To           int
	Before, After      string // links
	Charts             []history.Chart
	Parts              []pagePart
	Dead, Quarantined  int
	Alerts             []pageAlert
	Shards             []Shard
	MoreShards         int
}

type option struct {
	Value, Text string
	Selected    bool
}

type pageFailure struct{ Part, Since, Problem string }

type pageHead struct{ Text, Link, Sorted string }

type pageExposure struct {
	ID, Severity, User, Account, Since, For string
	Suspect                                 bool
}

type pagePart struct {
	Name, Problem, Last string
	Sink                bool
	Pending, Dead       int
	Oldest              string
}

type pageAlert struct{ ID, Exposure, Severity, Step, When, Title string }

func (p pages) overview(v view) (*overview, error) {
	o := &overview{view: v, States: []option{{"", "open", v.State == ""}, {StateSuspect, "suspect", v.State == StateSuspect}}, Severities: []option{{"", "any", v.Severity == ""}}}
	for _, s := range slices.Backward(severities()) {
		o.Severities = append(o.Severities, option{s, s, v.Severity == s})
	}
	if err := p.addParts(o); err != nil {
		return nil, err
	}
	p.addOpen(o)
	o.Charts = history.Charts(p.history.Steps(), p.Config().Locale())
	group := p.group.view()
	o.Unanswered = group.unanswered
	o.Shards = group.shards.Shards[:min(len(group.shards.Shards), viewShards)]
	o.MoreShards = len(group.shards.Shards) - len(o.Shards)
	latest := group.latest
	if p.group.name() == "" {
		page, err := p.admin.ListAlerts(context.Background(), "", pageAlerts)
		if err != nil {
			return nil, err
		}
		latest = page.Alerts
	}
	words := p.wording()
	for _, r := range latest {
		m := words.Message(r.Alert)
		o.Alerts = append(o.Alerts, pageAlert{r.Alert.ID, deref(r.Alert.Exposure), string(m.Severity), string(m.Step), words.Time(r.Alert.Time), m.Title})
	}
	return o, nil
}

// addParts adds health, sources and sinks.
func (p pages) addParts(o *overview) error {
	st, err := p.Stats()
	if err != nil {
		return err
	}
	words := p.wording()
	for _, f := range p.health.look(p.Ready) {
		o.Failing = append(o.Failing, pageFailure{f.Part, words.Time(f.Since), f.Problem})
	}
	if ok := p.health.okSince(); !ok.IsZero() {
		o.OKSince = words.Time(ok)
	}
	ago := func(t *time.Time) string {
		if t == nil {
			return ""
		}
		return since(*t)
	}
	for _, s := range p.sources() {
		o.Parts = append(o.Parts, pagePart{Name: "source " + s.Name, Problem: s.Problem, Last: ago(s.LastSuccess)})
	}
	for _, s := range p.sinks(st) {
		o.Dead += s.DeadLetters
		o.Parts = append(o.Parts, pagePart{"sink " + s.Name, s.Problem, ago(s.LastSuccess), true, s.Pending, s.DeadLetters, ago(s.OldestPending)})
	}
	o.Quarantined = st.Quarantined
	return nil
}

// addOpen adds the selected open exposures of the page.
func (p pages) addOpen(o *overview) {
	open, counts := p.selectOpen(&o.view)
	for _, c := range counts {
		o.All += c.Open
	}
	o.Total = len(open)
	for _, x := range open {
		if x.Suspect {
			o.Suspect++
		}
	}
	o.From, o.To = o.from(o.Total)+1, o.to(o.Total)
	to := func(change func(*view)) string {
		v := o.view
		change(&v)
		return v.link()
	}
	if o.Page > 0 {
		o.Before = to(func(v *view) { v.Page-- })
	}
	if o.To < o.Total {
		o.After = to(func(v *view) { v.Page++ })
	}
	by := func(text, sort, sorted string) pageHead {
		h := pageHead{Text: text, Link: to(func(v *view) { v.Sort, v.Page = sort, 0 })}
		if o.Sort == sort {
			h.Sorted = sorted
		}
		return h
	}
	o.Heads = []pageHead{by("Severity", sortSeverity, "descending"), {Text: "User"}, {Text: "Account"}, by("Since", sortAge, "ascending"), {Text: "For"}}
	words, names := p.wording(), p.Config().Accounts
	for _, x := range open[o.from(o.Total):o.To] {
		o.Open = append(o.Open, pageExposure{x.ID, string(x.Severity), userName(x.User, x.Root), message.Account(names[x.Account].Name, x.Account),
			words.Time(x.OpenedAt), since(x.OpenedAt), x.Suspect})
	}
}

// maxName bounds the name of a user, in bytes. The longest of IAM have 64 characters.
const maxName = 512

// userName returns a user's name in full, so that users stay apart whose names
// begin alike.
func userName(user string, root bool) string {
	if root || user == "" {
		return output.UserName(user, root)
	}
	return safetext.Clean(user, maxName)
}

// since returns the time since t, to the minute: what is shown changes no more
// often.
func since(t time.Time) string {
	d := time.Since(t)
	switch {
	case d < time.Minute:
		return "less than 1m"
	case d < 48*time.Hour:
		return strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s")
	}
	return config.FormatDuration(d.Truncate(24 * time.Hour))
}
