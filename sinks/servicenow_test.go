package sinks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
)

// A snRig is a sink on a server of its own.
type snRig struct {
	*snServer
	sink *ServiceNow
	log  bytes.Buffer
	url  string
}

func newSnRig(t *testing.T, change func(c *ServiceNowConfig)) *snRig {
	t.Helper()
	r := &snRig{snServer: newSnServer(t)}
	server := httptest.NewServer(r.snServer)
	t.Cleanup(server.Close)
	r.url = server.URL
	r.sink = r.make(t, change)
	return r
}

func (r *snRig) make(t *testing.T, change func(c *ServiceNowConfig)) *ServiceNow {
	t.Helper()
	c := ServiceNowConfig{URL: r.url, Username: "mfawatch", Password: "xyzzy-password"}
	if change != nil {
		change(&c)
	}
	sink, err := NewServiceNow(c, Wording{}, slog.New(slog.NewTextHandler(&r.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sink.Close() })
	return sink
}

// tell sends, and wants the verdict and words of the error.
func ticketTell(t *testing.T, s Sink, a *processor.Alert, ref string, want verdict, words ...string) string {
	t.Helper()
	newRef, err := s.Send(t.Context(), a, ref)
	if v, _ := judge(err); v != want {
		t.Fatalf("%s: %s, want %s: %v", a.Step, v, want, err)
	}
	for _, word := range words {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: the error does not say %q: %v", a.Step, word, err)
		}
	}
	if err != nil {
		hushed(t, err.Error())
	}
	return newRef
}

// What the look before a step meets has the verdict of something that wrote
// nothing.
func TestServiceNowLook(t *testing.T) {
	a := conformStory("bob")[0]
	for _, c := range []struct {
		name  string
		fault fault
		want  verdict
		words string
	}{
		{"401", fault{status: 401}, misconfigured, "check username and password"},
		{"403", fault{status: 403}, misconfigured, "sn_incident_write"},
		{"404", fault{status: 404}, misconfigured, "check url"},
		{"no such table", fault{status: 400, body: `{"error":{"message":"Invalid table incident","detail":null},"status":"failure"}`}, misconfigured, "has no incidents"},
		{"500", fault{status: 500}, retry, "500"},
		{"502 of a proxy", fault{status: 502, body: "<html>"}, retry, "502"},
		{"reset", fault{reset: true}, retry, ""},
		{"cut", fault{cut: true}, retry, ""},
		{"a page", fault{status: 200, body: "<!DOCTYPE html><title>Log in</title>"}, misconfigured, "the instance hibernates"},
		{"garbage", fault{status: 200, header: http.Header{"Content-Type": {"application/json"}}, body: "[1,"}, retry, "no answer of the Table API"},
		{"empty", fault{status: 200}, retry, "no answer of the Table API"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &snRig{snServer: newSnServer(t)}
			f := newFaultyServer(t, r.snServer)
			r.url = f.URL
			f.inject(c.fault)
			ticketTell(t, r.make(t, nil), a, "", c.want, c.words)
			if len(r.incidents) > 0 {
				t.Error("an incident was opened")
			}
		})
	}
}

// An answer to a change that cannot be read may be one to a change that was
// made.
func TestServiceNowUnreadableAnswer(t *testing.T) {
	r := &snRig{snServer: newSnServer(t)}
	f := newFaultyServer(t, r.snServer)
	f.spare = ticketRead
	r.url = f.URL
	sink := r.make(t, nil)
	for body, want := range map[string]verdict{"": ambiguous, "[1,": ambiguous, "{}": ambiguous, `{"result":{}}`: ambiguous, "<html>": misconfigured} {
		f.inject(fault{status: 201, body: body})
		ticketTell(t, sink, conformStory("bob")[0], "", want)
	}
}

