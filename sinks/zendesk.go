package sinks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/mail"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
)

// A ZendeskConfig says at which help desk an exposure becomes a ticket. With
// email, the token is an API token of that agent, else it is an OAuth access
// token; a file is read for each attempt.
type ZendeskConfig struct {
	URL       string `koanf:"url"` // of the help desk: https://acme.zendesk.com
	Email     string `koanf:"email"`
	Token     string `koanf:"token"`
	TokenFile string `koanf:"token_file"`

	GroupID       int64             `koanf:"group_id"`
	AssigneeEmail string            `koanf:"assignee_email"`
	BrandID       int64             `koanf:"brand_id"`
	Tags          []string          `koanf:"tags"`     // default mfawatch
	Fields        map[string]string `koanf:"fields"`   // values of custom fields by their ID, set when a ticket is made
	Priority      map[string]string `koanf:"priority"` // by severity; default urgent for critical, high for high, normal for medium, low else
	// Templates write subject and comment.
	Templates  Templates `koanf:"templates"`
	HTTPConfig `koanf:",squash"`
}

// DefaultZendeskConfig is what holds where nothing else is said.
func DefaultZendeskConfig() ZendeskConfig {
	return ZendeskConfig{Tags: []string{"mfawatch"}, HTTPConfig: DefaultHTTPConfig()}
}

// Validate tells every mistake in c. The errors are joined, each of the form
// "field: problem"; none holds a secret.
func (c ZendeskConfig) Validate() error {
	errs := []error{c.HTTPConfig.Validate()}
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if problem := siteProblem(c.URL, "https://acme.zendesk.com"); problem != "" {
		bad("url: %s", problem)
	}
	_, err := c.header()
	errs = append(errs, err)
	for _, id := range []struct {
		field string
		value int64
	}{{"group_id", c.GroupID}, {"brand_id", c.BrandID}} {
		if id.value < 0 {
			bad("%s: want the number at the end of its page's address, got %d", id.field, id.value)
		}
	}
	if c.AssigneeEmail != "" && !isAddress(c.AssigneeEmail) {
		bad("assignee_email: want an agent's address, got %.80q", c.AssigneeEmail)
	}
	for i, tag := range c.Tags {
		if tag == "" || strings.ContainsFunc(tag, func(r rune) bool { return r <= ' ' || r == ',' || r == '"' }) {
			bad("tags[%d]: want a word without spaces, commas and quotes, got %.40q", i, tag)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.Fields)) {
		if _, err := strconv.ParseInt(id, 10, 64); err != nil {
			bad("fields.%s: want the number of a custom field, in quotes", exposure.Clean(id, 40))
		}
	}
	errs = append(errs, choiceMistakes("priority", c.Priority, zdPriorities...))
	_, err = c.Templates.parse("subject", "comment")
	return errors.Join(append(errs, err)...)
}

// isAddress reports whether s is a mail address and nothing besides.
func isAddress(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s
}

// who gets the tickets.
func (c ZendeskConfig) who() string {
	if c.GroupID == 0 && c.BrandID == 0 && c.AssigneeEmail == "" {
		return ""
	}
	return fmt.Sprint(c.GroupID, c.BrandID, c.AssigneeEmail)
}

// header is what proves who we are, as it is now.
func (c ZendeskConfig) header() (credentials, error) {
	token := secretText{"token", c.Token, c.TokenFile}
	switch {
	case !token.given():
		return credentials{}, errors.New("token_file: missing; want the API token of the agent in email, or without email an OAuth token, or token")
	case c.Email == "":
		return bearerCredentials(token)
	case !isAddress(c.Email):
		return credentials{}, fmt.Errorf("email: want the address of the agent that the token belongs to, got %.80q", c.Email)
	}
	return basicCredentials(c.Email+"/token", token)
}

// A Zendesk keeps a ticket for each exposure.
type Zendesk struct {
	config  ZendeskConfig
	wording Wording
	texts   texts
	log     *slog.Logger
	http    *poster
}

