package sinks

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
)

const maxTicketSubject = 150 // bytes

// zdPriorities are Zendesk's, the lowest first.
var zdPriorities = []string{"low", "normal", "high", "urgent"}

var zdPriority = map[string]string{"critical": "urgent", "high": "high", "medium": "normal", "low": "low", "info": "low"}

// A zdTicket is what the help desk says of a ticket.
type zdTicket struct {
	ID          int64       `json:"id"`
	ExternalID  string      `json:"external_id"`
	Status      string      `json:"status"` // new, open, pending, hold, solved, closed or deleted
	Priority    string      `json:"priority"`
	Description string      `json:"description"` // its first comment
	AssigneeID  json.Number `json:"assignee_id"`
	SubmitterID json.Number `json:"submitter_id"`
}

func (t zdTicket) ref() string { return strconv.FormatInt(t.ID, 10) }

func othersOf(open []zdTicket) string {
	var all []string
	for _, t := range open[1:] {
		all = append(all, "#"+t.ref())
	}
	return strings.Join(all, ", ")
}

type zdOne struct {
	Ticket zdTicket `json:"ticket"`
}

type zdOut struct {
	Ticket zdSent `json:"ticket"`
}

// A zdSent is what we say of a ticket. What is empty stays as it is.
type zdSent struct {
	Subject       string      `json:"subject,omitempty"`
	Comment       zdComment   `json:"comment"`
	Priority      string      `json:"priority,omitempty"`
	Status        string      `json:"status,omitempty"`
	Type          string      `json:"type,omitempty"`
	ExternalID    string      `json:"external_id,omitempty"`
	Tags          []string    `json:"tags,omitempty"`
	GroupID       int64       `json:"group_id,omitempty"`
	AssigneeEmail string      `json:"assignee_email,omitempty"`
	AssigneeID    json.Number `json:"assignee_id,omitempty"`
	BrandID       int64       `json:"brand_id,omitempty"`
	CustomFields  []zdField   `json:"custom_fields,omitempty"`
	FollowUpOf    int64       `json:"via_followup_source_id,omitempty"`
}

// A zdComment is internal: no mail goes out to a requester.
type zdComment struct {
	HTML   string `json:"html_body"`
	Public bool   `json:"public"`
}

type zdField struct {
	ID    json.Number `json:"id"`
	Value string      `json:"value"`
}

// ticket is what makes one, after one that was closed if it has a number.
func (z *Zendesk) ticket(a *processor.Alert, after int64) zdSent {
	m := z.wording.Message(a)
	severity := urgent(a)
	if a.Step == exposure.Resolved { // somebody came in, and nobody was told
		severity = exposure.Critical
	}
	sent := zdSent{
		Subject:       exposure.Clean(zdText(z.texts.or(m.Short, "subject", m, a, maxTicketText)), maxTicketSubject),
		Comment:       zdComment{HTML: zdHTML(ticketText(m, a, z.texts, "comment", zdText))},
		Priority:      choice(severity, z.config.Priority, zdPriority),
		Type:          "incident",
		ExternalID:    ticketKey(a),
		Tags:          z.config.Tags,
		GroupID:       z.config.GroupID,
		AssigneeEmail: z.config.AssigneeEmail,
		BrandID:       z.config.BrandID,
		FollowUpOf:    after,
	}
	for _, id := range slices.Sorted(maps.Keys(z.config.Fields)) {
		sent.CustomFields = append(sent.CustomFields, zdField{json.Number(id), z.config.Fields[id]})
	}
	return sent
}

// change is what updates or solves the first of the tickets.
func (z *Zendesk) change(a *processor.Alert, open []zdTicket) zdSent {
	m, t := z.wording.Message(a), open[0]
	before := []string{m.Short}
	if len(open) > 1 {
		before = append(before, "There are several open tickets of this exposure. mfawatch keeps to this one: "+othersOf(open)+" can be closed.")
	}
	sent := zdSent{Comment: zdComment{HTML: zdHTML(ticketText(m, a, z.texts, "comment", zdText, before...))}}
	if a.Step == exposure.Resolved {
		sent.Status = "solved"
		if t.AssigneeID == "" { // nobody took it, and none is solved without an assignee
			sent.AssigneeID = t.SubmitterID
		}
		return sent
	}
	if t.Status == "solved" {
		sent.Status = "open"
	}
	priority := choice(urgent(a), z.config.Priority, zdPriority)
	if slices.Index(zdPriorities, priority) > slices.Index(zdPriorities, t.Priority) {
		sent.Priority = priority
	}
	return sent
}

// placeholder begins what Zendesk replaces in a comment of an agent: it could
// give away what the reader may not see.
var placeholder = regexp.MustCompile(`\{(\s*[{%])`)

// zdText takes the meaning from placeholders.
func zdText(s string) string {
	for placeholder.MatchString(s) { // {{{ is two
		s = placeholder.ReplaceAllString(s, "(${1}")
	}
	return s
}

// zdHTML is plain text as HTML, which is not read as Markdown.
func zdHTML(s string) string {
	return strings.ReplaceAll(html.EscapeString(s), "\n", "<br>")
}

