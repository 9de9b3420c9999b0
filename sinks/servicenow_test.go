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
		{"garbage", fault{status: 200, header: http.Header{"Content-Type": {"application/json"}}, body: "[1,"}, retry, "no answer of the API"},
		{"empty", fault{status: 200}, retry, "no answer of the API"},
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

// It was closed or deleted between the look and the change: the next attempt

// sees it.

// Begun again after it was over, it has an incident of its own.

// Somebody came in, nobody was told, and it is over: that is not passed over.

// Of two incidents the oldest is kept, and the other is named.

// What an instance does not understand of a query it leaves out: other people's

// incidents stay as they are.

// What was set and not kept is said.

// Fields that the instance wants: which key sets them is said.

// Urgency and impact follow the severity, are raised and never lowered.

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
	ticketTell(t, r.sink, conformStory("bob")[0], "", told) // others have their own
	ticketTell(t, other, conformStory("bob")[0], "", told)
	if len(r.incidents) != 3 {
		t.Errorf("%d incidents", len(r.incidents))
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
	for i, want := range []string{"POST /api/now/table/incident\n{", "PATCH /api/now/table/incident/SYS_ID\n{", "PATCH /api/now/table/incident/SYS_ID\n{", "PATCH /api/now/table/incident/SYS_ID\n{", "PATCH /api/now/table/incident/SYS_ID\n{"} {
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

func TestServiceNowCampaign(t *testing.T) {
	if got := (&ServiceNow{}).event(campaignStory()[0], false)["resource"]; got != "several users" {
		t.Errorf("resource %q", got)
	}
}
