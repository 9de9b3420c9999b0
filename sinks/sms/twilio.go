package sms

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/httpsend"
)

// A twilio sends through the Messages resource of Twilio's API.
type twilio struct {
	config Config
	http   *httpsend.Client
}

func (t *twilio) Close() error { return t.http.Close() }

// text implements texter. SmartEncoded stays off: the body is of the GSM alphabet
// already, and a body that Twilio changed could not be found again.
func (t *twilio) text(ctx context.Context, to, body, _ string) (id string, err error) {
	form := url.Values{"To": {to}, "Body": {body}, "ValidityPeriod": {strconv.Itoa(validitySeconds)}}
	if sid().MatchString(t.config.From) {
		form.Set("MessagingServiceSid", t.config.From)
	} else {
		form.Set("From", t.config.From)
	}
	got, err := t.call(ctx, http.MethodPost, "", form.Encode())
	if err != nil {
		return "", err
	}
	var message struct{ SID string }
	if err := json.Unmarshal(got.Body, &message); err != nil || message.SID == "" {
		return "", sinks.Ambiguous(fmt.Errorf("answered %s without the message's SID; check url", httpsend.StatusText(got.Status)))
	}
	return safetext.Clean(message.SID, 64), nil
}

// find implements finder. Twilio lists the newest first. A message that failed
// did not arrive; an account on trial has a text of Twilio's before ours.
func (t *twilio) find(ctx context.Context, to, body string) (id string, err error) {
	got, err := t.call(ctx, http.MethodGet, "?"+url.Values{"To": {to}, "PageSize": {"20"}}.Encode(), "")
	if err != nil {
		if v, _ := sinks.VerdictOf(err); v == sinks.VerdictAmbiguous { // nothing was sent
			err = errors.New(err.Error())
		}
		return "", fmt.Errorf("look for the message before it is sent again: %w", err)
	}
	var list struct {
		Messages []struct{ SID, Body, Status string }
	}
	if err := json.Unmarshal(got.Body, &list); err != nil {
		return "", fmt.Errorf("look for the message before it is sent again: %w", err)
	}
	for _, m := range list.Messages {
		if strings.HasSuffix(m.Body, body) && m.SID != "" && !slices.Contains([]string{"failed", "undelivered", "canceled"}, m.Status) {
			return safetext.Clean(m.SID, 64), nil
		}
	}
	return "", nil
}

func (t *twilio) call(ctx context.Context, method, query, form string) (httpsend.Reply, error) {
	token, err := t.config.token()
	if err != nil {
		return httpsend.Reply{}, sinks.Misconfigured(err)
	}
	basic := base64.StdEncoding.EncodeToString([]byte(cmp.Or(t.config.APIKey, t.config.AccountSID) + ":" + token))
	r := httpsend.Request{
		Method:  method,
		URL:     strings.TrimRight(cmp.Or(t.config.URL, twilioURL), "/") + "/2010-04-01/Accounts/" + t.config.AccountSID + "/Messages.json" + query,
		Header:  http.Header{"Authorization": {"Basic " + basic}, "Accept": {"application/json"}},
		Body:    []byte(form),
		Secrets: []string{token, basic, t.config.APIKey},
	}
	if form != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	got, err := t.http.Send(ctx, r)
	if err == nil {
		return got, nil
	}
	return got, twilioVerdict(got, err)
}

// twilioCodes are the errors of Twilio whose meaning differs from their status, with
// the next step where the account is the cause.
// https://www.twilio.com/docs/api/errors
var twilioCodes = map[int]struct {
	verdict sinks.Verdict
	hint    string
	number  bool // another number may well be sent to
}{
	20003: {sinks.VerdictMisconfigured, "check account_sid, api_key and the token", false},
	20404: {sinks.VerdictMisconfigured, "check account_sid and url", false},
	20429: {sinks.VerdictThrottled, "", false},
	21211: {sinks.VerdictPermanent, "it is no number", false},
	21408: {sinks.VerdictMisconfigured, "let the account send to that country (geographic permissions)", true},
	21603: {sinks.VerdictMisconfigured, "check from", false},
	21606: {sinks.VerdictMisconfigured, "check from: it is no number that can send there", true},
	21608: {sinks.VerdictMisconfigured, "an account on trial sends to verified numbers alone: verify it, or upgrade", true},
	21610: {sinks.VerdictPermanent, "who has the number asked for no more messages; START lets them in again", false},
	21612: {sinks.VerdictPermanent, "from cannot reach the number", false},
	21614: {sinks.VerdictPermanent, "it is no mobile number", false},
	21635: {sinks.VerdictPermanent, "it is a landline", false},
	21659: {sinks.VerdictMisconfigured, "check from: it is no number of the account", false},
	21660: {sinks.VerdictMisconfigured, "check from: it is no number of the account", false},
	21703: {sinks.VerdictMisconfigured, "the messaging service has no sender", false},
	21705: {sinks.VerdictMisconfigured, "check from: there is no such messaging service", false},
}

// twilioVerdict reads the code that Twilio gives beside its status. Any 5xx, 503
// too, may be of a message that is sent: Twilio says so. A status that is not
// about the number is about the account.
func twilioVerdict(got httpsend.Reply, err error) error {
	var problem struct{ Code int }
	_ = json.Unmarshal(got.Body, &problem)
	known, ok := twilioCodes[problem.Code]
	switch {
	case got.Status >= 500:
		return sinks.WithVerdict(err, sinks.VerdictAmbiguous, 0)
	case ok && got.Status >= 400 && got.Status != http.StatusTooManyRequests:
		if known.hint != "" {
			err = fmt.Errorf("%w; %s", err, known.hint)
		}
		if known.number {
			err = sinks.OfOne(err)
		}
		return sinks.WithVerdict(err, known.verdict, 0)
	case got.Status == http.StatusNotFound:
		return sinks.Misconfigured(fmt.Errorf("%w; check account_sid and url", err))
	}
	return err
}