// The limits are those of an hour, and a refusal says when it ends.
func TestServiceNowLimit(t *testing.T) {
	for _, noAfter := range []bool{false, true} {
		r := newSnRig(t, nil)
		now := time.Now()
		r.now, r.limit, r.noAfter = func() time.Time { return now }, 4, noAfter
		story := conformStory("bob")
		ref := ticketTell(t, r.sink, story[0], "", told)
		ref = ticketTell(t, r.sink, story[1], ref, told)
		_, err := r.sink.Send(t.Context(), story[2], ref)
		if v, after := judge(err); v != throttled || after < 59*time.Minute || after > time.Hour {
			t.Errorf("%s after %s: %v", v, after, err)
		}
		now = now.Add(time.Hour)
		ticketTell(t, r.sink, story[2], ref, told)
	}
}

func TestServiceNowHibernates(t *testing.T) {
	r := newSnRig(t, nil)
	r.asleep = true
	ticketTell(t, r.sink, conformStory("bob")[0], "", misconfigured, "hibernates", "sign in to wake it")
}

func TestServiceNowCredentials(t *testing.T) {
	file := secretFile(t, "xyzzy-token\n")
	for name, change := range map[string]func(c *ServiceNowConfig){
		"token":         func(c *ServiceNowConfig) { c.Username, c.Password, c.Token = "", "", "xyzzy-token" },
		"token_file":    func(c *ServiceNowConfig) { c.Username, c.Password, c.TokenFile = "", "", file },
		"api_key":       func(c *ServiceNowConfig) { c.Username, c.Password, c.APIKey = "", "", "xyzzy-api-key" },
		"password_file": func(c *ServiceNowConfig) { c.Password, c.PasswordFile = "", secretFile(t, "xyzzy-password\n") },
	} {
		r := newSnRig(t, change)
		ticketTell(t, r.sink, conformStory(name)[0], "", told)
	}
	for name, change := range map[string]func(c *ServiceNowConfig){
		"token":    func(c *ServiceNowConfig) { c.Username, c.Password, c.Token = "", "", "xyzzy-old-token" },
		"api_key":  func(c *ServiceNowConfig) { c.Username, c.Password, c.APIKey = "", "", "xyzzy-old-key" },
		"password": func(c *ServiceNowConfig) { c.Password = "xyzzy-old-password" },
	} {
		ticketTell(t, newSnRig(t, change).sink, conformStory(name)[0], "", misconfigured, "check username and password, token or api_key")
	}
}

// Somebody resolved, closed, cancelled or deleted the incident: then that is the
// end of it, but for what has to be heard, which opens another.
func TestServiceNowEndedBySomebody(t *testing.T) {
	story := conformStory("bob")
	for _, state := range []string{"6", "7", "8", "deleted"} {
		for _, c := range []struct {
			a    *processor.Alert
			want verdict
		}{{story[1], superseded}, {story[2], told}, {story[3], told}, {story[4], superseded}} {
			t.Run(state+" "+string(c.a.Step), func(t *testing.T) {
				r := newSnRig(t, nil)
				ref := ticketTell(t, r.sink, story[0], "", told)
				if state == "deleted" {
					r.incidents = r.incidents[:0]
				} else {
					r.incidents[0].fields["state"] = state
				}
				newRef := ticketTell(t, r.sink, c.a, ref, c.want)
				if c.want == superseded {
					if _, err := r.sink.Send(t.Context(), c.a, ref); !strings.Contains(err.Error(), "INC0010000") {
						t.Errorf("which incident is not said: %v", err)
					}
					return
				}
				last := r.incidents[len(r.incidents)-1]
				if newRef == ref && state != "deleted" || last.fields["state"] != "1" || last.fields["urgency"]+last.fields["impact"] != "11" ||
					!strings.Contains(last.fields["description"], "This follows INC0010000, which was ended.") {
					t.Errorf("ref %s after %s: %v", newRef, ref, last.fields)
				}
				n := len(r.incidents)
				if again := ticketTell(t, r.sink, c.a, ref, told); again != newRef || len(r.incidents) != n { // a copy
					t.Errorf("ref %s, again %s; %d incidents, then %d", newRef, again, n, len(r.incidents))
				}
				ticketTell(t, r.sink, story[4], newRef, told)
				if last.fields["state"] != "6" {
					t.Errorf("state %s in the end", last.fields["state"])
				}
			})
		}
	}
}

