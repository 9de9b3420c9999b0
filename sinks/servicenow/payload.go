package servicenow

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/sinks/message"
	"github.com/mfawatch/mfawatch/sinks/ticket"
)

// Bounds of ServiceNow's columns, in bytes. The platform does not enforce them
// itself, and cuts in silence where the database does.
const (
	maxShortDescription = 160
	maxEventColumn      = 100
	maxEventLink        = 1000
)

// echo asks only for the fields that we set, as they were kept.
const echo = "sysparm_fields=sys_id,number,state,correlation_id,assignment_group&sysparm_exclude_reference_link=true"

// incident holds the fields of an incident.
type incident struct {
	SysID           value `json:"sys_id"`
	Number          value `json:"number"`
	State           value `json:"state"`
	Urgency         value `json:"urgency"`
	Impact          value `json:"impact"`
	CorrelationID   value `json:"correlation_id"`
	AssignmentGroup value `json:"assignment_group"`
	Description     value `json:"description"`
	CloseNotes      value `json:"close_notes"`
	WorkNotes       value `json:"work_notes"`

	lost []string // fields that were set and not kept
}

// An value is a value as it is stored, and as it is shown.
type value struct{ Value, Shown string }

// UnmarshalJSON takes both of the forms that a value may have.
func (v *value) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '{' {
		var both struct {
			Value any    `json:"value"`
			Shown string `json:"display_value"`
		}
		if err := json.Unmarshal(b, &both); err != nil {
			return err
		}
		if both.Value != nil {
			v.Value = fmt.Sprint(both.Value)
		}
		v.Shown = both.Shown
		return nil
	}
	var text *string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	if text != nil {
		v.Value, v.Shown = *text, *text
	}
	return nil
}

// holds reports whether the incident holds the text of the alert.
func (i incident) holds(a *processor.Alert) bool {
	return ticket.Marked(i.Description.Value, a) || ticket.Marked(i.CloseNotes.Value, a) || ticket.Marked(i.WorkNotes.Shown, a) || ticket.Marked(i.WorkNotes.Value, a)
}

// ref returns the incident's sys_id and number, and the fields that it did not keep.
func (i incident) ref() string {
	return strings.TrimSpace(i.SysID.Value + " " + i.Number.Value + " " + strings.Join(i.lost, ","))
}

// sysID is the sys_id of a ref.
func sysID(ref string) string {
	id, _, _ := strings.Cut(ref, " ")
	if !sysIDText().MatchString(id) {
		return ""
	}
	return id
}

// lastNumber returns the number of the latest incident.
func lastNumber(known []incident, ref string) string {
	if len(known) > 0 {
		return safetext.Clean(known[len(known)-1].Number.Value, 40)
	}
	_, rest, _ := strings.Cut(ref, " ")
	number, _, _ := strings.Cut(rest, " ")
	return safetext.Clean(number, 40)
}

func numbersOf(incidents []incident) string {
	var all []string
	for _, i := range incidents {
		all = append(all, safetext.Clean(i.Number.Value, 40))
	}
	return strings.Join(all, ", ")
}

// incident returns the fields that open one, after one that was ended if it has a number.
func (s *Sink) incident(a *processor.Alert, after string) map[string]string {
	m := s.wording.Message(a)
	severity := ticket.Urgent(a)
	sent := map[string]string{}
	maps.Copy(sent, s.config.Fields)
	sent["correlation_id"] = ticket.Key(a, s.config.AssignmentGroup)
	sent["short_description"] = s.title(m, a)
	var before []string
	if after != "" {
		before = []string{"This follows " + after + ", which was ended."}
	}
	sent["description"] = ticket.Text(m, a, s.texts, "description", harmless, before...)
	sent["urgency"] = ticket.Choice(severity, s.config.Urgency, urgency)
	sent["impact"] = ticket.Choice(severity, s.config.Impact, impact)
	if s.config.AssignmentGroup != "" {
		sent["assignment_group"] = s.config.AssignmentGroup
	}
	return sent
}

