package zendesk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/httpsend"
	"github.com/mfawatch/mfawatch/sinks/message"
	"github.com/mfawatch/mfawatch/sinks/ticket"
)

// Sink keeps a ticket for each exposure.
type Sink struct {
	config  Config
	wording message.Wording
	texts   message.Texts
	log     *slog.Logger
	http    *httpsend.Client

	assignee string // the mail address of an agent that a route names; "": the help desk decides
}

var _ sinks.Sink = (*Sink)(nil)

// New returns a sink that writes as c says. It makes no request.
// It logs to log the problems of alerts that were delivered. The caller closes the
// sink.
func New(c Config, w message.Wording, log *slog.Logger) (*Sink, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	texts, _ := c.Templates.Parse("subject", "comment") // which Validate accepted
	p, err := httpsend.New(c.Config)
	if err != nil {
		return nil, err
	}
	return &Sink{config: c, wording: w, texts: texts, log: log, http: p}, nil
}

// Close closes idle connections.
func (z *Sink) Close() error { return z.http.Close() }

// To is the sink for others: a group by its number, an agent by mail address, or
// one of each; a ticket that is there already keeps its own. It shares the
// connections, and is not closed by itself.
func (z *Sink) To(recipients []string) (sinks.Sink, error) {
	other := *z
	other.config.GroupID, other.assignee = 0, ""
	for _, r := range recipients {
		id, err := strconv.ParseInt(r, 10, 64)
		switch {
		case err == nil && id > 0 && other.config.GroupID == 0:
			other.config.GroupID = id
		case err != nil && isAddress(r) && other.assignee == "":
			other.assignee = r
		default:
			return nil, fmt.Errorf("want the number of a group, the mail address of an agent, or one of each, got %.200q", recipients)
		}
	}
	if len(recipients) == 0 {
		return nil, errors.New("want the number of a group, the mail address of an agent, or one of each")
	}
	return &other, nil
}

// Send writes the alert into a ticket. It looks first for tickets by
// external_id, which is the exposure's: one whose comments have the alert's
// mark was sent it, whatever became of the answer. Else the oldest one that
// is not solved gets an internal comment, and a priority that is raised and
// never lowered, or is solved. Without one, Send makes a ticket, under an
// Idempotency-Key that is the alert's, for when an earlier attempt is still
// under way; but it makes none only to be solved, unless the exposure was
// exploited. A ticket that was solved, closed or deleted stays so: the exposure
// is ClosedByPerson. An alert that is always delivered (see exposure.Step.AlwaysDelivered)
// reopens a solved one, and gives a closed one a follow-up.
//
// The ref is the help desk and the ticket's number.
func (z *Sink) Send(ctx context.Context, a *processor.Alert, ref string) (newRef string, err error) {
	cred, err := z.config.header()
	if err != nil {
		return ref, sinks.Misconfigured(err)
	}
	return ticket.AtSite(z.config.URL, ref, func(ref string) (string, error) { return z.keep(ctx, cred, a, ref) })
}

// keep writes the alert into a ticket of this help desk.
func (z *Sink) keep(ctx context.Context, cred httpsend.Credentials, a *processor.Alert, ref string) (newRef string, err error) {
	if ticketID(ref) == 0 {
		ref = "" // of another type of sink
	}
	known, err := z.look(ctx, cred, a, ref)
	if err != nil {
		return ref, err
	}
	if len(known) == 0 {
		switch {
		case ref == "" && a.Step == exposure.Resolved && !ticket.Exploited(a):
			return "", nil
		case ref == "" || a.Step.AlwaysDelivered(a.Severity):
			return z.create(ctx, cred, a, 0)
		}
		return ref, sinks.ClosedByPerson(fmt.Errorf("ticket %s was deleted by a person", safetext.Clean(ref, 40)))
	}
	target := known[len(known)-1] // the newest, unless one is open
	var open []issue
	for _, t := range known {
		if ticket.Marked(t.Description, a) {
			return t.ref(), nil
		}
		if t.Status != "solved" && t.Status != "closed" {
			open = append(open, t)
		}
	}
	if len(open) > 0 {
		target = open[0]
	}
	if said, err := z.said(ctx, cred, a, target); err != nil || said {
		return target.ref(), err
	}
	switch {
	case len(open) > 0:
		return target.ref(), z.update(ctx, cred, a, open)
	case !a.Step.AlwaysDelivered(a.Severity):
		return target.ref(), sinks.ClosedByPerson(fmt.Errorf("ticket %d was solved or closed by a person", target.ID))
	case target.Status == "closed":
		return z.create(ctx, cred, a, target.ID)
	}
	return target.ref(), z.update(ctx, cred, a, []issue{target})
}

// who identifies the recipients of the tickets, "" for the default.
func (z *Sink) who() string {
	if z.config.GroupID == 0 && z.assignee == "" {
		return ""
	}
	return fmt.Sprint(z.config.GroupID, z.assignee)
}