// It was closed or deleted between the look and the change: the next attempt
// sees it.
func TestServiceNowRace(t *testing.T) {
	story := conformStory("bob")
	for _, step := range []int{1, 4} {
		for _, how := range []string{"7", "deleted"} {
			r := newSnRig(t, nil)
			ref := ticketTell(t, r.sink, story[0], "", told)
			r.before = func(s *snServer, method, _ string) {
				switch {
				case method != http.MethodPatch:
				case how == "deleted":
					s.incidents = nil
				default:
					s.incidents[0].fields["state"] = how
				}
			}
			ticketTell(t, r.sink, story[step], ref, retry)
			ticketTell(t, r.sink, story[step], ref, superseded)
		}
	}
}

// Begun again after it was over, it has an incident of its own.
func TestServiceNowBeginsAgain(t *testing.T) {
	r := newSnRig(t, nil)
	story := conformStory("bob")
	ref := ticketTell(t, r.sink, story[0], "", told)
	ref = ticketTell(t, r.sink, story[4], ref, told)
	again, end := *story[0], *story[4]
	again.ID, end.ID = again.ID+"r1", end.ID+"r1"
	newRef := ticketTell(t, r.sink, &again, ref, told)
	if newRef == ref || len(r.incidents) != 2 || !strings.Contains(r.incidents[1].fields["description"], "This follows INC0010000") {
		t.Fatalf("ref %s, then %s, %d incidents", ref, newRef, len(r.incidents))
	}
	ticketTell(t, r.sink, &end, newRef, told)
	if r.incidents[1].fields["state"] != "6" {
		t.Error("the second is not resolved")
	}
}

// Somebody came in, nobody was told, and it is over: that is not passed over.
func TestServiceNowUnheard(t *testing.T) {
	r := newSnRig(t, nil)
	end := conformStory("bob")[4]
	end.Reasons = []string{exposure.ReasonExploited}
	ref := ticketTell(t, r.sink, end, "", told)
	i := r.incidents[0].fields
	if i["state"] != "1" || i["urgency"]+i["impact"] != "11" || r.sink.Receipt(ref) != "INC0010000" {
		t.Errorf("%s: %v", ref, i)
	}
	ticketTell(t, r.sink, end, "", told)
	if len(r.incidents) != 1 {
		t.Errorf("%d incidents", len(r.incidents))
	}
}

// Of two incidents the oldest is kept, and the other is named.
func TestServiceNowDuplicates(t *testing.T) {
	r := newSnRig(t, nil)
	story := conformStory("bob")
	ref := ticketTell(t, r.sink, story[0], "", told)
	r.incidents = append(r.incidents, &snRecord{fields: map[string]string{
		"sys_id": strings.Repeat("f", 32), "number": "INC0099999", "state": "1", "correlation_id": ticketKey(story[0])}})
	ref = ticketTell(t, r.sink, story[1], ref, told)
	if len(r.incidents[0].journal) != 1 || !strings.Contains(r.incidents[0].journal[0], "INC0099999 can be closed") || len(r.incidents[1].journal) > 0 {
		t.Errorf("%q, %q", r.incidents[0].journal, r.incidents[1].journal)
	}
	if !strings.Contains(r.log.String(), "INC0099999") {
		t.Errorf("logged: %s", r.log.String())
	}
	ticketTell(t, r.sink, story[4], ref, told)
	if r.incidents[0].fields["state"] != "6" || r.incidents[1].fields["state"] != "1" {
		t.Error("not the oldest was resolved")
	}
}

// What an instance does not understand of a query it leaves out: other people's
// incidents stay as they are.
func TestServiceNowStrangers(t *testing.T) {
	r := newSnRig(t, nil)
	r.columnGone = "correlation_id"
	r.incidents = []*snRecord{{fields: map[string]string{"sys_id": strings.Repeat("e", 32), "number": "INC0000001", "state": "1", "description": "printer"}}}
	ref := ticketTell(t, r.sink, conformStory("bob")[0], "", told)
	ticketTell(t, r.sink, conformStory("bob")[1], ref, told)
	if len(r.incidents) != 2 || len(r.incidents[0].journal) > 0 || len(r.incidents[1].journal) != 1 {
		t.Errorf("%+v, %+v", r.incidents[0], r.incidents[1:])
	}
}