var _ Sink = (*Zendesk)(nil)

// NewZendesk returns a sink that writes as c says. It asks nobody on the
// network. The log is told what no error can say, since the alert was told. The
// caller closes the sink.
func NewZendesk(c ZendeskConfig, w Wording, log *slog.Logger) (*Zendesk, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	texts, err := c.Templates.parse("subject", "comment")
	if err != nil {
		return nil, err
	}
	p, err := newPoster(c.HTTPConfig)
	if err != nil {
		return nil, err
	}
	return &Zendesk{config: c, wording: w, texts: texts, log: log, http: p}, nil
}

// Close closes the connections that nobody uses.
func (z *Zendesk) Close() error { return z.http.Close() }

// To is the sink for others: a group by its number, an agent by mail address, or
// one of each; a ticket that is there already keeps its own. It shares the
// connections, and is not closed by itself.
func (z *Zendesk) To(recipients []string) (Sink, error) {
	other := *z
	other.config.GroupID, other.config.AssigneeEmail = 0, ""
	for _, r := range recipients {
		id, err := strconv.ParseInt(r, 10, 64)
		switch {
		case err == nil && id > 0 && other.config.GroupID == 0:
			other.config.GroupID = id
		case err != nil && isAddress(r) && other.config.AssigneeEmail == "":
			other.config.AssigneeEmail = r
		default:
			return nil, fmt.Errorf("want the number of a group, the mail address of an agent, or one of each, got %.200q", recipients)
		}
	}
	if len(recipients) == 0 {
		return nil, errors.New("want the number of a group, the mail address of an agent, or one of each")
	}
	return &other, nil
}

