package sinks

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// maxTicketReply bounds what is read of the tickets of an exposure, with all
// that people wrote there.
const maxTicketReply = 4 << 20

// A ticketCall is a request to a site that keeps tickets.
type ticketCall struct {
	method, path string
	key          string                         // against duplicates; "" for none
	body         any                            // sent as JSON, unless nil
	got          any                            // what the answer is read into
	looks        bool                           // it changes nothing
	page         string                         // what it means when a page for people is answered
	verdict      func(r reply, err error) error // what a failure means on this site
}

// callTicket sends c to the site, and reads the answer. A look that brings none is not
// Ambiguous: nothing was changed.
func callTicket(ctx context.Context, p *poster, site string, cred credentials, c ticketCall) (reply, error) {
	r := request{
		method: c.method, url: strings.TrimRight(site, "/") + c.path, header: http.Header{"Accept": {"application/json"}},
		secrets: cred.secrets, bound: maxTicketReply,
	}
	r.header.Set(cred.name, cred.value)
	if c.key != "" {
		r.header.Set("Idempotency-Key", c.key)
	}
	if c.body != nil {
		text, err := json.Marshal(c.body)
		if err != nil {
			return reply{}, Permanent(err)
		}
		r.body = text
		r.header.Set("Content-Type", "application/json")
	}
	got, err := p.post(ctx, r)
	if err != nil {
		if v, _ := judge(err); c.looks && v == ambiguous {
			return got, verdictOf(err, retry, 0)
		}
		return got, c.verdict(got, err)
	}
	if isPage(got) {
		return got, Misconfigured(fmt.Errorf("%s was answered %s with a page of HTML: %s", c.method, statusText(got.status), c.page))
	}
	if err := json.Unmarshal(got.body, c.got); err != nil {
		err = fmt.Errorf("%s was answered %s with what is no answer of the API: %w", c.method, statusText(got.status), err)
		if c.looks {
			return got, err
		}
		return got, Ambiguous(err)
	}
	return got, nil
}

// isPage reports whether a server answered with a page for people: one to log in
// at, or to say that it is asleep.
func isPage(r reply) bool {
	return strings.HasPrefix(r.header.Get("Content-Type"), "text/html") || strings.HasPrefix(strings.TrimSpace(string(r.body)), "<")
}

// renderRequest is a request as a person reads it.
func renderRequest(line string, body any) (string, error) {
	var b bytes.Buffer
	b.WriteString(line + "\n")
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(body)
	return b.String(), err
}