// What was set and not kept is said.
func TestServiceNowEcho(t *testing.T) {
	r := newSnRig(t, func(c *ServiceNowConfig) { c.AssignmentGroup = strings.Repeat("0", 32) })
	r.unwritten = []string{"correlation_id"}
	story := conformStory("bob")
	ref := ticketTell(t, r.sink, story[0], "", told)
	if got, want := r.sink.Receipt(ref), "INC0010000; but the instance did not keep correlation_id,assignment_group: let the user write and read it"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if !strings.Contains(r.log.String(), "correlation_id, assignment_group") {
		t.Errorf("logged: %s", r.log.String())
	}
	ref = ticketTell(t, r.sink, story[1], ref, told)
	ticketTell(t, r.sink, story[4], ref, told)
	if len(r.incidents) != 1 || r.incidents[0].fields["state"] != "6" {
		t.Errorf("%d incidents, the first %v", len(r.incidents), r.incidents[0].fields)
	}
}

// Fields that the instance wants: which key sets them is said.
func TestServiceNowMandatory(t *testing.T) {
	r := newSnRig(t, nil)
	r.mandatory = map[string]string{"caller_id": "Caller"}
	r.closing = map[string]string{"u_root_cause": "Root cause"}
	story := conformStory("bob")
	ticketTell(t, r.sink, story[0], "", misconfigured, "mandatory: Caller", "set them under fields")
	with := r.make(t, func(c *ServiceNowConfig) { c.Fields = map[string]string{"caller_id": snGroup} })
	ref := ticketTell(t, with, story[0], "", told)
	ticketTell(t, with, story[4], ref, permanent, "mandatory: Root cause", "close_fields", "then retry the dead letter")
	if r.incidents[0].fields["state"] != "1" {
		t.Error("resolved all the same")
	}
	with = r.make(t, func(c *ServiceNowConfig) { c.CloseFields = map[string]string{"u_root_cause": "other"} })
	ticketTell(t, with, story[4], ref, told)
	i := r.incidents[0].fields
	if i["state"] != "6" || i["close_code"] != "Resolved by caller" || i["u_root_cause"] != "other" {
		t.Errorf("%v", i)
	}

	r.incidents[0].fields["state"] = "2"
	r.unwritten = []string{"state"}
	end := *story[4]
	end.ID += "r1"
	ticketTell(t, with, &end, ref, permanent, `INC0010000 was not resolved: its state is still "2"`, "resolved_state")
}

// Urgency and impact follow the severity, are raised and never lowered.
func TestServiceNowUrgency(t *testing.T) {
	for severity, want := range map[exposure.Severity]string{"critical": "11", "high": "12", "medium": "22", "low": "23", "info": "33"} {
		r := newSnRig(t, nil)
		a := conformStory("bob")[0]
		a.Severity = severity
		ref := ticketTell(t, r.sink, a, "", told)
		now := func() string { return r.incidents[0].fields["urgency"] + r.incidents[0].fields["impact"] }
		if now() != want {
			t.Errorf("%s: %s, want %s", severity, now(), want)
		}
		note := conformStory("bob")[3]
		note.Severity = exposure.Low
		ref = ticketTell(t, r.sink, note, ref, told)
		if severity != "info" && now() != want {
			t.Errorf("%s: %s after a note, want %s", severity, now(), want)
		}
		escalation := conformStory("bob")[1]
		escalation.Severity = exposure.High
		ticketTell(t, r.sink, escalation, ref, told)
		if now() != "11" {
			t.Errorf("%s: %s after an escalation", severity, now())
		}
	}
	r := newSnRig(t, func(c *ServiceNowConfig) { c.Urgency = map[string]string{"high": "3"} })
	ticketTell(t, r.sink, conformStory("bob")[0], "", told)
	if i := r.incidents[0].fields; i["urgency"]+i["impact"] != "32" {
		t.Errorf("configured: %v", i)
	}
}