// Send tells of the alert. It looks first for tickets by external_id, which is
// the exposure's: one whose comments have the alert's mark was told of it,
// whatever became of the answer. Else the oldest one that is not solved gets an
// internal comment, and a priority that is raised and never lowered, or is
// solved. Where there is none, one is made, under an Idempotency-Key that is the
// alert's, for when an earlier attempt is still under way; but none is made only
// to be solved, unless somebody came in meanwhile. A ticket that was solved,
// closed or deleted stays so: the exposure is Superseded. What has to be heard
// nevertheless (see insistent) reopens a solved one, and gives a closed one a
// follow-up.
//
// The ref is the ticket's number.
func (z *Zendesk) Send(ctx context.Context, a *processor.Alert, ref string) (newRef string, err error) {
	cred, err := z.config.header()
	if err != nil {
		return ref, Misconfigured(err)
	}
	known, err := z.look(ctx, cred, a, ref)
	if err != nil {
		return ref, err
	}
	if len(known) == 0 {
		switch {
		case ref == "" && a.Step == exposure.Resolved && !exploited(a):
			return "", nil
		case ref == "" || insistent(a.Step, a.Severity):
			return z.create(ctx, cred, a, 0)
		}
		return ref, Superseded(fmt.Errorf("ticket %s was deleted by somebody", exposure.Clean(ref, 40)))
	}
	target := known[len(known)-1] // the newest, unless one is open
	var open []zdTicket
	for _, t := range known {
		if marked(t.Description, a) {
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
	case !insistent(a.Step, a.Severity):
		return target.ref(), Superseded(fmt.Errorf("ticket %d was solved or closed by somebody", target.ID))
	case target.Status == "closed":
		return z.create(ctx, cred, a, target.ID)
	}
	return target.ref(), z.update(ctx, cred, a, []zdTicket{target})
}

// look finds the tickets of the exposure, the oldest first.
func (z *Zendesk) look(ctx context.Context, cred credentials, a *processor.Alert, ref string) ([]zdTicket, error) {
	var got struct {
		Tickets []zdTicket `json:"tickets"`
	}
	key := ticketKey(a, z.config.who())
	if _, err := z.call(ctx, cred, zdLook, http.MethodGet, "/api/v2/tickets?"+url.Values{"external_id": {key}}.Encode(), "", nil, &got); err != nil {
		return nil, err
	}
	known := slices.DeleteFunc(got.Tickets, func(t zdTicket) bool { return t.ExternalID != key || t.Status == "deleted" })
	id, _ := strconv.ParseInt(ref, 10, 64)
	if id > 0 && !slices.ContainsFunc(known, func(t zdTicket) bool { return t.ID == id }) {
		var one zdOne // somebody changed its external_id, or deleted it
		r, err := z.call(ctx, cred, zdLook, http.MethodGet, "/api/v2/tickets/"+strconv.FormatInt(id, 10), "", nil, &one)
		switch {
		case r.status == http.StatusNotFound && strings.Contains(string(r.body), "RecordNotFound"):
		case err != nil:
			return nil, err
		case one.Ticket.ID == id && one.Ticket.Status != "deleted":
			known = append(known, one.Ticket)
		}
	}
	slices.SortFunc(known, func(x, y zdTicket) int { return int(min(max(x.ID-y.ID, -1), 1)) })
	return known, nil
}

// said reports whether the ticket's latest comments tell of the alert.
func (z *Zendesk) said(ctx context.Context, cred credentials, a *processor.Alert, t zdTicket) (bool, error) {
	var got struct {
		Comments []struct {
			Body string `json:"body"`
		} `json:"comments"`
	}
	if _, err := z.call(ctx, cred, zdLook, http.MethodGet, "/api/v2/tickets/"+t.ref()+"/comments?sort_order=desc&per_page=100", "", nil, &got); err != nil {
		return false, err
	}
	for _, c := range got.Comments {
		if marked(c.Body, a) {
			return true, nil
		}
	}
	return false, nil
}

// create makes a ticket, as the follow-up of a closed one if that has a number.
func (z *Zendesk) create(ctx context.Context, cred credentials, a *processor.Alert, after int64) (ref string, err error) {
	sent := z.ticket(a, after)
	var got zdOne
	r, err := z.call(ctx, cred, zdCreate, http.MethodPost, "/api/v2/tickets", keyFor(a.ID, z.config.who()), zdOut{sent}, &got)
	if err != nil {
		return "", err
	}
	if got.Ticket.ID == 0 {
		return "", Ambiguous(fmt.Errorf("answered %s without the number of a ticket", statusText(r.status)))
	}
	if got.Ticket.ExternalID != sent.ExternalID {
		z.log.Warn("the help desk did not keep the external_id of the ticket: one may be made twice", "ticket", got.Ticket.ID)
	}
	return got.Ticket.ref(), nil
}

// update tells of the alert in the first of the tickets. The others are
// duplicates, which are named to people.
func (z *Zendesk) update(ctx context.Context, cred credentials, a *processor.Alert, open []zdTicket) error {
	what := zdUpdate
	if a.Step == exposure.Resolved {
		what = zdSolve
	}
	if len(open) > 1 {
		z.log.Warn("there are several open tickets of one exposure; the oldest is kept up to date", "ticket", open[0].ID, "others", othersOf(open))
	}
	var got zdOne
	_, err := z.call(ctx, cred, what, http.MethodPut, "/api/v2/tickets/"+open[0].ref(), "", zdOut{z.change(a, open)}, &got)
	return err
}

// Render is the request that would be sent of an alert, where what begins an
// exposure has a ticket still to be made and what follows has it.
func (z *Zendesk) Render(a *processor.Alert) (string, error) {
	if follows(a.Step) {
		return renderRequest("PUT /api/v2/tickets/NUMBER", zdOut{z.change(a, []zdTicket{{AssigneeID: json.Number("0")}})})
	}
	return renderRequest("POST /api/v2/tickets", zdOut{z.ticket(a, 0)})
}

// Receipt says which ticket it became.
func (z *Zendesk) Receipt(ref string) string {
	if ref == "" {
		return "nothing, since there was no ticket"
	}
	return "ticket " + ref
}
