package servicenow

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/message"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
)

// A rig is a sink on a server of its own.

type rig struct {
	*server
	sink *Sink
	log  bytes.Buffer
	url  string
}

func newRig(t *testing.T, change func(c *Config)) *rig {
	t.Helper()
	r := &rig{server: newServer(t)}
	server := httptest.NewServer(r.server)
	t.Cleanup(server.Close)
	r.url = server.URL
	r.sink = r.make(t, change)
	return r
}

func (r *rig) make(t *testing.T, change func(c *Config)) *Sink {
	t.Helper()
	c := Config{URL: r.url, Username: "mfawatch", Password: "xyzzy-password"}
	if change != nil {
		change(&c)
	}
	sink, err := New(c, message.Wording{}, slog.New(slog.NewTextHandler(&r.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sink.Close() })
	return sink
}

// The limits are those of an hour, and a refusal says when it ends.
func TestLimit(t *testing.T) {
	for _, noAfter := range []bool{false, true} {
		r := newRig(t, nil)
		now := time.Now()
		r.now, r.limit, r.noAfter = func() time.Time { return now }, 4, noAfter
		story := sinktest.Story("bob")
		ref := sinktest.Deliver(t, r.sink, story[0], "", sinks.VerdictDelivered)
		ref = sinktest.Deliver(t, r.sink, story[1], ref, sinks.VerdictDelivered)
		_, err := r.sink.Send(t.Context(), story[2], ref)
		if v, after := sinks.VerdictOf(err); v != sinks.VerdictThrottled || after < 59*time.Minute || after > time.Hour {
			t.Errorf("%s after %s: %v", v, after, err)
		}
		now = now.Add(time.Hour)
		sinktest.Deliver(t, r.sink, story[2], ref, sinks.VerdictDelivered)
	}
}

func TestHibernates(t *testing.T) {
	r := newRig(t, nil)
	r.asleep = true
	sinktest.Deliver(t, r.sink, sinktest.Story("bob")[0], "", sinks.VerdictMisconfigured, "hibernates", "sign in to wake it")
}

func TestCredentials(t *testing.T) {
	file := sinktest.SecretFile(t, "xyzzy-token\n")
	for name, change := range map[string]func(c *Config){
		"token":         func(c *Config) { c.Username, c.Password, c.Token = "", "", "xyzzy-token" },
		"token_file":    func(c *Config) { c.Username, c.Password, c.TokenFile = "", "", file },
		"api_key":       func(c *Config) { c.Username, c.Password, c.APIKey = "", "", "xyzzy-api-key" },
		"password_file": func(c *Config) { c.Password, c.PasswordFile = "", sinktest.SecretFile(t, "xyzzy-password\n") },
	} {
		r := newRig(t, change)
		sinktest.Deliver(t, r.sink, sinktest.Story(name)[0], "", sinks.VerdictDelivered)
	}
	for name, change := range map[string]func(c *Config){
		"token":    func(c *Config) { c.Username, c.Password, c.Token = "", "", "xyzzy-old-token" },
		"api_key":  func(c *Config) { c.Username, c.Password, c.APIKey = "", "", "xyzzy-old-key" },
		"password": func(c *Config) { c.Password = "xyzzy-old-password" },
	} {
		sinktest.Deliver(t, newRig(t, change).sink, sinktest.Story(name)[0], "", sinks.VerdictMisconfigured, "check username and password, token or api_key")
	}
}

// A long title is cut at a character, with a mark.
func TestLengths(t *testing.T) {
	r := newRig(t, nil)
	for _, c := range []string{"a", "é", "€", "🔥"} {
		a := sinktest.Story("bob" + c)[0]
		a.Title = strings.Repeat(c, 300)
		sinktest.Deliver(t, r.sink, a, "", sinks.VerdictDelivered)
		got := r.incidents[len(r.incidents)-1].fields["short_description"]
		if len(got) > 160 || len(got) < 153 || !strings.HasSuffix(got, "…") || strings.Contains(got, "\ufffd") {
			t.Errorf("%d bytes: %s", len(got), got)
		}
	}
}

func TestTemplates(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.Templates = message.Templates{
			"short_description": "MFA: {{.Alert.Account}} [code]", "description": "who: {{(index .Facts 0).Value}}\nsecond line",
			"note": "{{.Step}}", "close_notes": "bye",
		}
	})
	ref := ""
	for _, a := range sinktest.Story("bob") {
		ref = sinktest.Deliver(t, r.sink, a, ref, sinks.VerdictDelivered)
	}
	i := r.incidents[0]
	if i.fields["short_description"] != "MFA: 000000000000 [ code]" || !strings.HasPrefix(i.fields["description"], "who: bob\nsecond line\n\nmfawatch alert ") ||
		!strings.Contains(i.journal[0], "\n\nescalated\n\nmfawatch alert ") || !strings.Contains(i.fields["close_notes"], "\n\nbye\n\nmfawatch alert ") {
		t.Errorf("%q, %q", i.fields, i.journal)
	}
}