// A zdOperation is what a request is for: it decides what a refusal means.
type zdOperation int

const (
	zdLook zdOperation = iota
	zdCreate
	zdUpdate
	zdSolve
)

// call sends a request with body as JSON, under a key against duplicates if
// there is one, and reads the answer into got.
func (z *Zendesk) call(ctx context.Context, cred credentials, what zdOperation, method, path, key string, body, got any) (reply, error) {
	r := request{method: method, url: strings.TrimRight(z.config.URL, "/") + path, header: http.Header{"Accept": {"application/json"}},
		secrets: cred.secrets, bound: maxTicketReply}
	r.header.Set(cred.name, cred.value)
	if key != "" {
		r.header.Set("Idempotency-Key", key)
	}
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return reply{}, Permanent(err)
		}
		r.body = text
		r.header.Set("Content-Type", "application/json")
	}
	answer, err := z.http.post(ctx, r)
	if err != nil {
		return answer, zdVerdict(what, answer, err)
	}
	if isPage(answer) {
		return answer, Misconfigured(fmt.Errorf("%s of Zendesk answered %s with a page of HTML: url is not that of a help desk", method, statusText(answer.status)))
	}
	if err := json.Unmarshal(answer.body, got); err != nil {
		err = fmt.Errorf("%s of Zendesk answered %s with what is no answer of its API: %w", method, statusText(answer.status), err)
		if what == zdLook {
			return answer, err // nothing was written
		}
		return answer, Ambiguous(err)
	}
	return answer, nil
}

// zdVerdict is what a failure means where judgeStatus does not know.
func zdVerdict(what zdOperation, r reply, err error) error {
	v, after := judge(err)
	said := zdErrors(r)
	switch {
	case v == throttled && after == 0:
		seconds, _ := strconv.Atoi(cmp.Or(r.header.Get("Ratelimit-Reset"), r.header.Get("X-Rate-Limit-Reset")))
		return Throttled(err, max(0, min(time.Duration(seconds)*time.Second, maxRetryAfter)))
	case what == zdLook && v == ambiguous:
		return verdictOf(err, retry, 0) // nothing was written
	case r.status == http.StatusUnauthorized:
		return Misconfigured(fmt.Errorf("%w; check email and token (an API token of that agent; without email an OAuth token), and that API tokens are allowed", err))
	case r.status == http.StatusForbidden:
		return Misconfigured(fmt.Errorf("%w; the agent may not do that, or is suspended, or the account is", err))
	case r.status == http.StatusNotFound && (what == zdUpdate || what == zdSolve):
		return verdictOf(fmt.Errorf("%w; somebody deleted the ticket", err), retry, 0)
	case r.status == http.StatusNotFound:
		return Misconfigured(fmt.Errorf("%w; there is no help desk at url", err))
	case r.status == http.StatusConflict:
		return verdictOf(err, retry, 0)
	case r.status == http.StatusBadRequest && said.Error == "IdempotentRequestError":
		return verdictOf(fmt.Errorf("%w; an attempt with other words or other configuration was made, which Zendesk remembers for two hours", err), retry, 0)
	case r.status == http.StatusUnprocessableEntity:
		return zdRefused(what, said, err)
	}
	return err
}

// A zdError is how Zendesk refuses.
type zdError struct {
	Error   string
	Details map[string][]struct {
		Description string `json:"description"`
	}
}

func zdErrors(r reply) (e zdError) {
	var got struct {
		Error   any             `json:"error"`
		Details json.RawMessage `json:"details"`
	}
	if json.Unmarshal(r.body, &got) != nil {
		return e
	}
	e.Error, _ = got.Error.(string)
	_ = json.Unmarshal(got.Details, &e.Details)
	return e
}

// zdAlertFields are those of which each alert has its own.
var zdAlertFields = []string{"subject", "description", "comment", "value", "external_id"}

// zdRefused is what 422 means: the ticket was closed meanwhile, or the help desk
// has rules of its own.
func zdRefused(what zdOperation, said zdError, err error) error {
	var problems []string
	ours := true // it is about the alert alone
	for _, field := range slices.Sorted(maps.Keys(said.Details)) {
		ours = ours && slices.Contains(zdAlertFields, field)
		for _, d := range said.Details[field] {
			problems = append(problems, exposure.Clean(d.Description, maxErrorText))
		}
	}
	if len(problems) > 0 {
		err = fmt.Errorf("%w (%s)", err, strings.Join(problems, "; "))
	}
	switch closed := slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, "closed prevents ticket update") }); {
	case closed:
		return verdictOf(err, retry, 0) // the next attempt sees it
	case what == zdCreate && !ours: // it would refuse each alert
		return Misconfigured(fmt.Errorf("%w; check group_id, assignee_email, brand_id and tags, and set what the help desk wants under fields", err))
	case what == zdSolve: // others can be made all the same
		return Permanent(fmt.Errorf("%w; set assignee_email and, under fields, what the help desk wants of a ticket to be solved, then retry the dead letter", err))
	}
	return Permanent(err)
}
