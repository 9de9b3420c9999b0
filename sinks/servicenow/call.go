package servicenow

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
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
	opOpen
	opUpdate
	opResolve
	opEvent
)

// call sends a request with body as JSON, and reads the answer into got.
func (s *Sink) call(ctx context.Context, cred httpsend.Credentials, what operation, method, path string, body, got any) (httpsend.Reply, error) {
	return ticket.Do(ctx, s.http, s.config.URL, cred, ticket.Call{
		Method: method, Path: path, Body: body, Got: got, Looks: what == opLook,
		Page:    "the instance hibernates (sign in to wake it), or url is another site's",
		Verdict: func(r httpsend.Reply, err error) error { return verdict(what, r, err, time.Now()) },
	})
}

// verdict returns the verdict on a failure that httpsend.StatusError does not know.
func verdict(what operation, r httpsend.Reply, err error, now time.Time) error {
	v, after := sinks.VerdictOf(err)
	said := apiError(r)
	switch {
	case v == sinks.VerdictThrottled && after == 0:
		return sinks.Throttled(err, resetAfter(r, now))
	case r.Status == http.StatusUnauthorized:
		return sinks.Misconfigured(fmt.Errorf("%w; check username and password, token or api_key, and that the user may use the web services", err))
	case r.Status == http.StatusForbidden || r.Status == http.StatusBadRequest:
		return refused(what, said, err)
	case r.Status == http.StatusNotFound && what == opEvent:
		return sinks.Misconfigured(fmt.Errorf("%w; Event Management is not on this instance: have it installed, or use mode incident", err))
	case r.Status == http.StatusNotFound && (what == opUpdate || what == opResolve):
		return sinks.WithVerdict(fmt.Errorf("%w; the incident was deleted, or the user may not write it", err), sinks.VerdictRetry, 0)
	case r.Status == http.StatusNotFound:
		return sinks.Misconfigured(fmt.Errorf("%w; check url, and that the user may read incidents", err))
	}
	return err
}

// refused returns the meaning of 400 and 403: rules about data and those about
// users share them.
func refused(what operation, said string, err error) error {
	switch {
	case what == opEvent && strings.Contains(said, "does not represent any resource"):
		return sinks.Misconfigured(fmt.Errorf("%w; Event Management is not on this instance: have it installed, or use mode incident", err))
	case strings.Contains(said, "Invalid table"):
		return sinks.Misconfigured(fmt.Errorf("%w; this instance has no incidents: check url", err))
	case !dataRule().MatchString(said):
		if v, _ := sinks.VerdictOf(err); v == sinks.VerdictMisconfigured {
			return sinks.Misconfigured(fmt.Errorf("%w; the user needs to read and write incidents, as the role sn_incident_write allows (for events: evt_mgmt_integration)", err))
		}
		return err
	case (what == opUpdate || what == opResolve) && !mandatory().MatchString(said): // it may have been closed meanwhile: the next query shows
		return sinks.WithVerdict(err, sinks.VerdictRetry, 0)
	case what == opOpen: // it would refuse each alert
		return sinks.Misconfigured(fmt.Errorf("%w; the instance wants more fields of an incident: set them under fields", err))
	case what == opResolve: // others can be opened all the same
		return sinks.Permanent(fmt.Errorf("%w; the instance wants other fields to resolve an incident: set close_code, the template close_notes, or under fields what later incidents open with, fill in the rest in this one, then retry the dead letter", err))
	}
	return sinks.Permanent(err)
}

// dataRule is how the messages of data policies and business rules begin, or
// what they speak of.
var (
	dataRule  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?i)data policy|mandatory|business rule|aborted`) })
	mandatory = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?i)data policy|mandatory`) })
)

// apiError is the message of an error and its detail.
func apiError(r httpsend.Reply) string {
	var got struct {
		Error struct {
			Message string `json:"message"`
			Detail  string `json:"detail"`
		} `json:"error"`
	}
	if json.Unmarshal(r.Body, &got) != nil {
		return ""
	}
	return safetext.Clean(got.Error.Message+": "+got.Error.Detail, httpsend.MaxErrorText)
}

// resetAfter is how long until the hour of a limit is over; 0 if that is not said.
func resetAfter(r httpsend.Reply, now time.Time) time.Duration {
	at, err := strconv.ParseInt(r.Header.Get("X-RateLimit-Reset"), 10, 64)
	if err != nil {
		return 0
	}
	return max(0, min(time.Unix(at, 0).Sub(now), httpsend.MaxRetryAfter))
}
