package zendesk

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A server is a help desk of Zendesk as its documentation describes it: the
// calls of the Tickets API that there is a use for.
type server struct {
	t *testing.T

	mu       sync.Mutex
	now      func() time.Time
	tickets  []*record // by number, from 1
	keys     map[string]keptComment
	requests []string
	hits     int // requests that an Idempotency-Key answered

	limit     int // requests a minute; 0: none
	counted   int
	minute    time.Time
	noAfter   bool
	noDesk    bool           // there is no help desk at that address
	suspended bool           // the agent is
	required  map[int]string // custom fields that are required to solve, by number
	before    func(z *server, method string, id int)
}

// A record is a ticket.
type record struct {
	id                                            int
	external, subject, status, priority, assigned string
	group                                         float64
	tags                                          []string
	fields                                        map[int]string
	comments                                      []string // as HTML, the oldest first
	follows                                       int
	deleted                                       bool
	updates                                       []time.Time
}

// A keptComment is the server's memory of an Idempotency-Key.
type keptComment struct {
	body   [32]byte
	at     time.Time
	answer string
}

// The people of the help desk.
const (
	agent      = 900 // the number of the agent that the token belongs to
	otherAgent = "anna@example.net"
	group      = 360001
)

func newServer(t *testing.T) *server {
	return &server{t: t, now: time.Now, keys: map[string]keptComment{}}
}

func (z *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.requests = append(z.requests, r.Method+" "+r.URL.Path)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	user, password, _ := r.BasicAuth()
	switch {
	case z.noDesk:
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "<html>No help desk at that address</html>")
		return
	case (user != "bot@example.net/token" || password != "xyzzy-token") && r.Header.Get("Authorization") != "Bearer xyzzy-oauth":
		fail(w, http.StatusUnauthorized, map[string]any{"error": "Couldn't authenticate you"})
		return
	case z.suspended:
		fail(w, http.StatusForbidden, map[string]any{"error": map[string]string{"title": "Forbidden", "message": "This account is suspended"}})
		return
	case z.limit > 0 && !z.within(w):
		return
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	path, _ := strings.CutPrefix(r.URL.Path, "/api/v2/tickets")
	path, comments := strings.CutSuffix(path, "/comments")
	id, _ := strconv.Atoi(strings.TrimPrefix(path, "/"))
	if z.before != nil {
		z.before(z, r.Method, id)
	}
	var ticket *record
	if id > 0 {
		if id > len(z.tickets) || z.tickets[id-1].deleted {
			fail(w, http.StatusNotFound, map[string]any{"error": "RecordNotFound", "description": "Not found"})
			return
		}
		ticket = z.tickets[id-1]
	}
	switch {
	case r.Method == http.MethodPost && path == "":
		z.make(w, r, text)
	case r.Method == http.MethodGet && path == "":
		found := []any{}
		for _, t := range z.tickets {
			if external := r.URL.Query().Get("external_id"); !t.deleted && (external == "" || external == t.external) {
				found = append(found, t.shown())
			}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"tickets": found, "count": len(found)})
	case r.Method == http.MethodGet && ticket != nil && comments:
		all := []any{}
		for _, c := range ticket.comments {
			all = append(all, map[string]any{"body": plainText(c), "html_body": c, "public": false})
		}
		if r.URL.Query().Get("sort_order") == "desc" {
			slices.Reverse(all)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"comments": all})
	case r.Method == http.MethodGet && ticket != nil:
		_ = json.NewEncoder(w).Encode(map[string]any{"ticket": ticket.shown()})
	case r.Method == http.MethodPut && ticket != nil:
		z.change(w, ticket, text)
	default:
		fail(w, http.StatusNotFound, map[string]any{"error": "InvalidEndpoint"})
	}
}

