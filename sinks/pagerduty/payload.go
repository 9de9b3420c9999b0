package pagerduty

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/sinks/message"
	"github.com/mfawatch/mfawatch/sinks/ticket"
)

// Limits of the Events API v2, in characters. The limit of the body, 512 KB, is never
// near, since all parts of it are bounded.
const (
	maxSummary = 1024
	maxKey     = 255
	maxField   = 255
	maxList    = 2000 // ours: of what is read
)

// event is the body of a request to the Events API v2.
type event struct {
	RoutingKey string   `json:"routing_key"`
	Action     string   `json:"event_action"`
	DedupKey   string   `json:"dedup_key"`
	Payload    *payload `json:"payload,omitempty"` // of a trigger
	Links      []link   `json:"links,omitempty"`
	Client     string   `json:"client,omitempty"`
	ClientURL  string   `json:"client_url,omitempty"`
}

type payload struct {
	Summary   string  `json:"summary"`
	Source    string  `json:"source"`
	Severity  string  `json:"severity"`
	Timestamp string  `json:"timestamp"`
	Component string  `json:"component,omitempty"`
	Group     string  `json:"group,omitempty"`
	Class     string  `json:"class"`
	Details   details `json:"custom_details"`
}

type link struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

// details are an object whose members keep their order.
type details []message.Fact

// MarshalJSON implements [json.Marshaler].
func (d details) MarshalJSON() ([]byte, error) {
	members := make([][]byte, len(d))
	for i, f := range d {
		name, _ := json.Marshal(f.Name) // of a text: it never fails
		value, _ := json.Marshal(f.Value)
		members[i] = slices.Concat(name, []byte(":"), value)
	}
	return slices.Concat([]byte("{"), bytes.Join(members, []byte(",")), []byte("}")), nil
}

// event returns the event about the alert for the service with the key.
func (p *Sink) event(key string, a *processor.Alert) event {
	e := event{RoutingKey: key, Action: "trigger", DedupKey: dedup(a)}
	if a.Step == exposure.Resolved {
		e.Action = "resolve"
		return e
	}
	m := p.words.Message(a)
	summary := strings.Join(strings.Fields(p.texts.Or(m.Title, "summary", m, a, 4*maxSummary)), " ")
	e.Payload = &payload{
		Summary:   cmp.Or(safetext.CutRunes(summary, maxSummary), "MFA removed"),
		Source:    cmp.Or(shown(message.AlertAccount(a)), "AWS"),
		Severity:  cmp.Or(severities[ticket.Urgent(a)], "error"),
		Timestamp: a.Time.UTC().Format(time.RFC3339Nano),
		Component: user(a),
		Group:     shown(a.Account),
		Class:     "mfa_" + safetext.CutRunes(string(a.Step), 40),
		Details:   detail(m, a),
	}
	for _, l := range m.Links {
		e.Links = append(e.Links, link{Href: l.URL, Text: l.Text})
	}
	e.Client, e.ClientURL = "mfawatch", p.words.Page
	return e
}

// dedup returns the key of the incident: the exposure, or the alert itself if
// it belongs to none.
func dedup(a *processor.Alert) string {
	if a.Exposure != nil {
		return safetext.CutRunes(*a.Exposure, maxKey)
	}
	return safetext.CutRunes(a.ID, maxKey)
}

// severities are PagerDuty's words for ours.
var severities = map[exposure.Severity]string{
	exposure.Critical: "critical",
	exposure.High:     "error",
	exposure.Medium:   "warning",
	exposure.Low:      "info",
	exposure.Info:     "info",
}

// user is whose MFA it is, "" where it is not known.
func user(a *processor.Alert) string {
	switch {
	case a.Root:
		return "root user"
	case a.User == nil:
		return ""
	}
	return shown(*a.User)
}

// shown makes text of a record fit for a field.
func shown(text string) string { return safetext.CutRunes(safetext.Unlink(text), maxField) }

// detail returns the details in the order in which the person on call needs them.
func detail(m message.Message, a *processor.Alert) details {
	details := details{{Name: "What to do", Value: m.Advice}, {Name: "What happened", Value: m.Summary}}
	for _, l := range m.Lists {
		details = append(details, message.Fact{Name: l.Name, Value: safetext.CutRunes(strings.Join(l.Text(), "; "), maxList)})
	}
	details = append(details, m.Facts...)
	details = append(details,
		message.Fact{Name: "Severity", Value: safetext.Clean(string(a.Severity), message.MaxFact)},
		message.Fact{Name: "Reasons", Value: safetext.Clean(strings.Join(m.Reasons, ", "), maxList)},
		message.Fact{Name: "Technique", Value: safetext.Clean(strings.Join(a.Attack, ", "), message.MaxFact)},
		message.Fact{Name: "Alert", Value: safetext.Clean(a.ID, message.MaxFact)})
	return slices.DeleteFunc(details, func(f message.Fact) bool { return f.Value == "" })
}

// Render returns the first event about the alert.
func (p *Sink) Render(a *processor.Alert) (string, error) {
	text, err := json.MarshalIndent(p.event("(hidden)", a), "", "  ")
	return string(text), err
}