// A long title is cut at a character, with a mark.
func TestServiceNowLengths(t *testing.T) {
	r := newSnRig(t, nil)
	for _, c := range []string{"a", "é", "€", "🔥"} {
		a := conformStory("bob" + c)[0]
		a.Title = strings.Repeat(c, 300)
		ticketTell(t, r.sink, a, "", told)
		got := r.incidents[len(r.incidents)-1].fields["short_description"]
		if len(got) > 160 || len(got) < 153 || !strings.HasSuffix(got, "…") || strings.Contains(got, "\ufffd") {
			t.Errorf("%d bytes: %s", len(got), got)
		}
	}
}

func TestServiceNowTemplates(t *testing.T) {
	r := newSnRig(t, func(c *ServiceNowConfig) {
		c.Templates = Templates{
			"short_description": "MFA: {{.Alert.Account}} [code]", "description": "who: {{(index .Facts 0).Value}}\nsecond line",
			"note": "{{.Step}}", "close_notes": "bye",
		}
	})
	ref := ""
	for _, a := range conformStory("bob") {
		ref = ticketTell(t, r.sink, a, ref, told)
	}
	i := r.incidents[0]
	if i.fields["short_description"] != "MFA: 000000000000 [ code]" || !strings.HasPrefix(i.fields["description"], "who: bob\nsecond line\n\nmfawatch alert ") ||
		!strings.Contains(i.journal[0], "\n\nescalated\n\nmfawatch alert ") || !strings.Contains(i.fields["close_notes"], "\n\nbye\n\nmfawatch alert ") {
		t.Errorf("%q, %q", i.fields, i.journal)
	}
}

