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

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/sinks/message"
)

// Bounds of a page.
const (
	pageOpen   = 500
	pageAlerts = 50
	pageSteps  = 200
	pageRecord = 64 << 10 // bytes of one record
)

//go:embed page.html
var pageText string

var pageTemplate = sync.OnceValue(func() *template.Template { return template.Must(template.New("page").Parse(pageText)) })

// A page is the overview, or the history of one exposure.
type page struct {
	Title    string
	Version  string
	Now      string
	Healthy  bool // every part is ready
	Parts    []pagePart
	Sinks    []pageSink
	Open     []pageExposure
	More     int // open exposures beyond Open
	Alerts   []pageAlert
	Exposure string // "" in the overview
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

// pages serves the pages of a service.
type pages struct {
	Service
	access
}

func (p pages) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { show(w, p.overview) })
	mux.HandleFunc("GET /exposures/{id}", func(w http.ResponseWriter, r *http.Request) {
		show(w, func() (*page, error) { return p.history(r.PathValue("id")) })
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !p.pagesOpen():
			plain(w, http.StatusForbidden, "mfawatch\n\n/metrics\n/healthz\n/readyz\n\n"+
				"Set http.url, the public URL of this address, to get pages here.\n")
		case !plainHost(r.Host) && !p.ownHost(r.Host):
			plain(w, http.StatusForbidden, wrongHost)
		default:
			mux.ServeHTTP(w, r)
		}
	})
}

// pagesOpen reports whether pages are served: always to this machine alone, to
// others with http.url or http.admin.
func (p pages) pagesOpen() bool { return p.open() || p.config().URL != "" }

// ownHost reports whether host is that of http.url.
func (p pages) ownHost(host string) bool {
	u, err := url.Parse(p.Config().HTTP.URL)
	if h, _, e := net.SplitHostPort(host); e == nil {
		host = h
	}
	return err == nil && u.Hostname() != "" && strings.EqualFold(u.Hostname(), host)
}

// show writes a page that loads nothing, and applies its own style only.
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
		plain(w, http.StatusNotFound, "no alert of this exposure is stored: it is older than retention, or the ID is wrong\n")
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
	w.Page = "" // no link to this page
	return &page{Title: title, Version: ReadBuild().Version, Now: time.Now().UTC().Format("2006-01-02 15:04:05 UTC")}, w
}

// overview shows open exposures, health, sinks and the latest alerts.
func (p pages) overview() (*page, error) {
	v, words := p.newPage("mfawatch")
	v.Healthy = true
	for name, err := range p.Ready {
		part := pagePart{Name: name}
		if err != nil {
			v.Healthy = false
			part.Problem = problem(err)
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
	alerts, err := p.Journal().Latest(0, pageAlerts)
	v.Alerts = pageAlertsOf(alerts, words, false)
	return v, err
}

// since returns the time since t.
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

// history shows the alerts of an exposure, latest first; nil if none is stored.
func (p pages) history(id string) (*page, error) {
	alerts, err := p.Journal().Story(id, pageSteps)
	if err != nil || len(alerts) == 0 {
		return nil, err
	}
	v, words := p.newPage("mfawatch: " + safetext.Clean(alerts[0].Alert.Title, 200))
	v.Exposure = id
	v.Alerts = pageAlertsOf(alerts, words, true)
	return v, nil
}

func pageAlertsOf(alerts []journal.Recorded, words message.Wording, records bool) (all []pageAlert) {
	for _, r := range alerts {
		a := r.Alert
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
