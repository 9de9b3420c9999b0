package sinks

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
)

// Limits of the Events API v2, in characters. That of the body, 512 KB, is never
// near: what is in it is bounded.
const (
	maxPagerSummary = 1024
	maxPagerKey     = 255
	maxPagerField   = 255
)

// A pagerEvent is what the Events API v2 takes.
type pagerEvent struct {
	RoutingKey string        `json:"routing_key"`
	Action     string        `json:"event_action"`
	DedupKey   string        `json:"dedup_key"`
	Payload    *pagerPayload `json:"payload,omitempty"` // of a trigger
	Links      []pagerLink   `json:"links,omitempty"`
	Client     string        `json:"client,omitempty"`
	ClientURL  string        `json:"client_url,omitempty"`
}

type pagerPayload struct {
	Summary   string       `json:"summary"`
	Source    string       `json:"source"`
	Severity  string       `json:"severity"`
	Timestamp string       `json:"timestamp"`
	Component string       `json:"component,omitempty"`
	Group     string       `json:"group,omitempty"`
	Class     string       `json:"class"`
	Details   pagerDetails `json:"custom_details"`
}

type pagerLink struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

// pagerDetails are an object whose members keep their order.
type pagerDetails []Fact

// MarshalJSON implements [json.Marshaler].
func (d pagerDetails) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, f := range d {
		name, err := json.Marshal(f.Name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(f.Value)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(append(append(name, ':'), value...))
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// event is what is said of the alert to the service with the key.
func (p *PagerDuty) event(key string, a *processor.Alert) pagerEvent {
	e := pagerEvent{RoutingKey: key, Action: "trigger", DedupKey: pagerDedup(a)}
	if a.Step == exposure.Resolved {
		e.Action = "resolve"
		return e
	}
	m := p.words.Message(a)
	summary := strings.Join(strings.Fields(p.texts.or(m.Title, "summary", m, a, 4*maxPagerSummary)), " ")
	e.Payload = &pagerPayload{
		Summary:   cmp.Or(cutRunes(summary, maxPagerSummary), "MFA removed"),
		Source:    cmp.Or(cutRunes(p.words.account(a), maxPagerField), "AWS"),
		Severity:  pagerSeverity(a),
		Timestamp: a.Time.UTC().Format(time.RFC3339Nano),
		Component: pagerUser(a),
		Group:     cutRunes(a.Account, maxPagerField),
		Class:     "mfa_" + cutRunes(string(a.Step), 40),
		Details:   pagerDetail(m, a),
	}
	for _, l := range m.Links {
		e.Links = append(e.Links, pagerLink{Href: l.URL, Text: l.Text})
	}
	e.Client, e.ClientURL = "mfawatch", p.words.Page
	return e
}

// pagerDedup is what PagerDuty knows the incident by: the exposure, or the alert
// itself if it belongs to none.
func pagerDedup(a *processor.Alert) string {
	if a.Exposure != nil {
		return cutRunes(*a.Exposure, maxPagerKey)
	}
	return cutRunes(a.ID, maxPagerKey)
}

// pagerSeverities are PagerDuty's words for ours.
var pagerSeverities = map[exposure.Severity]string{
	exposure.Critical: "critical",
	exposure.High:     "error",
	exposure.Medium:   "warning",
	exposure.Low:      "info",
	exposure.Info:     "info",
}

// pagerSeverity is the alert's, one level up where it escalates.
func pagerSeverity(a *processor.Alert) string {
	s := a.Severity
	if i := slices.Index(exposure.Severities, s); a.Step == exposure.Escalated && i >= 0 && i+1 < len(exposure.Severities) {
		s = exposure.Severities[i+1]
	}
	return cmp.Or(pagerSeverities[s], "error")
}

// pagerUser is whose MFA it is, "" where it is not known.
func pagerUser(a *processor.Alert) string {
	switch {
	case a.Root:
		return "root user"
	case a.User == nil:
		return ""
	}
	return cutRunes(*a.User, maxPagerField)
}

// pagerDetail is what whoever is woken wants to know, in that order.
func pagerDetail(m Message, a *processor.Alert) pagerDetails {
	details := pagerDetails{{"What to do", m.Advice}, {"What happened", m.Summary}}
	details = append(details, m.Facts...)
	details = append(details,
		Fact{"Severity", exposure.Clean(string(a.Severity), maxFact)},
		Fact{"Reasons", exposure.Clean(strings.Join(a.Reasons, ", "), maxFact)},
		Fact{"Technique", exposure.Clean(strings.Join(a.Attack, ", "), maxFact)},
		Fact{"Alert", exposure.Clean(a.ID, maxFact)})
	return slices.DeleteFunc(details, func(f Fact) bool { return f.Value == "" })
}

// Render is the event that would be sent first of the alert.
func (p *PagerDuty) Render(a *processor.Alert) (string, error) {
	text, err := json.MarshalIndent(p.event("(hidden)", a), "", "  ")
	return string(text), err
}
