package pagerduty

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// A server behaves as the Events API v2 of PagerDuty, after its published
// description: what it requires and refuses, its limits, and what a trigger and
// a resolve do. As the real one, it accepts events for keys that no service
// has, and drops them.
type server struct {
	keys    []string // of services
	refused string   // a key that it does not take

	mu        sync.Mutex
	incidents []*incident
	dropped   int
}

// An incident is a service's state of a dedup_key.
type incident struct {
	key, dedup, severity string
	resolved             bool
	log                  []string // an entry for each event
	texts                []string
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path != "/v2/enqueue" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if r.Method != http.MethodPost {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	dedup, problems := s.take(r)
	if len(problems) > 0 {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]any{"status": "invalid event", "message": "Event object is invalid", "errors": problems})
		return
	}
	w.WriteHeader(http.StatusAccepted)
	_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "message": "Event processed", "dedup_key": dedup})
}

// take processes an event, or says what is wrong with it.
func (s *server) take(r *http.Request) (dedup string, problems []string) {
	bad := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	body, err := io.ReadAll(io.LimitReader(r.Body, 512<<10+1))
	if err != nil || len(body) > 512<<10 {
		bad("the event exceeds 512 KB")
		return
	}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		bad("Content-Type is %s", kind)
	}
	var e struct {
		Key     string `json:"routing_key"`
		Action  string `json:"event_action"`
		Dedup   string `json:"dedup_key"`
		Client  string `json:"client"`
		Payload *struct {
			Summary   string         `json:"summary"`
			Source    string         `json:"source"`
			Severity  string         `json:"severity"`
			Timestamp string         `json:"timestamp"`
			Component string         `json:"component"`
			Group     string         `json:"group"`
			Class     string         `json:"class"`
			Details   map[string]any `json:"custom_details"`
		} `json:"payload"`
		ClientURL string `json:"client_url"`
		Links     []struct {
			Href string `json:"href"`
			Text string `json:"text"`
		} `json:"links"`
	}
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil || !utf8.Valid(body) {
		bad("JSON parse error: %v", err)
		return
	}
	switch {
	case e.Key == "":
		bad("'routing_key' is missing or blank")
	case len(e.Key) != 32:
		bad("'routing_key' is invalid")
	}
	if s.refused != "" && e.Key == s.refused {
		bad("Invalid routing key")
	}
	if !slices.Contains([]string{"trigger", "acknowledge", "resolve"}, e.Action) {
		bad("'event_action' is %q", e.Action)
	}
	if n := utf8.RuneCountInString(e.Dedup); n == 0 && e.Action != "trigger" || n > 255 {
		bad("'dedup_key' has %d characters", n)
	}
	if e.Action == "trigger" {
		p := e.Payload
		if p == nil {
			bad("'payload' is missing")
			return
		}
		if n := utf8.RuneCountInString(p.Summary); n == 0 || n > 1024 {
			bad("'payload.summary' has %d characters", n)
		}
		if p.Source == "" {
			bad("'payload.source' is missing or blank")
		}
		if !slices.Contains([]string{"critical", "error", "warning", "info"}, p.Severity) {
			bad("'payload.severity' is %q", p.Severity)
		}
		if _, err := time.Parse(time.RFC3339, p.Timestamp); p.Timestamp != "" && err != nil {
			bad("'payload.timestamp' is %q", p.Timestamp)
		}
	}
	for _, l := range e.Links {
		if u, err := url.Parse(l.Href); err != nil || u.Host == "" {
			bad("'links.href' is %q", l.Href)
		}
	}
	if len(problems) > 0 {
		return e.Dedup, problems
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.keys, e.Key) {
		s.dropped++
		return e.Dedup, nil
	}
	var open *incident
	for _, i := range s.incidents {
		if i.key == e.Key && i.dedup == e.Dedup && !i.resolved {
			open = i
		}
	}
	switch {
	case e.Action == "resolve" && open != nil:
		open.resolved = true
		open.log = append(open.log, "resolve")
	case e.Action == "trigger":
		if open == nil {
			open = &incident{key: e.Key, dedup: e.Dedup}
			s.incidents = append(s.incidents, open)
		}
		open.severity = e.Payload.Severity
		open.log = append(open.log, e.Payload.Severity+" "+e.Payload.Class)
		open.texts = append(open.texts, e.Payload.Summary, e.Payload.Source, e.Payload.Component, e.Payload.Group)
		for name, value := range e.Payload.Details {
			open.texts = append(open.texts, name+": "+fmt.Sprint(value))
		}
	}
	return e.Dedup, nil
}

// of are the incidents that a service has of a dedup_key.
func (s *server) of(key, dedup string) (found []incident) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.incidents {
		if i.key == key && i.dedup == dedup {
			found = append(found, *i)
		}
	}
	return found
}