// ticketID is the number of the ticket of a ref, 0 if it has none.
func ticketID(ref string) int64 {
	id, err := strconv.ParseInt(ref, 10, 64)
	if err != nil {
		return 0
	}
	return max(0, id)
}

// look finds the tickets of the exposure, the oldest first.
func (z *Sink) look(ctx context.Context, cred httpsend.Credentials, a *processor.Alert, ref string) ([]issue, error) {
	var got struct {
		Tickets []issue `json:"tickets"`
	}
	key := ticket.Key(a, z.who())
	if _, err := z.call(ctx, cred, opLook, http.MethodGet, "/api/v2/tickets?"+url.Values{"external_id": {key}}.Encode(), "", nil, &got); err != nil {
		return nil, err
	}
	known := slices.DeleteFunc(got.Tickets, func(t issue) bool { return t.ExternalID != key || t.Status == "deleted" })
	id := ticketID(ref)
	if id > 0 && !slices.ContainsFunc(known, func(t issue) bool { return t.ID == id }) {
		var one oneTicket // its external_id was changed, or it was deleted
		r, err := z.call(ctx, cred, opLook, http.MethodGet, "/api/v2/tickets/"+strconv.FormatInt(id, 10), "", nil, &one)
		switch {
		case r.Status == http.StatusNotFound && strings.Contains(string(r.Body), "RecordNotFound"):
		case err != nil:
			return nil, err
		case one.Ticket.ID == id && one.Ticket.Status != "deleted":
			known = append(known, one.Ticket)
		}
	}
	slices.SortFunc(known, func(x, y issue) int { return int(min(max(x.ID-y.ID, -1), 1)) })
	return known, nil
}

// said reports whether the ticket's latest comments hold the alert. Comments that are
// too long to be read hold none: a comment may then be there twice.
func (z *Sink) said(ctx context.Context, cred httpsend.Credentials, a *processor.Alert, t issue) (bool, error) {
	var got struct {
		Comments []struct {
			Body string `json:"body"`
		} `json:"comments"`
	}
	if _, err := z.call(ctx, cred, opLook, http.MethodGet, "/api/v2/tickets/"+t.ref()+"/comments?sort_order=desc&per_page=100", "", nil, &got); err != nil {
		if errors.Is(err, ticket.ErrLong) {
			err = nil
		}
		return false, err
	}
	for _, c := range got.Comments {
		if ticket.Marked(c.Body, a) {
			return true, nil
		}
	}
	return false, nil
}

// create makes a ticket, as the follow-up of a closed one if that has a number.
func (z *Sink) create(ctx context.Context, cred httpsend.Credentials, a *processor.Alert, after int64) (ref string, err error) {
	sent := z.ticket(a, after)
	var got oneTicket
	r, err := z.call(ctx, cred, opCreate, http.MethodPost, "/api/v2/tickets", ticket.KeyFor(a.ID, z.who()), envelope{sent}, &got)
	if err != nil {
		return "", err
	}
	if got.Ticket.ID == 0 {
		return "", sinks.Ambiguous(fmt.Errorf("answered %s without the number of a ticket", httpsend.StatusText(r.Status)))
	}
	if got.Ticket.ExternalID != sent.ExternalID {
		z.log.Warn("the help desk did not keep the external_id of the ticket: one may be made twice", "ticket", got.Ticket.ID)
	}
	return got.Ticket.ref(), nil
}

// update writes the alert into the first of the tickets. The others are
// duplicates, which are named to people.
func (z *Sink) update(ctx context.Context, cred httpsend.Credentials, a *processor.Alert, open []issue) error {
	what := opUpdate
	if a.Step == exposure.Resolved {
		what = opSolve
	}
	if len(open) > 1 {
		z.log.Warn("there are several open tickets of one exposure; the oldest is kept up to date", "ticket", open[0].ID, "others", othersOf(open))
	}
	var got oneTicket
	_, err := z.call(ctx, cred, what, http.MethodPut, "/api/v2/tickets/"+open[0].ref(), "", envelope{z.change(a, open)}, &got)
	return err
}

// Render returns the request about an alert: a first step makes a ticket, and the
// others update it.
func (z *Sink) Render(a *processor.Alert) (string, error) {
	if message.Follows(a.Step) {
		return ticket.RenderRequest("PUT /api/v2/tickets/NUMBER", envelope{z.change(a, []issue{{AssigneeID: json.Number("0")}})})
	}
	return ticket.RenderRequest("POST /api/v2/tickets", envelope{z.ticket(a, 0)})
}

// Receipt names the ticket.
func (z *Sink) Receipt(ref string) string {
	if ref == "" {
		return "nothing, since there was no ticket"
	}
	return "ticket " + ticket.WithoutSite(ref)
}
