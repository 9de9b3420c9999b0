package sinks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
)

// A PagerDutyConfig says which service of PagerDuty is told, by the integration
// keys of its Events API v2. Files that hold a key are read for each attempt.
type PagerDutyConfig struct {
	RoutingKey     string `koanf:"routing_key"`
	RoutingKeyFile string `koanf:"routing_key_file"` // in the place of routing_key
	// The service that is told of what is escalated or exploited, beside the
	// first: whoever acknowledged an incident is not paged for it again.
	EscalationRoutingKey     string    `koanf:"escalation_routing_key"`
	EscalationRoutingKeyFile string    `koanf:"escalation_routing_key_file"`
	Region                   string    `koanf:"region"`    // of the account: us or eu; default us
	URL                      SecretURL `koanf:"url"`       // in the place of that of the region: of a relay
	Templates                Templates `koanf:"templates"` // summary
	HTTPConfig               `koanf:",squash"`
}

// DefaultPagerDutyConfig is what holds where nothing else is said.
func DefaultPagerDutyConfig() PagerDutyConfig {
	return PagerDutyConfig{Region: "us", HTTPConfig: DefaultHTTPConfig()}
}

// pagerURLs are the addresses of the Events API v2 by region.
var pagerURLs = map[string]string{
	"us": "https://events.pagerduty.com/v2/enqueue",
	"eu": "https://events.eu.pagerduty.com/v2/enqueue",
}

// pagerKey is what an integration key looks like.
var pagerKey = regexp.MustCompile(`^[A-Za-z0-9]{32}$`)

// Validate tells every mistake in c. The errors are joined, each of the form
// "field: problem"; none holds a secret. Files that are named have to be there
// and readable.
func (c PagerDutyConfig) Validate() error {
	errs := []error{c.HTTPConfig.Validate()}
	if c.Region != "" && pagerURLs[c.Region] == "" {
		errs = append(errs, fmt.Errorf("region: want us or eu, where the account is (an address under eu.pagerduty.com is eu), got %.40q", c.Region))
	}
	if c.URL != "" && c.URL.problem() != "" {
		errs = append(errs, errors.New("url: "+c.URL.problem()))
	}
	_, _, err := c.keys()
	errs = append(errs, err)
	_, err = c.Templates.parse("summary")
	return errors.Join(append(errs, err)...)
}

// keys are the integration keys as they are now; that for escalation is "" if
// there is none.
func (c PagerDutyConfig) keys() (first, escalation string, err error) {
	first, err1 := oneSecret("routing_key", c.RoutingKey, c.RoutingKeyFile)
	switch {
	case err1 != nil:
	case first == "":
		err1 = errors.New("routing_key: missing; want the integration key of a service's Events API v2 integration, or routing_key_file")
	case !pagerKey.MatchString(first):
		err1 = errors.New("routing_key: want the integration key of an Events API v2 integration, 32 letters and digits")
	}
	escalation, err2 := oneSecret("escalation_routing_key", c.EscalationRoutingKey, c.EscalationRoutingKeyFile)
	switch {
	case err2 != nil || escalation == "":
	case !pagerKey.MatchString(escalation):
		err2 = errors.New("escalation_routing_key: want the integration key of an Events API v2 integration, 32 letters and digits")
	case escalation == first:
		err2 = errors.New("escalation_routing_key: the same as routing_key, so that nobody else would be paged; want that of another service, or leave it out")
	}
	return first, escalation, errors.Join(err1, err2)
}

// A PagerDuty opens an incident for each exposure, raises it, and resolves it.
type PagerDuty struct {
	config     PagerDutyConfig
	recipients []string // keys in the place of the configuration's; nil: those
	words      Wording
	texts      texts
	http       *poster
	url        string
}

var _ Sink = (*PagerDuty)(nil)

// NewPagerDuty returns a sink that says what it has to say in the words of w. It
// asks nobody on the network. The caller closes it.
func NewPagerDuty(c PagerDutyConfig, w Wording) (*PagerDuty, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	texts, err := c.Templates.parse("summary")
	if err != nil {
		return nil, err
	}
	p, err := newPoster(c.HTTPConfig)
	if err != nil {
		return nil, err
	}
	url := pagerURLs[c.Region]
	switch {
	case c.URL != "":
		url = string(c.URL)
	case url == "":
		url = pagerURLs["us"]
	}
	return &PagerDuty{config: c, words: w, texts: texts, http: p, url: url}, nil
}

// Close closes the connections that nobody uses.
func (p *PagerDuty) Close() error { return p.http.Close() }