func TestServiceNowTo(t *testing.T) {
	r := newSnRig(t, nil)
	other, err := r.sink.To([]string{snGroup})
	if err != nil {
		t.Fatal(err)
	}
	ticketTell(t, other, conformStory("bob")[0], "", told)
	ticketTell(t, r.sink, conformStory("eve")[0], "", told)
	if r.incidents[0].fields["assignment_group"] != snGroup || r.incidents[1].fields["assignment_group"] != "" {
		t.Errorf("%v, %v", r.incidents[0].fields, r.incidents[1].fields)
	}
	for _, wrong := range [][]string{nil, {""}, {"Security"}, {snGroup, snGroup}} {
		if _, err := r.sink.To(wrong); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
	events := r.make(t, func(c *ServiceNowConfig) { c.Mode = "events" })
	if _, err := events.To([]string{snGroup}); err == nil {
		t.Error("events have a group")
	}
}

func TestServiceNowEvents(t *testing.T) {
	r := newSnRig(t, func(c *ServiceNowConfig) { c.Mode = "events" })
	ref := ""
	for _, a := range conformStory("bob") {
		ref = ticketTell(t, r.sink, a, ref, told)
	}
	var severities []string
	for _, e := range r.events {
		severities = append(severities, e["severity"])
	}
	if want := []string{"2", "1", "1", "1", "0"}; !slices.Equal(severities, want) {
		t.Errorf("severities %v, want %v", severities, want)
	}
	first := r.events[0]
	if first["time_of_event"] != "2026-05-01 08:03:11" || first["node"] != "000000000000" || first["resource"] != "bob" || first["message_key"] != ref {
		t.Errorf("%v", first)
	}
	unheard := conformStory("eve")[4]
	unheard.Reasons = []string{exposure.ReasonExploited}
	ticketTell(t, r.sink, unheard, "", told)
	if last := r.events[len(r.events)-1]; last["severity"] != "1" || last["resolution_state"] != "New" {
		t.Errorf("%v", last)
	}
	r.noEvents = true
	ticketTell(t, r.sink, conformStory("joe")[0], "", misconfigured, "Event Management is not on this instance", "mode incident")
}

func TestServiceNowEventNotTaken(t *testing.T) {
	s := quietServer(t, answers(200, "application/json", `{"result":{"Default Bulk Endpoint":"0 events were inserted"}}`))
	s.Start()
	sink, err := NewServiceNow(ServiceNowConfig{URL: s.URL, Mode: "events", APIKey: "xyzzy-api-key"}, Wording{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	ticketTell(t, sink, conformStory("bob")[0], "", permanent, "0 events were inserted")
}

func TestServiceNowRender(t *testing.T) {
	r := newSnRig(t, nil)
	for i, want := range []string{"POST /api/now/table/incident\n{", "", "", "", "PATCH /api/now/table/incident/SYS_ID\n{"} {
		text, err := r.sink.Render(conformStory("bob")[i])
		if err != nil || !strings.HasPrefix(text, want) || !json.Valid([]byte(text[strings.IndexByte(text, '{'):])) {
			t.Errorf("%v: %s", err, text)
		}
		hushed(t, text)
	}
	if len(r.requests) > 0 {
		t.Errorf("asked %v", r.requests)
	}
}

func TestServiceNowConfig(t *testing.T) {
	good := ServiceNowConfig{URL: "https://acme.service-now.com", Username: "mfawatch", Password: "xyzzy"}
	for want, change := range map[string]func(c *ServiceNowConfig){
		"url: missing": func(c *ServiceNowConfig) { c.URL = "" },
		"url: want the address of your site alone":  func(c *ServiceNowConfig) { c.URL += "/nav_to.do" },
		"username: missing; want username and":      func(c *ServiceNowConfig) { c.Username, c.Password = "", "" },
		"username: missing; password needs it":      func(c *ServiceNowConfig) { c.Username = "" },
		"password_file: missing":                    func(c *ServiceNowConfig) { c.Password = "" },
		"username: want one of":                     func(c *ServiceNowConfig) { c.APIKey = "xyzzy" },
		"password_file: set beside password":        func(c *ServiceNowConfig) { c.PasswordFile = "none" },
		"token_file: open":                          func(c *ServiceNowConfig) { c.Username, c.Password, c.TokenFile = "", "", "none" },
		"token: has characters":                     func(c *ServiceNowConfig) { c.Username, c.Password, c.Token = "", "", "xyz\nzy" },
		"username: want none with a colon":          func(c *ServiceNowConfig) { c.Username = "a:b" },
		"mode: unknown":                             func(c *ServiceNowConfig) { c.Mode = "event" },
		"mode: events have no":                      func(c *ServiceNowConfig) { c.Mode, c.AssignmentGroup = "events", snGroup },
		"assignment_group: want the group's sys_id": func(c *ServiceNowConfig) { c.AssignmentGroup = "Security" },
		"fields: no column is called \"Caller ID\"": func(c *ServiceNowConfig) { c.Fields = map[string]string{"Caller ID": "x"} },
		"fields.state: set by mfawatch":             func(c *ServiceNowConfig) { c.Fields = map[string]string{"state": "2"} },
		"close_fields.close_code: set by":           func(c *ServiceNowConfig) { c.CloseFields = map[string]string{"close_code": "2"} },
		"urgency.urgent: no such severity":          func(c *ServiceNowConfig) { c.Urgency = map[string]string{"urgent": "1"} },
		"impact.high: missing":                      func(c *ServiceNowConfig) { c.Impact = map[string]string{"high": ""} },
		"templates.subject: no such part":           func(c *ServiceNowConfig) { c.Templates = Templates{"subject": "x"} },
		"templates.note: ":                          func(c *ServiceNowConfig) { c.Templates = Templates{"note": "{{.Nothing}}"} },
		"reply_timeout: want":                       func(c *ServiceNowConfig) { c.ReplyTimeout = -1 },
	} {
		c := good
		change(&c)
		err := c.Validate()
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
		if err != nil && strings.Contains(fmt.Sprint(err), "xyzzy") {
			t.Errorf("a secret is told: %v", err)
		}
	}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
}
