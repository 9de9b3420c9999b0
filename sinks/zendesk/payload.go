package zendesk

import (
	"encoding/json"
	"html"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/sinks/message"
	"github.com/mfawatch/mfawatch/sinks/ticket"
)

const maxTicketSubject = 150 // bytes

// priorities are Zendesk's, the lowest first.
var priorities = []string{"low", "normal", "high", "urgent"}

var priority = map[string]string{"critical": "urgent", "high": "high", "medium": "normal", "low": "low", "info": "low"}

// issue holds the fields of a ticket.
type issue struct {
	ID          int64       `json:"id"`
	ExternalID  string      `json:"external_id"`
	Status      string      `json:"status"` // new, open, pending, hold, solved, closed or deleted
	Priority    string      `json:"priority"`
	Description string      `json:"description"` // its first comment
	AssigneeID  json.Number `json:"assignee_id"`
	SubmitterID json.Number `json:"submitter_id"`
}

func (t issue) ref() string { return strconv.FormatInt(t.ID, 10) }

func othersOf(open []issue) string {
	var all []string
	for _, t := range open[1:] {
		all = append(all, "#"+t.ref())
	}
	return strings.Join(all, ", ")
}

type oneTicket struct {
	Ticket issue `json:"ticket"`
}

type envelope struct {
	Ticket sent `json:"ticket"`
}

// sent holds the fields of a ticket that we set. Empty fields stay unchanged.
type sent struct {
	Subject       string      `json:"subject,omitempty"`
	Comment       comment     `json:"comment"`
	Priority      string      `json:"priority,omitempty"`
	Status        string      `json:"status,omitempty"`
	Type          string      `json:"type,omitempty"`
	ExternalID    string      `json:"external_id,omitempty"`
	Tags          []string    `json:"tags,omitempty"`
	GroupID       int64       `json:"group_id,omitempty"`
	AssigneeEmail string      `json:"assignee_email,omitempty"`
	AssigneeID    json.Number `json:"assignee_id,omitempty"`
	CustomFields  []field     `json:"custom_fields,omitempty"`
	FollowUpOf    int64       `json:"via_followup_source_id,omitempty"`
}

// A comment is internal: no mail goes out to a requester.
type comment struct {
	HTML   string `json:"html_body"`
	Public bool   `json:"public"`
}

type field struct {
	ID    json.Number `json:"id"`
	Value string      `json:"value"`
}

// ticket returns the fields that make one, after one that was closed if it has a number.
func (z *Sink) ticket(a *processor.Alert, after int64) sent {
	m := z.wording.Message(a)
	sent := sent{
		Subject:       z.subject(m, a),
		Comment:       comment{HTML: toHTML(ticket.Text(m, a, z.texts, "comment", harmless))},
		Priority:      ticket.Choice(ticket.Urgent(a), z.config.Priority, priority),
		Type:          "incident",
		ExternalID:    ticket.Key(a, z.who()),
		Tags:          z.config.Tags,
		GroupID:       z.config.GroupID,
		AssigneeEmail: z.assignee,
		FollowUpOf:    after,
	}
	for _, id := range slices.Sorted(maps.Keys(z.config.Fields)) {
		sent.CustomFields = append(sent.CustomFields, field{json.Number(id), z.config.Fields[id]})
	}
	return sent
}

// subject follows the present state.
func (z *Sink) subject(m message.Message, a *processor.Alert) string {
	return safetext.Clean(harmless(z.texts.Or(m.Short, "subject", m, a, ticket.MaxText)), maxTicketSubject)
}

// change returns the fields that update or solve the first of the tickets.
func (z *Sink) change(a *processor.Alert, open []issue) sent {
	m, t := z.wording.Message(a), open[0]
	before := []string{m.Short}
	if len(open) > 1 {
		before = append(before, "There are several open tickets of this exposure. mfawatch keeps to this one: "+othersOf(open)+" can be closed.")
	}
	sent := sent{Subject: z.subject(m, a), Comment: comment{HTML: toHTML(ticket.Text(m, a, z.texts, "comment", harmless, before...))}}
	if a.Step == exposure.Resolved {
		sent.Status = "solved"
		if t.AssigneeID == "" { // unassigned, and Zendesk solves none without an assignee
			sent.AssigneeID = t.SubmitterID
		}
		return sent
	}
	if t.Status == "solved" {
		sent.Status = "open"
	}
	priority := ticket.Choice(ticket.Urgent(a), z.config.Priority, priority)
	if slices.Index(priorities, priority) > slices.Index(priorities, t.Priority) {
		sent.Priority = priority
	}
	return sent
}

// placeholder begins what Zendesk replaces in a comment of an agent: it could
// give away what the reader may not see.
var placeholder = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\{(\s*[{%])`) })

// harmless takes the meaning from placeholders.
func harmless(s string) string {
	for placeholder().MatchString(s) { // {{{ is two
		s = placeholder().ReplaceAllString(s, "(${1}")
	}
	return s
}

// toHTML is plain text as HTML, which is not read as Markdown.
func toHTML(s string) string {
	return strings.ReplaceAll(html.EscapeString(s), "\n", "<br>")
}
