package sinks

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
)

// Bounds of ServiceNow's columns, in bytes. The platform does not enforce them
// itself, and cuts in silence where the database does.
const (
	maxShortDescription = 160
	maxEventColumn      = 100
	maxEventLink        = 1000
)

// snEcho asks for what was kept of what we set, and no more.
const snEcho = "sysparm_fields=sys_id,number,state,correlation_id,assignment_group&sysparm_exclude_reference_link=true"

// An snIncident is what the instance says of an incident.
type snIncident struct {
	SysID           snValue `json:"sys_id"`
	Number          snValue `json:"number"`
	State           snValue `json:"state"`
	Urgency         snValue `json:"urgency"`
	Impact          snValue `json:"impact"`
	CorrelationID   snValue `json:"correlation_id"`
	AssignmentGroup snValue `json:"assignment_group"`
	Description     snValue `json:"description"`
	CloseNotes      snValue `json:"close_notes"`
	WorkNotes       snValue `json:"work_notes"`

	lost []string // fields that were set and not kept
}

// An snValue is a value as it is stored, and as it is shown.
type snValue struct{ Value, Shown string }

// UnmarshalJSON takes both of the forms that a value may have.
func (v *snValue) UnmarshalJSON(b []byte) error {
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

// tells reports whether the incident says what the alert does.
func (i snIncident) tells(a *processor.Alert) bool {
	return marked(i.Description.Value, a) || marked(i.CloseNotes.Value, a) || marked(i.WorkNotes.Shown, a) || marked(i.WorkNotes.Value, a)
}

// ref is the incident's sys_id and number, and what it did not keep.
func (i snIncident) ref() string {
	return strings.TrimSpace(i.SysID.Value + " " + i.Number.Value + " " + strings.Join(i.lost, ","))
}

// snSysID is the sys_id of a ref.
func snSysID(ref string) string {
	id, _, _ := strings.Cut(ref, " ")
	if !sysIDText.MatchString(id) {
		return ""
	}
	return id
}

// lastNumber is what people call the incident that was there last.
func lastNumber(known []snIncident, ref string) string {
	if len(known) > 0 {
		return exposure.Clean(known[len(known)-1].Number.Value, 40)
	}
	_, rest, _ := strings.Cut(ref, " ")
	number, _, _ := strings.Cut(rest, " ")
	return exposure.Clean(number, 40)
}

func numbersOf(incidents []snIncident) string {
	var all []string
	for _, i := range incidents {
		all = append(all, exposure.Clean(i.Number.Value, 40))
	}
	return strings.Join(all, ", ")
}

// incident is what opens one, after one that was ended if it has a number.
func (s *ServiceNow) incident(a *processor.Alert, after string) map[string]string {
	m := s.wording.Message(a)
	severity := urgent(a)
	if a.Step == exposure.Resolved { // somebody came in, and nobody was told
		severity = exposure.Critical
	}
	sent := map[string]string{}
	for name, value := range s.config.Fields {
		sent[name] = value
	}
	sent["correlation_id"] = ticketKey(a, s.config.AssignmentGroup)
	sent["short_description"] = exposure.Clean(snText(s.texts.or(m.Short, "short_description", m, a, maxTicketText)), maxShortDescription)
	var before []string
	if after != "" {
		before = []string{"This follows " + after + ", which was ended."}
	}
	sent["description"] = ticketText(m, a, s.texts, "description", snText, before...)
	sent["urgency"] = choice(severity, s.config.Urgency, snUrgency)
	sent["impact"] = choice(severity, s.config.Impact, snImpact)
	if s.config.AssignmentGroup != "" {
		sent["assignment_group"] = s.config.AssignmentGroup
	}
	return sent
}

// change is what updates or resolves the first of the incidents, which are open.
func (s *ServiceNow) change(a *processor.Alert, open []snIncident) map[string]string {
	m := s.wording.Message(a)
	var before []string
	if len(open) > 1 {
		before = []string{"There are several open incidents of this exposure. mfawatch keeps to this one: " + numbersOf(open[1:]) + " can be closed."}
	}
	sent := map[string]string{}
	if a.Step == exposure.Resolved {
		for name, value := range s.config.CloseFields {
			sent[name] = value
		}
		sent["state"], sent["close_code"] = s.config.ResolvedState, s.config.CloseCode
		sent["close_notes"] = ticketText(m, a, s.texts, "close_notes", snText, append([]string{m.Title}, before...)...)
		return sent
	}
	sent["work_notes"] = ticketText(m, a, s.texts, "note", snText, append([]string{m.Short}, before...)...)
	severity := urgent(a)
	raise(sent, "urgency", choice(severity, s.config.Urgency, snUrgency), open[0].Urgency.Value)
	raise(sent, "impact", choice(severity, s.config.Impact, snImpact), open[0].Impact.Value)
	return sent
}

// raise sets a field where that makes it more urgent, which is a lower number:
// what people decided is not made less of.
func raise(sent map[string]string, field, want, is string) {
	w, err := strconv.Atoi(want)
	if i, ierr := strconv.Atoi(is); err == nil && ierr == nil && w >= i {
		return
	}
	if want != is {
		sent[field] = want
	}
}

// event is the alert as an event. Unheard says that somebody came in and nobody
// was told: then the end of it clears nothing.
func (s *ServiceNow) event(a *processor.Alert, unheard bool) map[string]string {
	m := s.wording.Message(a)
	severity, state := snSeverity[urgent(a)], "New"
	switch {
	case a.Step == exposure.Resolved && unheard:
		severity = "1"
	case a.Step == exposure.Resolved:
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
		"node":             exposure.Clean(snText(a.Account), maxEventColumn),
		"resource":         exposure.Clean(snText(user), maxEventColumn),
		"metric_name":      "MFA",
		"type":             "MFA removed",
		"message_key":      ticketKey(a, ""),
		"severity":         severity,
		"resolution_state": state,
		"time_of_event":    a.Time.UTC().Format(time.DateTime),
		"description":      ticketText(m, a, s.texts, "description", snText, m.Short),
		"additional_info":  string(info),
	}
}

// snSeverity is a severity of Event Management: 1 critical, 2 major, 3 minor, 4
// warning.
var snSeverity = map[exposure.Severity]string{
	exposure.Critical: "1", exposure.High: "2", exposure.Medium: "3", exposure.Low: "4", exposure.Info: "4",
}

// codeTag begins or ends what ServiceNow shows as HTML in a journal.
var codeTag = regexp.MustCompile(`(?i)\[(\s*/?\s*code)`)

// snText takes the meaning from the mark-up that ServiceNow's fields know.
func snText(s string) string { return codeTag.ReplaceAllString(s, "[ $1") }
