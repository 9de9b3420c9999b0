package zendesk

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/httpsend"
	"github.com/mfawatch/mfawatch/sinks/ticket"
)

// operation names the purpose of a request: it decides the meaning of a
// refusal.
type operation int

const (
	opLook operation = iota
	opCreate
	opUpdate
	opSolve
)

// call sends a request with body as JSON, under a key against duplicates if
// there is one, and reads the answer into got.
func (z *Sink) call(ctx context.Context, cred httpsend.Credentials, what operation, method, path, key string, body, got any) (httpsend.Reply, error) {
	return ticket.Do(ctx, z.http, z.config.URL, cred, ticket.Call{
		Method: method, Path: path, Key: key, Body: body, Got: got, Looks: what == opLook,
		Page:    "url is not that of a help desk",
		Verdict: func(r httpsend.Reply, err error) error { return verdict(what, r, err) },
	})
}

// verdict returns the verdict on a failure that httpsend.StatusError does not know.
func verdict(what operation, r httpsend.Reply, err error) error {
	v, after := sinks.VerdictOf(err)
	said := apiErrors(r)
	switch {
	case v == sinks.VerdictThrottled && after == 0:
		seconds, _ := strconv.Atoi(cmp.Or(r.Header.Get("Ratelimit-Reset"), r.Header.Get("X-Rate-Limit-Reset")))
		return sinks.Throttled(err, max(0, min(time.Duration(seconds)*time.Second, httpsend.MaxRetryAfter)))
	case r.Status == http.StatusUnauthorized:
		return sinks.Misconfigured(fmt.Errorf("%w; check email and token (an API token of that agent; without email an OAuth token), and that API tokens are allowed", err))
	case r.Status == http.StatusForbidden:
		return sinks.Misconfigured(fmt.Errorf("%w; the agent may not do that, or is suspended, or the account is", err))
	case r.Status == http.StatusNotFound && (what == opUpdate || what == opSolve):
		return sinks.WithVerdict(fmt.Errorf("%w; the ticket was deleted", err), sinks.VerdictRetry, 0)
	case r.Status == http.StatusNotFound:
		return sinks.Misconfigured(fmt.Errorf("%w; there is no help desk at url", err))
	case r.Status == http.StatusConflict:
		return sinks.WithVerdict(err, sinks.VerdictRetry, 0)
	case r.Status == http.StatusBadRequest && said.Error == "IdempotentRequestError":
		return sinks.WithVerdict(fmt.Errorf("%w; an attempt with other words or other configuration was made, which Zendesk remembers for two hours", err), sinks.VerdictRetry, 0)
	case r.Status == http.StatusUnprocessableEntity:
		return refused(what, said, err)
	}
	return err
}

// A apiError is how Zendesk refuses.
type apiError struct {
	Error   string
	Details map[string][]struct {
		Description string `json:"description"`
	}
}

func apiErrors(r httpsend.Reply) (e apiError) {
	var got struct {
		Error   any             `json:"error"`
		Details json.RawMessage `json:"details"`
	}
	if json.Unmarshal(r.Body, &got) != nil {
		return e
	}
	e.Error, _ = got.Error.(string)
	_ = json.Unmarshal(got.Details, &e.Details)
	return e
}

// alertFields are those of which each alert has its own.
var alertFields = []string{"subject", "description", "comment", "value", "external_id"}

// refused returns the meaning of 422: the ticket was closed meanwhile, or the
// help desk has rules of its own.
func refused(what operation, said apiError, err error) error {
	var problems []string
	ours := true // it is about the alert alone
	for _, field := range slices.Sorted(maps.Keys(said.Details)) {
		ours = ours && slices.Contains(alertFields, field)
		for _, d := range said.Details[field] {
			problems = append(problems, safetext.Clean(d.Description, httpsend.MaxErrorText))
		}
	}
	if len(problems) > 0 {
		err = fmt.Errorf("%w (%s)", err, strings.Join(problems, "; "))
	}
	switch closed := slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, "closed prevents ticket update") }); {
	case closed:
		return sinks.WithVerdict(err, sinks.VerdictRetry, 0) // the next attempt sees it
	case what == opCreate && !ours: // it would refuse each alert
		return sinks.Misconfigured(fmt.Errorf("%w; check group_id, the route's recipients and tags, and set what the help desk wants under fields", err))
	case what == opSolve: // others can be made all the same
		return sinks.Permanent(fmt.Errorf("%w; set under fields what the help desk wants of a ticket to be solved, then retry the dead letter", err))
	}
	return sinks.Permanent(err)
}
