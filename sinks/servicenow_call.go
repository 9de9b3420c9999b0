package sinks

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// An snOperation is what a request is for: it decides what a refusal means.
type snOperation int

const (
	snLook snOperation = iota
	snOpen
	snUpdate
	snResolve
	snEvent
)

// call sends a request with body as JSON, and reads the answer into got.
func (s *ServiceNow) call(ctx context.Context, cred credentials, what snOperation, method, path string, body, got any) (reply, error) {
	return callTicket(ctx, s.http, s.config.URL, cred, ticketCall{
		method: method, path: path, body: body, got: got, looks: what == snLook,
		page:    "the instance hibernates (sign in to wake it), or url is another site's",
		verdict: func(r reply, err error) error { return snVerdict(what, r, err, time.Now()) },
	})
}

// snVerdict is what a failure means where judgeStatus does not know.
func snVerdict(what snOperation, r reply, err error, now time.Time) error {
	v, after := judge(err)
	said := snError(r)
	switch {
	case v == throttled && after == 0:
		return Throttled(err, snReset(r, now))
	case r.status == http.StatusUnauthorized:
		return Misconfigured(fmt.Errorf("%w; check username and password, token or api_key, and that the user may use the web services", err))
	case r.status == http.StatusForbidden || r.status == http.StatusBadRequest:
		return snRefused(what, said, err)
	case r.status == http.StatusNotFound && what == snEvent:
		return Misconfigured(fmt.Errorf("%w; Event Management is not on this instance: have it installed, or use mode incident", err))
	case r.status == http.StatusNotFound && (what == snUpdate || what == snResolve):
		return verdictOf(fmt.Errorf("%w; somebody deleted the incident, or the user may not write it", err), retry, 0)
	case r.status == http.StatusNotFound:
		return Misconfigured(fmt.Errorf("%w; check url, and that the user may read incidents", err))
	}
	return err
}

// snRefused is what 400 and 403 mean: rules about data and those about users
// share them.
func snRefused(what snOperation, said string, err error) error {
	switch {
	case what == snEvent && strings.Contains(said, "does not represent any resource"):
		return Misconfigured(fmt.Errorf("%w; Event Management is not on this instance: have it installed, or use mode incident", err))
	case strings.Contains(said, "Invalid table"):
		return Misconfigured(fmt.Errorf("%w; this instance has no incidents: check url", err))
	case !dataRule.MatchString(said):
		if v, _ := judge(err); v == misconfigured {
			return Misconfigured(fmt.Errorf("%w; the user needs to read and write incidents, as the role sn_incident_write allows (for events: evt_mgmt_integration)", err))
		}
		return err
	case (what == snUpdate || what == snResolve) && !mandatory.MatchString(said): // somebody closed it meanwhile, perhaps: the next look shows
		return verdictOf(err, retry, 0)
	case what == snOpen: // it would refuse each alert
		return Misconfigured(fmt.Errorf("%w; the instance wants more fields of an incident: set them under fields", err))
	case what == snResolve: // others can be opened all the same
		return Permanent(fmt.Errorf("%w; the instance wants other fields to resolve an incident: set close_code, close_fields or the template close_notes, then retry the dead letter", err))
	}
	return Permanent(err)
}

// dataRule is how the messages of data policies and business rules begin, or
// what they speak of.
var (
	dataRule  = regexp.MustCompile(`(?i)data policy|mandatory|business rule|aborted`)
	mandatory = regexp.MustCompile(`(?i)data policy|mandatory`)
)

// snError is the message of an error and its detail.
func snError(r reply) string {
	var got struct {
		Error struct {
			Message string `json:"message"`
			Detail  string `json:"detail"`
		} `json:"error"`
	}
	if json.Unmarshal(r.body, &got) != nil {
		return ""
	}
	return exposure.Clean(got.Error.Message+": "+got.Error.Detail, maxErrorText)
}

// snReset is how long until the hour of a limit is over; 0 if that is not said.
func snReset(r reply, now time.Time) time.Duration {
	at, err := strconv.ParseInt(r.header.Get("X-RateLimit-Reset"), 10, 64)
	if err != nil {
		return 0
	}
	return max(0, min(time.Unix(at, 0).Sub(now), maxRetryAfter))
}