// To is the sink for the services of other integration keys. It is closed with
// p, and by itself need not be.
func (p *PagerDuty) To(recipients []string) (Sink, error) {
	if len(recipients) == 0 {
		return nil, errors.New("recipients: missing; want integration keys of PagerDuty")
	}
	for i, key := range recipients {
		if !pagerKey.MatchString(key) {
			return nil, fmt.Errorf("recipients[%d]: want the integration key of an Events API v2 integration, 32 letters and digits", i)
		}
	}
	other := *p
	other.recipients = recipients
	return &other, nil
}

// What is kept of an exposure: whether PagerDuty was told that it is open.
const (
	pagerOpen = "open"
	pagerOver = "over"
)

// Send triggers or resolves the incident that has the exposure as its dedup_key.
// A copy adds a line to the incident's log and opens nothing. PagerDuty opens a
// new incident for a trigger that follows a resolve, so once an exposure is over
// only what has to be heard nevertheless (see insistent) is sent. A resolve
// of what it was not told of is dropped there. An attempt, and a device less
// where another is left, have no end that mfawatch would see: a person resolves
// them, or the service after its time. That one service cannot be told keeps it
// from no other; the others get a copy with the next attempt.
func (p *PagerDuty) Send(ctx context.Context, a *processor.Alert, ref string) (newRef string, err error) {
	newRef = pagerOpen
	switch {
	case a.Step == exposure.Resolved:
		newRef = pagerOver
	case ref == pagerOver && !insistent(a.Step, a.Severity):
		return ref, nil
	}
	keys, err := p.keys()
	if err != nil {
		return ref, Misconfigured(err)
	}
	var failed []error
	told := false
	for i, key := range keys {
		if i > 0 && p.recipients == nil && !pagerEscalates(a.Step) {
			break
		}
		if err := p.enqueue(ctx, key, a, keys); err != nil {
			failed = append(failed, err)
		} else {
			told = true
		}
	}
	if err := worstOf(failed, told); err != nil {
		return ref, err
	}
	return newRef, nil
}

// keys are those of the services that are told; of the configuration's, the
// second is for escalation.
func (p *PagerDuty) keys() ([]string, error) {
	if p.recipients != nil {
		return p.recipients, nil
	}
	first, escalation, err := p.config.keys()
	if escalation == "" {
		return []string{first}, err
	}
	return []string{first, escalation}, err
}

// pagerEscalates reports whether the service for escalation is told of a step.
// Nobody knows whether it was told of the beginning of what ends.
func pagerEscalates(s exposure.Step) bool {
	return s == exposure.Escalated || s == exposure.Exploited || s == exposure.Resolved
}

// Receipt says what an acceptance is worth: PagerDuty accepts an event before it
// looks whose it is.
func (p *PagerDuty) Receipt(ref string) string {
	switch ref {
	case pagerOpen:
		return "accepted; look whether an incident shows: PagerDuty accepts events for a key that nobody has, of an account in another region, or of a service that is disabled or in maintenance, and drops them without a word"
	case pagerOver:
		return "accepted; the incident resolves within seconds"
	}
	return ""
}

// enqueue sends the event of the alert to one service. No error has a secret.
func (p *PagerDuty) enqueue(ctx context.Context, key string, a *processor.Alert, secrets []string) error {
	body, err := json.Marshal(p.event(key, a))
	if err != nil {
		return Permanent(fmt.Errorf("encode alert %s: %w", a.ID, err))
	}
	got, err := p.http.post(ctx, request{
		url: p.url, header: http.Header{"Content-Type": {"application/json"}}, body: body, secrets: secrets,
	})
	return pagerVerdict(got, err)
}

// pagerPause is how long PagerDuty wants to be left alone where it does not say:
// it counts over a minute.
const pagerPause = 30 * time.Second

// pagerVerdict is judgeStatus with what PagerDuty means otherwise. A 400 is
// about the event, unless it is about the key; nothing but a wrong address
// answers 404 or 405.
func pagerVerdict(got reply, err error) error {
	v, after := judge(err)
	switch {
	case v == throttled && after <= 0:
		return Throttled(err, pagerPause)
	case got.status == http.StatusNotFound, got.status == http.StatusMethodNotAllowed:
		return Misconfigured(fmt.Errorf("%w; check url", err))
	case got.status == http.StatusBadRequest && pagerAboutKey(got.body):
		return Misconfigured(OfOne(fmt.Errorf("%w; check routing_key (of an integration of type Events API v2), and region: an account under eu.pagerduty.com needs region: eu", err)))
	}
	return err
}

// pagerAboutKey reports whether a refusal is about the integration key.
func pagerAboutKey(body []byte) bool {
	var refusal struct {
		Message string   `json:"message"`
		Errors  []string `json:"errors"`
	}
	_ = json.Unmarshal(body, &refusal) // what is no JSON says nothing
	text := strings.ToLower(strings.Join(append(refusal.Errors, refusal.Message), " "))
	return strings.Contains(text, "routing_key") || strings.Contains(text, "routing key")
}