func fail(w http.ResponseWriter, status int, body any) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// invalid is how a record is refused.
func invalid(w http.ResponseWriter, problems map[string]string) {
	details := map[string]any{}
	for field, problem := range problems {
		details[field] = []any{map[string]any{"description": problem, "error": nil}}
	}
	fail(w, http.StatusUnprocessableEntity, map[string]any{"error": "RecordInvalid", "description": "Record validation errors", "details": details})
}

// within counts the request, and refuses it if it is one too many of the minute.
func (z *server) within(w http.ResponseWriter) bool {
	now := z.now()
	if now.Sub(z.minute) >= time.Minute {
		z.minute, z.counted = now, 0
	}
	left := int(z.minute.Add(time.Minute).Sub(now).Seconds())
	w.Header().Set("X-Rate-Limit", strconv.Itoa(z.limit))
	w.Header().Set("Ratelimit-Reset", strconv.Itoa(left))
	if z.counted++; z.counted <= z.limit {
		return true
	}
	z.slow(w, left)
	return false
}

func (z *server) slow(w http.ResponseWriter, seconds int) {
	if !z.noAfter {
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
	}
	fail(w, http.StatusTooManyRequests, map[string]any{"error": "APIRateLimitExceeded", "description": "Number of allowed API requests per minute exceeded"})
}

// plainText is the text of a comment's HTML.
func plainText(text string) string {
	return html.UnescapeString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(strings.ReplaceAll(text, "<br>", "\n"), ""))
}

func (t *record) shown() map[string]any {
	shown := map[string]any{
		"id": t.id, "external_id": t.external, "subject": t.subject, "raw_subject": t.subject, "status": t.status, "priority": t.priority,
		"description": plainText(t.comments[0]), "assignee_id": nil, "submitter_id": agent, "requester_id": agent, "tags": t.tags, "is_public": false,
	}
	if t.assigned != "" {
		shown["assignee_id"] = 901
	}
	return shown
}

// make makes a ticket, or gives the one that the same request made in the last
// two hours.
func (z *server) make(w http.ResponseWriter, r *http.Request, text []byte) {
	key, sum := r.Header.Get("Idempotency-Key"), sha256.Sum256(text)
	if len(key) > 255 {
		z.t.Errorf("a key of %d characters", len(key))
	}
	if kept, ok := z.keys[key]; ok && key != "" && z.now().Sub(kept.at) < 2*time.Hour {
		if kept.body != sum {
			fail(w, http.StatusBadRequest, map[string]any{"error": "IdempotentRequestError", "description": "The request parameters do not match those of the first request"})
			return
		}
		z.hits++
		w.Header().Set("X-Idempotency-Lookup", "hit")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, kept.answer)
		return
	}
	t := &record{id: len(z.tickets) + 1, status: "new", fields: map[int]string{}}
	if !z.set(w, t, text) {
		return
	}
	z.tickets = append(z.tickets, t)
	answer, _ := json.Marshal(map[string]any{"ticket": t.shown()})
	z.keys[key] = keptComment{sum, z.now(), string(answer)}
	w.Header().Set("X-Idempotency-Lookup", "miss")
	w.Header().Set("Location", fmt.Sprintf("http://%s/api/v2/tickets/%d.json", r.Host, t.id))
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(answer)
}

func (z *server) change(w http.ResponseWriter, t *record, text []byte) {
	if t.status == "closed" {
		invalid(w, map[string]string{"status": "Status: closed prevents ticket update"})
		return
	}
	now := z.now()
	t.updates = slices.DeleteFunc(t.updates, func(at time.Time) bool { return now.Sub(at) >= 10*time.Minute })
	if len(t.updates) >= 30 {
		z.slow(w, int(t.updates[0].Add(10*time.Minute).Sub(now).Seconds()))
		return
	}
	changed := *t
	if !z.set(w, &changed, text) {
		return
	}
	*t = changed
	t.updates = append(t.updates, now)
	_ = json.NewEncoder(w).Encode(map[string]any{"ticket": t.shown()})
}