func TestTo(t *testing.T) {
	r := newRig(t, nil)
	other, err := r.sink.To([]string{group})
	if err != nil {
		t.Fatal(err)
	}
	sinktest.Deliver(t, other, sinktest.Story("bob")[0], "", sinks.VerdictDelivered)
	sinktest.Deliver(t, r.sink, sinktest.Story("eve")[0], "", sinks.VerdictDelivered)
	if r.incidents[0].fields["assignment_group"] != group || r.incidents[1].fields["assignment_group"] != "" {
		t.Errorf("%v, %v", r.incidents[0].fields, r.incidents[1].fields)
	}
	sinktest.Deliver(t, r.sink, sinktest.Story("bob")[0], "", sinks.VerdictDelivered) // others have their own
	sinktest.Deliver(t, other, sinktest.Story("bob")[0], "", sinks.VerdictDelivered)
	if len(r.incidents) != 3 {
		t.Errorf("%d incidents", len(r.incidents))
	}
	for _, wrong := range [][]string{nil, {""}, {"Security"}, {group, group}} {
		if _, err := r.sink.To(wrong); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
	events := r.make(t, func(c *Config) { c.Mode = "events" })
	if _, err := events.To([]string{group}); err == nil {
		t.Error("events have a group")
	}
}

func TestEvents(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Mode = "events" })
	ref := ""
	for _, a := range sinktest.Story("bob") {
		ref = sinktest.Deliver(t, r.sink, a, ref, sinks.VerdictDelivered)
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
	unheard := sinktest.Story("eve")[4]
	unheard.Reasons = []string{exposure.ReasonExploited}
	sinktest.Deliver(t, r.sink, unheard, "", sinks.VerdictDelivered)
	if last := r.events[len(r.events)-1]; last["severity"] != "1" || last["resolution_state"] != "New" {
		t.Errorf("%v", last)
	}
	r.noEvents = true
	sinktest.Deliver(t, r.sink, sinktest.Story("joe")[0], "", sinks.VerdictMisconfigured, "Event Management is not on this instance", "mode incident")
}

func TestEventNotTaken(t *testing.T) {
	s := sinktest.QuietServer(t, sinktest.Answers(200, "application/json", `{"result":{"Default Bulk Endpoint":"0 events were inserted"}}`))
	s.Start()
	sink, err := New(Config{URL: s.URL, Mode: "events", APIKey: "xyzzy-api-key"}, message.Wording{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	sinktest.Deliver(t, sink, sinktest.Story("bob")[0], "", sinks.VerdictPermanent, "0 events were inserted")
}

func TestRender(t *testing.T) {
	r := newRig(t, nil)
	for i, want := range []string{"POST /api/now/table/incident\n{", "PATCH /api/now/table/incident/SYS_ID\n{", "PATCH /api/now/table/incident/SYS_ID\n{", "PATCH /api/now/table/incident/SYS_ID\n{", "PATCH /api/now/table/incident/SYS_ID\n{"} {
		text, err := r.sink.Render(sinktest.Story("bob")[i])
		if err != nil || !strings.HasPrefix(text, want) || !json.Valid([]byte(text[strings.IndexByte(text, '{'):])) {
			t.Errorf("%v: %s", err, text)
		}
		sinktest.Hushed(t, text)
	}
	if len(r.requests) > 0 {
		t.Errorf("asked %v", r.requests)
	}
}

func TestConfig(t *testing.T) {
	good := Config{URL: "https://acme.service-now.com", Username: "mfawatch", Password: "xyzzy"}
	sinktest.Mistakes(t, good, func(c Config) error {
		_, err := New(c, message.Wording{}, nil)
		return err
	}, map[string][]func(c *Config){
		"url: missing": {func(c *Config) { c.URL = "" }},
		"url: want the address of your site alone":  {func(c *Config) { c.URL += "/nav_to.do" }},
		"username: missing; want username and":      {func(c *Config) { c.Username, c.Password = "", "" }},
		"username: missing; password needs it":      {func(c *Config) { c.Username = "" }},
		"password_file: missing":                    {func(c *Config) { c.Password = "" }},
		"username: want one of":                     {func(c *Config) { c.APIKey = "xyzzy" }},
		"password_file: set beside password":        {func(c *Config) { c.PasswordFile = "none" }},
		"token_file: open":                          {func(c *Config) { c.Username, c.Password, c.TokenFile = "", "", "none" }},
		"token: has characters":                     {func(c *Config) { c.Username, c.Password, c.Token = "", "", "xyz\nzy" }},
		"username: want none with a colon":          {func(c *Config) { c.Username = "a:b" }},
		"mode: unknown":                             {func(c *Config) { c.Mode = "event" }},
		"mode: events have no":                      {func(c *Config) { c.Mode, c.AssignmentGroup = "events", group }},
		"mode: events have no assignment_group":     {func(c *Config) { c.Mode, c.CloseCode = "events", "Solved" }},
		"assignment_group: want the group's sys_id": {func(c *Config) { c.AssignmentGroup = "Security" }},
		"fields: no column is called \"Caller ID\"": {func(c *Config) { c.Fields = map[string]string{"Caller ID": "x"} }},
		"fields.state: set by mfawatch":             {func(c *Config) { c.Fields = map[string]string{"state": "2"} }},
		"urgency.urgent: no such severity":          {func(c *Config) { c.Urgency = map[string]string{"urgent": "1"} }},
		"impact.high: missing":                      {func(c *Config) { c.Impact = map[string]string{"high": ""} }},
		"templates.subject: no such part":           {func(c *Config) { c.Templates = message.Templates{"subject": "x"} }},
		"templates.note: ":                          {func(c *Config) { c.Templates = message.Templates{"note": "{{.Nothing}}"} }},
		"fields.close_code: set by":                 {func(c *Config) { c.Fields = map[string]string{"close_code": "2"} }},
	})
}

func TestCampaign(t *testing.T) {
	if got := (&Sink{}).event(sinktest.CampaignStory()[0], false)["resource"]; got != "several users" {
		t.Errorf("resource %q", got)
	}
}
