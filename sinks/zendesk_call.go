package sinks

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

	"github.com/mfawatch/mfawatch/processor/exposure"
)

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
	return callTicket(ctx, z.http, z.config.URL, cred, ticketCall{
		method: method, path: path, key: key, body: body, got: got, looks: what == zdLook,
		page:    "url is not that of a help desk",
		verdict: func(r reply, err error) error { return zdVerdict(what, r, err) },
	})
}

// zdVerdict is what a failure means where judgeStatus does not know.
func zdVerdict(what zdOperation, r reply, err error) error {
	v, after := judge(err)
	said := zdErrors(r)
	switch {
	case v == throttled && after == 0:
		seconds, _ := strconv.Atoi(cmp.Or(r.header.Get("Ratelimit-Reset"), r.header.Get("X-Rate-Limit-Reset")))
		return Throttled(err, max(0, min(time.Duration(seconds)*time.Second, maxRetryAfter)))
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
