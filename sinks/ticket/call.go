package ticket

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/httpsend"
)

// maxReply bounds what is read of the tickets of an exposure, with all
// that people wrote there.
const maxReply = 4 << 20

// ErrLong says that an answer is longer than what is read of one.
var ErrLong = fmt.Errorf("it is longer than %d bytes", maxReply)

// A Call is a request to a site that keeps tickets.
type Call struct {
	Method, Path string
	Key          string                                  // against duplicates; "" for none
	Body         any                                     // sent as JSON, unless nil
	Got          any                                     // what the answer is read into
	Looks        bool                                    // it changes nothing
	Page         string                                  // what it means when a page for people is answered
	Verdict      func(r httpsend.Reply, err error) error // what a failure means on this site
}

// Do sends c to the site, and reads the answer. A look that brings none is not
// Ambiguous: nothing was changed.
func Do(ctx context.Context, p *httpsend.Client, site string, cred httpsend.Credentials, c Call) (httpsend.Reply, error) {
	r := httpsend.Request{
		Method: c.Method, URL: strings.TrimRight(site, "/") + c.Path, Header: http.Header{"Accept": {"application/json"}},
		Secrets: cred.Secrets, Bound: maxReply,
	}
	r.Header.Set(cred.Name, cred.Value)
	if c.Key != "" {
		r.Header.Set("Idempotency-Key", c.Key)
	}
	if c.Body != nil {
		text, err := json.Marshal(c.Body)
		if err != nil {
			return httpsend.Reply{}, sinks.Permanent(err)
		}
		r.Body = text
		r.Header.Set("Content-Type", "application/json")
	}
	got, err := p.Send(ctx, r)
	if err != nil {
		if v, _ := sinks.VerdictOf(err); c.Looks && v == sinks.VerdictAmbiguous {
			return got, sinks.WithVerdict(err, sinks.VerdictRetry, 0)
		}
		return got, c.Verdict(got, err)
	}
	if got.IsPage() {
		return got, sinks.Misconfigured(fmt.Errorf("%s was answered %s with a page of HTML: %s", c.Method, httpsend.StatusText(got.Status), c.Page))
	}
	if err := json.Unmarshal(got.Body, c.Got); err != nil {
		if len(got.Body) == maxReply {
			err = ErrLong
		}
		err = fmt.Errorf("%s was answered %s with something other than an answer of the API: %w", c.Method, httpsend.StatusText(got.Status), err)
		if c.Looks {
			return got, err
		}
		return got, sinks.Ambiguous(err)
	}
	return got, nil
}

// RenderRequest renders a request for the operator.
func RenderRequest(line string, body any) (string, error) {
	var b bytes.Buffer
	b.WriteString(line + "\n")
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(body)
	return b.String(), err
}
