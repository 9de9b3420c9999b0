package web

import (
	"bytes"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"

	_ "embed"
	"encoding/json"
	"html/template"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/sinks/message"
)

// How much a page shows.
const (
	pageOpen   = 500
	pageAlerts = 50
	pageSteps  = 200
	pageRecord = 64 << 10 // bytes of one record
)

//go:embed page.html
var pageText string

var pageTemplate = sync.OnceValue(func() *template.Template { return template.Must(template.New("page").Parse(pageText)) })

// A page is what a person looks at: how things stand, or the story of one
// exposure.
type page struct {
	Title    string
	Version  string
	Now      string
	Parts    []pagePart
	Sinks    []pageSink
	Open     []pageExposure
	More     int // exposures that are open beyond those
	Alerts   []pageAlert
	Exposure string // "" on the front page
}

type pagePart struct{ Name, Problem string }

type pageSink struct {
	Name          string
	Pending, Dead int
	Oldest        string
}

type pageExposure struct{ ID, Severity, User, Account, Since, For string }

type pageAlert struct {
	message.Message
	ID, Exposure, When, Record string
}

// pages are the pages of a service. What they show is everybody's who can reach
// them.
type pages struct{ Service }

func (p pages) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { show(w, p.front) })
	mux.HandleFunc("GET /exposures/{id}", func(w http.ResponseWriter, r *http.Request) {
		show(w, func() (*page, error) { return p.story(r.PathValue("id")) })
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !p.pagesOpen():
			plain(w, http.StatusForbidden, "mfawatch\n\n/metrics\n/healthz\n/readyz\n\n"+
				"There are pages for people too, where http.url says under which URL they reach this address.\n")
		case !plainHost(r.Host) && !p.ownHost(r.Host):
			plain(w, http.StatusForbidden, "refused: the Host header has to be an IP address, localhost or the host of http.url,"+
				" so that no web page can get here under a name of its own\n")
		default:
			mux.ServeHTTP(w, r)
		}
	})
}

// pagesOpen reports whether pages are shown: to this machine always, to others
// where the configuration gives them the URL, or the whole of the admin's side.
func (p pages) pagesOpen() bool {
	c := p.Config().HTTP
	return adminOpen(c) || c.URL != ""
}

// ownHost reports whether host is that of http.url.
func (p pages) ownHost(host string) bool {
	u, err := url.Parse(p.Config().HTTP.URL)
	if h, _, e := net.SplitHostPort(host); e == nil {
		host = h
	}
	return err == nil && u.Hostname() != "" && strings.EqualFold(u.Hostname(), host)
}

// show writes a page that nothing but its own style is loaded into.
func show(w http.ResponseWriter, make func() (*page, error)) {
	v, err := make()
	var b bytes.Buffer
	if err == nil && v != nil {
		err = pageTemplate().Execute(&b, v)
	}
	switch {
	case err != nil:
		plain(w, http.StatusInternalServerError, err.Error()+"\n")
	case v == nil:
		plain(w, http.StatusNotFound, "no alert of this exposure is kept: it is older than the retention, or there never was one\n")
	default:
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		_, _ = w.Write(b.Bytes())
	}
}

func (p pages) newPage(title string) (*page, message.Wording) {
	w := p.Config().Wording()
	w.Page = "" // no link to where one is
	return &page{Title: title, Version: ReadBuild().Version, Now: time.Now().UTC().Format("2006-01-02 15:04:05 UTC")}, w
}

// front is how things stand.
func (p pages) front() (*page, error) {
	v, words := p.newPage("mfawatch")
	for name, err := range p.Ready {
		part := pagePart{Name: name}
		if err != nil {
			part.Problem = safetext.Clean(line(err.Error()), 500)
		}
		v.Parts = append(v.Parts, part)
	}
	st, err := p.Stats()
	if err != nil {
		return nil, err
	}
	for _, name := range p.Sinks() {
		sink := pageSink{Name: name, Pending: st.Sinks[name].Pending, Dead: st.Sinks[name].Dead}
		if oldest := st.Sinks[name].Oldest; !oldest.IsZero() {
			sink.Oldest = since(oldest)
		}
		v.Sinks = append(v.Sinks, sink)
	}
	open := p.Journal().Open()
	slices.SortFunc(open, func(a, b exposure.Open) int {
		if a.Severity != b.Severity {
			return slices.Index(exposure.Severities, b.Severity) - slices.Index(exposure.Severities, a.Severity)
		}
		return a.OpenedAt.Compare(b.OpenedAt)
	})
	if len(open) > pageOpen {
		v.More = len(open) - pageOpen
		open = open[:pageOpen]
	}
	for _, o := range open {
		v.Open = append(v.Open, pageExposure{
			ID: o.ID, Severity: string(o.Severity), User: output.UserName(o.User, o.Root), Account: message.Account(p.Config().Accounts[o.Account].Name, o.Account),
			Since: words.Time(o.OpenedAt), For: since(o.OpenedAt),
		})
	}
	alerts, err := p.Journal().Latest(pageAlerts)
	v.Alerts = pageAlertsOf(alerts, words, false)
	return v, err
}

// since is how long ago t was.
func since(t time.Time) string {
	d := time.Since(t)
	switch {
	case d < 2*time.Minute:
		return d.Truncate(time.Second).String()
	case d < 48*time.Hour:
		return strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s")
	}
	return config.FormatDuration(d.Truncate(24 * time.Hour))
}

// story is the exposure from its end to its beginning, nil if nothing of it is
// kept.
func (p pages) story(id string) (*page, error) {
	alerts, err := p.Journal().Story(id, pageSteps)
	if err != nil || len(alerts) == 0 {
		return nil, err
	}
	v, words := p.newPage("mfawatch: " + safetext.Clean(alerts[0].Title, 200))
	v.Exposure = id
	v.Alerts = pageAlertsOf(alerts, words, true)
	return v, nil
}

func pageAlertsOf(alerts []*processor.Alert, words message.Wording, records bool) (all []pageAlert) {
	for _, a := range alerts {
		one := pageAlert{Message: words.Message(a), ID: a.ID, When: words.Time(a.Time)}
		if a.Exposure != nil {
			one.Exposure = *a.Exposure
		}
		if records && len(a.Record) > 0 && len(a.Record) <= pageRecord {
			var b bytes.Buffer
			if json.Indent(&b, a.Record, "", "  ") == nil {
				one.Record = b.String()
			}
		}
		all = append(all, one)
	}
	return all
}