// title returns the short description: it follows the present state.
func (s *Sink) title(m message.Message, a *processor.Alert) string {
	return safetext.Clean(harmless(s.texts.Or(m.Short, "short_description", m, a, ticket.MaxText)), maxShortDescription)
}

// change returns the fields that update or resolve the first of the incidents, which are open.
func (s *Sink) change(a *processor.Alert, open []incident) map[string]string {
	m := s.wording.Message(a)
	var before []string
	if len(open) > 1 {
		before = []string{"There are several open incidents of this exposure. mfawatch keeps to this one: " + numbersOf(open[1:]) + " can be closed."}
	}
	sent := map[string]string{"short_description": s.title(m, a)}
	if a.Step == exposure.Resolved {
		sent["state"], sent["close_code"] = s.config.ResolvedState, s.config.CloseCode
		sent["close_notes"] = ticket.Text(m, a, s.texts, "close_notes", harmless, append([]string{m.Title}, before...)...)
		return sent
	}
	sent["work_notes"] = ticket.Text(m, a, s.texts, "note", harmless, append([]string{m.Short}, before...)...)
	severity := ticket.Urgent(a)
	raise(sent, "urgency", ticket.Choice(severity, s.config.Urgency, urgency), open[0].Urgency.Value)
	raise(sent, "impact", ticket.Choice(severity, s.config.Impact, impact), open[0].Impact.Value)
	return sent
}

// raise sets a field where that makes it more urgent, which is a lower number:
// a choice that people made is never lowered.
func raise(sent map[string]string, field, want, is string) {
	w, err := strconv.Atoi(want)
	if i, ierr := strconv.Atoi(is); err == nil && ierr == nil && w >= i {
		return
	}
	if want != is {
		sent[field] = want
	}
}

// event returns the alert as an event. Unheard says that the exposure was exploited
// and no alert was sent: then its end clears nothing.
func (s *Sink) event(a *processor.Alert, unheard bool) map[string]string {
	m := s.wording.Message(a)
	severity, state := severity[ticket.Urgent(a)], "New"
	if a.Step == exposure.Resolved && !unheard {
		severity, state = "0", "Closing"
	}
	more := map[string]string{"original_severity": string(a.Severity), "step": string(a.Step), "alert": a.ID}
	for _, l := range m.Links {
		if len(l.URL) > maxEventLink {
			continue
		}
		more[strings.ToLower(strings.ReplaceAll(l.Text, " ", "_"))] = l.URL
	}
	info, _ := json.Marshal(more) // strings cannot fail
	user := "unknown"
	switch {
	case a.Users != nil:
		user = "several users"
	case a.User != nil && *a.User != "":
		user = *a.User
	}
	return map[string]string{
		"source":           "mfawatch",
		"event_class":      "AWS CloudTrail",
		"node":             safetext.Line(harmless(a.Account), maxEventColumn),
		"resource":         safetext.Line(harmless(user), maxEventColumn),
		"metric_name":      "MFA",
		"type":             "MFA removed",
		"message_key":      ticket.Key(a, ""),
		"severity":         severity,
		"resolution_state": state,
		"time_of_event":    a.Time.UTC().Format(time.DateTime),
		"description":      ticket.Text(m, a, s.texts, "description", harmless, m.Short),
		"additional_info":  string(info),
	}
}

// severity is a severity of Event Management: 1 critical, 2 major, 3 minor, 4
// warning.
var severity = map[exposure.Severity]string{
	exposure.Critical: "1", exposure.High: "2", exposure.Medium: "3", exposure.Low: "4", exposure.Info: "4",
}

// codeTag begins or ends what ServiceNow shows as HTML in a journal.
var codeTag = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?i)\[(\s*/?\s*code)`) })

// harmless takes the meaning from the mark-up that ServiceNow's fields know.
func harmless(s string) string { return codeTag().ReplaceAllString(s, "[ $1") }
