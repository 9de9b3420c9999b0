package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/build"
	"github.com/mfawatch/mfawatch/sinks/message"
)

//go:embed page
var pageFiles embed.FS

// A pageTemplates holds the templates of the pages, and the policy that lets a
// browser apply their style and their script alone.
type pageTemplates struct {
	*template.Template
	policy string
}

var pageTemplate = sync.OnceValue(func() pageTemplates {
	read := func(name string) string {
		text, err := pageFiles.ReadFile("page/" + name)
		if err != nil {
			panic(err) // embedded
		}
		return string(text)
	}
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	style, script := read("style.css"), read("live.js")
	layout := strings.NewReplacer("STYLE", style, "SCRIPT", script).Replace(read("layout.html"))
	t := template.Must(template.New("layout").Parse(layout))
	template.Must(t.Parse(read("live.html")))
	template.Must(t.Parse(read("shards.html")))
	template.Must(t.Parse(read("story.html")))
	template.Must(t.Parse(read("review.html")))
	return pageTemplates{t, "default-src 'none'; style-src " + hash(style) + "; script-src " + hash(script) +
		"; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"}
})

// A page is the overview, the story of one exposure, or a review.
type page struct {
	Title, Version, Now string
	Overview            *overview
	Story               *story
	Review              *review
}

// pages serves the pages of a service.
type pages struct {
	board
	access
	form  string        // random: a form with it was on a page of this server
	live  chan struct{} // holds one for each stream
	shown *shownViews   // of the streams
	ended <-chan struct{}
}

func (p pages) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		v, _ := viewOf(r.URL.Query())
		o, err := p.overview(v)
		p.show(w, page{Title: "mfawatch", Overview: o}, err)
	})
	mux.HandleFunc("GET /exposures/{id}", func(w http.ResponseWriter, r *http.Request) {
		s, err := p.story(r.Context(), r.PathValue("id"))
		v := page{Story: s}
		if err == nil {
			v.Title = "mfawatch: " + s.Title
		}
		p.show(w, v, err)
	})
	mux.HandleFunc("GET /events", p.events)
	for _, of := range p.reviews() {
		mux.HandleFunc("GET "+of.path, func(w http.ResponseWriter, r *http.Request) {
			v, err := p.review(r, of)
			p.show(w, page{Title: "mfawatch: " + of.title, Review: v}, err)
		})
		mux.HandleFunc("POST "+of.path, func(w http.ResponseWriter, r *http.Request) { p.change(w, r, of) })
	}
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

// wording returns the words of alerts for pages, without links to themselves.
func (p pages) wording() message.Wording {
	w := p.Config().Wording()
	w.Page = ""
	return w
}

// show writes a page that loads nothing, and applies its own style and script only.
func (p pages) show(w http.ResponseWriter, v page, err error) {
	t := pageTemplate()
	v.Version, v.Now = build.Read().Version, p.wording().Time(time.Now())
	var b bytes.Buffer
	if err == nil {
		err = t.Execute(&b, v)
	}
	if err != nil {
		answer(w, nil, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", t.policy)
	h.Set("Referrer-Policy", "same-origin") // without one, a form has no origin
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(b.Bytes())
}
