package pagerduty

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/httpsend"
	"github.com/mfawatch/mfawatch/sinks/message"
)

// A Sink opens an incident for each exposure, raises it, and resolves it.
type Sink struct {
	config     Config
	recipients []string // keys instead of the configuration's; nil: those
	words      message.Wording
	texts      message.Texts
	http       *httpsend.Client
	url        string
}

var _ sinks.Sink = (*Sink)(nil)

// New returns a sink that words its alerts as w says. It makes no request. The caller
// closes it.
func New(c Config, w message.Wording) (*Sink, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	texts, _ := c.Templates.Parse("summary") // which Validate accepted
	p, err := httpsend.New(c.Config)
	if err != nil {
		return nil, err
	}
	return &Sink{config: c, words: w, texts: texts, http: p, url: cmp.Or(string(c.URL), urls[cmp.Or(c.Region, "us")])}, nil
}

// Close closes idle connections.
func (p *Sink) Close() error { return p.http.Close() }

// To is the sink for the services of other integration keys. It is closed with
// p, and by itself need not be.
func (p *Sink) To(recipients []string) (sinks.Sink, error) {
	if len(recipients) == 0 {
		return nil, errors.New("recipients: missing; want integration keys of PagerDuty")
	}
	for i, key := range recipients {
		if !routingKey().MatchString(key) {
			return nil, fmt.Errorf("recipients[%d]: want the integration key of an Events API v2 integration, 32 letters and digits", i)
		}
	}
	other := *p
	other.recipients = recipients
	return &other, nil
}

// References of an exposure: whether PagerDuty was sent that it is open.
const (
	stateOpen = "open"
	stateOver = "over"
)

// Send triggers or resolves the incident that has the exposure as its dedup_key.
// A copy adds a line to the incident's log and opens nothing. PagerDuty opens a
// new incident for a trigger that follows a resolve, so once an exposure is over
// Send triggers only for alerts that are always delivered (see
// exposure.Step.AlwaysDelivered). PagerDuty drops a resolve of an incident that it
// does not have. An attempt, and a device less where another is left, have no end
// that mfawatch would see: a person resolves them, or the service after its time.
// A service that cannot be notified keeps the alert from no other; the others get a
// copy with the next attempt.
func (p *Sink) Send(ctx context.Context, a *processor.Alert, ref string) (newRef string, err error) {
	newRef = stateOpen
	switch {
	case a.Step == exposure.Resolved:
		newRef = stateOver
	case ref == stateOver && !a.Step.AlwaysDelivered(a.Severity):
		return ref, nil
	}
	keys, err := p.keys()
	if err != nil {
		return ref, sinks.Misconfigured(err)
	}
	var failed []error
	delivered := false
	for i, key := range keys {
		if i > 0 && p.recipients == nil && !escalates(a.Step) {
			break
		}
		if err := p.enqueue(ctx, key, a, keys); err != nil {
			failed = append(failed, err)
		} else {
			delivered = true
		}
	}
	if err := sinks.Worst(failed, delivered); err != nil {
		return ref, err
	}
	return newRef, nil
}

// keys are those of the services that are notified; of the configuration's, the
// second is for escalation.
func (p *Sink) keys() ([]string, error) {
	if p.recipients != nil {
		return p.recipients, nil
	}
	first, escalation, err := p.config.keys()
	if escalation == "" {
		return []string{first}, err
	}
	return []string{first, escalation}, err
}

// escalates reports whether the service for escalation is notified of a step.
// It may not have been sent the beginning of the exposure that ends.
func escalates(s exposure.Step) bool {
	return s == exposure.Escalated || s == exposure.Exploited || s == exposure.Suspect || s == exposure.Resolved
}

// Receipt says what to check after an acceptance: PagerDuty accepts an event before it
// looks up its service.
func (p *Sink) Receipt(ref string) string {
	switch ref {
	case stateOpen:
		return "accepted; look whether an incident shows: PagerDuty accepts events for a key that no service has, of an account in another region, or of a service that is disabled or in maintenance, and drops them without a word"
	case stateOver:
		return "accepted; the incident resolves within seconds"
	}
	return ""
}

// enqueue sends the event of the alert to one service. No error has a secret.
func (p *Sink) enqueue(ctx context.Context, key string, a *processor.Alert, secrets []string) error {
	body, err := json.Marshal(p.event(key, a))
	if err != nil {
		return sinks.Permanent(fmt.Errorf("encode alert %s: %w", a.ID, err))
	}
	got, err := p.http.Send(ctx, httpsend.Request{
		URL: p.url, Header: http.Header{"Content-Type": {"application/json"}}, Body: body, Secrets: secrets,
	})
	return verdict(got, err)
}

// pause is the wait after a refusal of PagerDuty that names none: it counts over a
// minute.
const pause = 30 * time.Second

// verdict is httpsend.StatusError with the exceptions of PagerDuty. A 400 is
// about the event, unless it is about the key; nothing but a wrong address
// answers 404 or 405.
func verdict(got httpsend.Reply, err error) error {
	v, after := sinks.VerdictOf(err)
	switch {
	case err == nil && got.IsPage():
		return sinks.Misconfigured(errors.New("answered with a page of HTML: something else answers in PagerDuty's place; check url and the proxy"))
	case v == sinks.VerdictThrottled && after <= 0:
		return sinks.Throttled(err, pause)
	case got.Status == http.StatusNotFound, got.Status == http.StatusMethodNotAllowed:
		return sinks.Misconfigured(fmt.Errorf("%w; check url", err))
	case got.Status == http.StatusBadRequest && aboutKey(got.Body):
		return sinks.Misconfigured(sinks.OfOne(fmt.Errorf("%w; check routing_key (of an integration of type Events API v2), and region: an account under eu.pagerduty.com needs region: eu", err)))
	}
	return err
}

// aboutKey reports whether a refusal is about the integration key.
func aboutKey(body []byte) bool {
	var refusal struct {
		Message string   `json:"message"`
		Errors  []string `json:"errors"`
	}
	_ = json.Unmarshal(body, &refusal) // a body that is no JSON adds nothing
	text := strings.ToLower(strings.Join(append(refusal.Errors, refusal.Message), " "))
	return strings.Contains(text, "routing_key") || strings.Contains(text, "routing key")
}