// set sets what the body says of the ticket, or answers why it may not be.
func (z *server) set(w http.ResponseWriter, t *record, text []byte) bool {
	var body struct {
		Ticket struct {
			Subject *string `json:"subject"`
			Comment struct {
				Body   string `json:"body"`
				HTML   string `json:"html_body"`
				Public *bool  `json:"public"`
			} `json:"comment"`
			Priority   string   `json:"priority"`
			Status     string   `json:"status"`
			Type       string   `json:"type"`
			ExternalID *string  `json:"external_id"`
			Tags       []string `json:"tags"`
			Group      float64  `json:"group_id"`
			Email      string   `json:"assignee_email"`
			Assignee   float64  `json:"assignee_id"`
			Fields     []struct {
				ID    int    `json:"id"`
				Value string `json:"value"`
			} `json:"custom_fields"`
			Follows int `json:"via_followup_source_id"`
		} `json:"ticket"`
	}
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&body); err != nil {
		z.t.Errorf("%v: %s", err, text)
		fail(w, http.StatusBadRequest, map[string]any{"error": "Unprocessable", "message": err.Error()})
		return false
	}
	in := body.Ticket
	problems := map[string]string{}
	if in.Comment.Body+in.Comment.HTML == "" {
		problems["comment"] = "Description: cannot be blank"
	}
	if in.Comment.Public == nil || *in.Comment.Public {
		z.t.Error("a comment is public, and mail goes out")
	}
	if len(in.Comment.HTML) > 64<<10 {
		problems["comment"] = "Description: is too long"
	}
	if in.Subject != nil && len(*in.Subject) > 150 {
		problems["subject"] = "Subject: is too long"
	}
	if in.Priority != "" && !slices.Contains([]string{"low", "normal", "high", "urgent"}, in.Priority) {
		problems["priority"] = "Priority: " + in.Priority + " is not a valid value"
	}
	if in.Type != "" && in.Type != "incident" {
		problems["type"] = "Type: is not a valid value"
	}
	if in.Group != 0 && in.Group != group {
		problems["group"] = "Group: is invalid"
	}
	if in.Email != "" && in.Email != otherAgent {
		problems["assignee"] = "Assignee: is invalid"
	}
	if slices.ContainsFunc(in.Tags, func(tag string) bool { return strings.ContainsAny(tag, " ,") }) {
		problems["tags"] = "Tags: contain characters that they may not"
	}
	if in.Subject != nil {
		t.subject = *in.Subject
	}
	if in.ExternalID != nil {
		t.external = *in.ExternalID
	}
	if in.Priority != "" {
		t.priority = in.Priority
	}
	if in.Group != 0 {
		t.group = in.Group
	}
	if in.Email != "" || in.Assignee == agent {
		t.assigned = in.Email + fmt.Sprint(in.Assignee)
	}
	if in.Tags != nil {
		t.tags = in.Tags
	}
	for _, f := range in.Fields {
		t.fields[f.ID] = f.Value
	}
	if in.Status != "" {
		t.status = in.Status
	}
	if t.status == "solved" {
		if t.assigned == "" {
			problems["base"] = "Assignee: is required when solving a ticket"
		}
		for id, name := range z.required {
			if t.fields[id] == "" {
				problems["base"] = name + ": is required when solving a ticket"
			}
		}
	}
	if f := in.Follows; f > 0 && f <= len(z.tickets) && z.tickets[f-1].status == "closed" {
		t.follows = f
	}
	if len(problems) > 0 {
		invalid(w, problems)
		return false
	}
	t.comments = append(slices.Clip(t.comments), in.Comment.HTML+html.EscapeString(in.Comment.Body))
	return true
}

// of is the tickets of an exposure.
func (z *server) of(key string) (found []*record) {
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, t := range z.tickets {
		if t.external == key && !t.deleted {
			found = append(found, t)
		}
	}
	return found
}
