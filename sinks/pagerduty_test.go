package sinks

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
)

const (
	pagerFirst  = "xyzzyfirst0000000000000000000001"
	pagerSecond = "xyzzysecond000000000000000000002"
)

// pagerChannel is PagerDuty for the suite.
func pagerChannel(t *testing.T) *conformServer {
	fake := &pagerServer{keys: []string{pagerFirst, pagerSecond}}
	server := newFaultyServer(t, fake)
	return &conformServer{
		sink: func() (Sink, error) {
			c := pagerConfig(server.URL)
			c.EscalationRoutingKey = pagerSecond
			return NewPagerDuty(c, Wording{Accounts: map[string]string{"000000000000": "payments"}})
		},
		holds: func(a *processor.Alert) (h held) {
			for _, i := range fake.of(pagerFirst, pagerDedup(a)) {
				h.cases++
				h.notes += len(i.log)
				h.texts = append(h.texts, i.texts...)
				switch {
				case i.resolved:
					h.state = "resolved"
				case i.severity == "critical":
					h.state = "escalated"
				default:
					h.state = "open"
				}
			}
			return h
		},
		inject: server.inject, bodies: server.bodies, secrets: []string{pagerFirst, pagerSecond},
	}
}

func pagerConfig(server string) PagerDutyConfig {
	return PagerDutyConfig{URL: SecretURL(server + "/v2/enqueue"), RoutingKey: pagerFirst}
}

func TestPagerDutyConforms(t *testing.T) {
	conforms(t, conformant{
		people: true, cases: true, http: true, throttle: 30 * time.Second,
		verdicts: map[int]verdict{404: misconfigured, 405: misconfigured},
		start:    pagerChannel,
	})
}

func newTestPagerDuty(t *testing.T, c PagerDutyConfig) (*PagerDuty, *pagerServer, *faultyServer) {
	t.Helper()
	fake := &pagerServer{keys: []string{pagerFirst, pagerSecond}}
	server := newFaultyServer(t, fake)
	c.URL = SecretURL(server.URL + "/v2/enqueue")
	p, err := NewPagerDuty(c, Wording{Page: "https://mfawatch.example.net", Accounts: map[string]string{"000000000000": "payments"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p, fake, server
}

// The incident is raised step by step, the second service is told of what is
// escalated and exploited alone, and both incidents are resolved.
func TestPagerDutyEscalates(t *testing.T) {
	p, fake, _ := newTestPagerDuty(t, PagerDutyConfig{RoutingKey: pagerFirst, EscalationRoutingKey: pagerSecond})
	story := conformStory("bob")
	tellAll(t, p, "", story...)
	first, second := fake.of(pagerFirst, *story[0].Exposure), fake.of(pagerSecond, *story[0].Exposure)
	if len(first) != 1 || len(second) != 1 {
		t.Fatalf("%d and %d incidents", len(first), len(second))
	}
	conformEqual(t, "first service", first[0].log, []string{"error mfa_opened", "critical mfa_escalated", "critical mfa_exploited", "critical mfa_updated", "resolve"})
	conformEqual(t, "second service", second[0].log, []string{"critical mfa_escalated", "critical mfa_exploited", "resolve"})
}

// Once it is over, nothing opens an incident but what begins it anew, or shows
// that somebody came in or goes on: a campaign has no other step to begin anew with.
func TestPagerDutyAfterTheEnd(t *testing.T) {
	story := conformStory("bob")
	mild, campaign := *story[3], *story[3]
	mild.Severity = exposure.High
	campaign.Step, campaign.User, campaign.Severity = exposure.Campaign, nil, exposure.High
	campaign.Users = &exposure.AlertUsers{Count: 4, Open: 1, Names: []string{"bob"}}
	story = append(story, &mild, &campaign)
	for i, incidents := range map[int]int{0: 2, 1: 1, 2: 2, 3: 2, 5: 1, 6: 2} {
		p, fake, _ := newTestPagerDuty(t, PagerDutyConfig{RoutingKey: pagerFirst, EscalationRoutingKey: pagerSecond})
		ref := tellAll(t, p, "", story[0], story[4])
		ref = tellAll(t, p, ref, story[i])
		if got := fake.of(pagerFirst, *story[0].Exposure); len(got) != incidents {
			t.Errorf("%s after resolved: %d incidents, want %d", story[i].Step, len(got), incidents)
		}
		tellAll(t, p, ref, story[4])
		for _, key := range fake.keys {
			for _, incident := range fake.of(key, *story[0].Exposure) {
				if !incident.resolved {
					t.Errorf("%s after resolved: an incident stays open", story[i].Step)
				}
			}
		}
	}
}

// What PagerDuty is sent, field by field.
func TestPagerDutyEvent(t *testing.T) {
	p, _, server := newTestPagerDuty(t, PagerDutyConfig{RoutingKeyFile: secretFile(t, pagerFirst+"\n")})
	a := conformStory("bob")[0]
	tellAll(t, p, "", a)
	var got map[string]any
	if err := json.Unmarshal([]byte(server.bodies()[0]), &got); err != nil {
		t.Fatal(err)
	}
	payload := got["payload"].(map[string]any)
	for name, want := range map[string]string{
		"routing_key": pagerFirst, "event_action": "trigger", "dedup_key": *a.Exposure, "client": "mfawatch", "client_url": "https://mfawatch.example.net",
	} {
		if got[name] != want {
			t.Errorf("%s: %v, want %s", name, got[name], want)
		}
	}
	for name, want := range map[string]string{
		"summary": "MFA removed from bob in payments (000000000000) by tester", "source": "payments (000000000000)", "severity": "error",
		"timestamp": "2026-05-01T08:03:11Z", "component": "bob", "group": "000000000000", "class": "mfa_opened",
	} {
		if payload[name] != want {
			t.Errorf("payload.%s: %v, want %s", name, payload[name], want)
		}
	}
	if links := fmt.Sprint(got["links"]); !strings.Contains(links, "/cloudtrailv2/home?region=us-east-1#/events/") || !strings.Contains(links, "https://mfawatch.example.net/exposures/"+*a.Exposure) {
		t.Errorf("links %s", links)
	}
	// The details are in the order in which they are to be read.
	body, last := server.bodies()[0], 0
	for _, name := range []string{"What to do", "What happened", "User", "Account", "Without MFA since", "Done by", "From", "Reasons", "Alert"} {
		at := strings.Index(body, `"`+name+`":`)
		if at < last {
			t.Errorf("%s is missing, or too early: %s", name, body)
		}
		last = at
	}
	shown, err := p.Render(a)
	if err != nil || strings.Contains(shown, pagerFirst) || !strings.Contains(shown, `"routing_key": "(hidden)"`) {
		t.Errorf("rendered, %v: %s", err, shown)
	}
}

func TestPagerDutyTemplate(t *testing.T) {
	p, _, server := newTestPagerDuty(t, PagerDutyConfig{RoutingKey: pagerFirst, Templates: Templates{"summary": "{{upper .Severity}}\n{{.Alert.Account}}: {{.Title}}\n"}})
	tellAll(t, p, "", conformStory("bob")[0])
	if want := `"summary":"HIGH 000000000000: MFA removed from bob`; !strings.Contains(server.bodies()[0], want) {
		t.Errorf("no %s in %s", want, server.bodies()[0])
	}
}

func TestPagerDutySeverities(t *testing.T) {
	for _, tt := range []struct {
		step     exposure.Step
		severity exposure.Severity
		want     string
	}{
		{exposure.Opened, exposure.Critical, "critical"},
		{exposure.Opened, exposure.High, "error"},
		{exposure.Attempted, exposure.Medium, "warning"},
		{exposure.Attempted, exposure.High, "error"},
		{exposure.Reduced, exposure.Low, "info"},
		{exposure.Updated, exposure.Info, "info"},
		{exposure.Escalated, exposure.Medium, "error"},
		{exposure.Escalated, exposure.High, "critical"},
		{exposure.Escalated, exposure.Critical, "critical"},
		{exposure.Opened, "unheard of", "error"},
		{exposure.Escalated, "unheard of", "error"},
	} {
		if got := pagerSeverity(&processor.Alert{Step: tt.step, Severity: tt.severity}); got != tt.want {
			t.Errorf("%s %s: %s, want %s", tt.step, tt.severity, got, tt.want)
		}
	}
}

// The same channel for other services.
func TestPagerDutyTo(t *testing.T) {
	p, fake, _ := newTestPagerDuty(t, PagerDutyConfig{RoutingKey: pagerFirst, EscalationRoutingKey: pagerSecond})
	other, third := "xyzzythird0000000000000000000003", "xyzzyfourth000000000000000000004"
	fake.keys = append(fake.keys, other, third)
	sink, err := p.To([]string{other, third})
	if err != nil {
		t.Fatal(err)
	}
	story := conformStory("bob")
	tellAll(t, sink, "", story...)
	for key, want := range map[string]int{pagerFirst: 0, pagerSecond: 0, other: 1, third: 1} {
		if got := fake.of(key, *story[0].Exposure); len(got) != want || want == 1 && !got[0].resolved {
			t.Errorf("%s has %+v", key, got)
		}
	}
	for _, recipients := range [][]string{nil, {other, "xyzzy-not-a-key"}} {
		if _, err := p.To(recipients); err == nil {
			t.Errorf("took %v", recipients)
		} else {
			hushed(t, err.Error())
		}
	}
}

// What a refusal means, and the next step that it names.
func TestPagerDutyRefusals(t *testing.T) {
	for _, tt := range []struct {
		name string
		fault
		want  verdict
		after time.Duration
		says  string
	}{
		{"not an event", fault{status: 400, body: `{"status":"invalid event","message":"Event object is invalid","errors":["Length of 'payload.summary' is too long"]}`}, permanent, 0, "payload.summary"},
		{"a key of another region", fault{status: 400, body: `{"status":"invalid event","message":"Event object is invalid","errors":["Invalid routing key"]}`}, misconfigured, 0, "needs region: eu"},
		{"a key of nobody", fault{status: 400, body: `{"message":"invalid key: routing_key"}`}, misconfigured, 0, "check routing_key"},
		{"text", fault{status: 400, body: `routing_key`}, permanent, 0, "400"},
		{"a wrong address", fault{status: 404}, misconfigured, 0, "check url"},
		{"throttled", fault{status: 429, body: `{"status":"throttle exceeded"}`}, throttled, 30 * time.Second, "429"},
		{"throttled for a time", fault{status: 429, header: http.Header{"Retry-After": {"90"}}}, throttled, 90 * time.Second, "429"},
	} {
		p, _, server := newTestPagerDuty(t, PagerDutyConfig{RoutingKey: pagerFirst})
		server.inject(tt.fault)
		ref, err := p.Send(t.Context(), conformStory("bob")[0], "open")
		v, after := judge(err)
		if v != tt.want || after != tt.after || !strings.Contains(err.Error(), tt.says) || ref != "open" {
			t.Errorf("%s: %s after %s, ref %s: %v", tt.name, v, after, ref, err)
		}
		hushed(t, err.Error())
	}
}

// A key that is changed under its name is used at once.
func TestPagerDutyKeyFile(t *testing.T) {
	path := secretFile(t, pagerFirst)
	p, fake, _ := newTestPagerDuty(t, PagerDutyConfig{RoutingKeyFile: path})
	a := conformStory("bob")[0]
	tellAll(t, p, "", a)
	if err := os.WriteFile(path, []byte("xyzzy-broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := p.Send(t.Context(), a, "")
	if v, _ := judge(err); v != misconfigured {
		t.Errorf("%s: %v", v, err)
	}
	hushed(t, err.Error())
	if err := os.WriteFile(path, []byte(pagerSecond), 0o600); err != nil {
		t.Fatal(err)
	}
	tellAll(t, p, "", a)
	if len(fake.of(pagerSecond, *a.Exposure)) != 1 {
		t.Error("the new key is not used")
	}
}

// Accounts in Europe have a server of their own.
func TestPagerDutyRegions(t *testing.T) {
	for region, host := range map[string]string{"": "events.pagerduty.com", "us": "events.pagerduty.com", "eu": "events.eu.pagerduty.com"} {
		p, err := NewPagerDuty(PagerDutyConfig{RoutingKey: pagerFirst, Region: region}, Wording{})
		if err != nil {
			t.Fatal(err)
		}
		if want := "https://" + host + "/v2/enqueue"; p.url != want {
			t.Errorf("region %q: %s, want %s", region, p.url, want)
		}
	}
}

func TestPagerDutyMistakes(t *testing.T) {
	good := PagerDutyConfig{RoutingKey: pagerFirst}
	if err := good.Validate(); err != nil {
		t.Errorf("nothing is wrong: %v", err)
	}
	tests := map[string]chatMistake[PagerDutyConfig]{
		"no key":             {func(c *PagerDutyConfig) { c.RoutingKey = "" }, "routing_key: missing; want the integration key"},
		"a key of the API":   {func(c *PagerDutyConfig) { c.RoutingKey = "xyzzy+abcdefghijklmnop" }, "routing_key: want the integration key"},
		"two keys":           {func(c *PagerDutyConfig) { c.RoutingKeyFile = "x" }, "routing_key_file: set beside routing_key"},
		"no file":            {func(c *PagerDutyConfig) { c.RoutingKey, c.RoutingKeyFile = "", "missing" }, "routing_key_file: open missing"},
		"a broken second":    {func(c *PagerDutyConfig) { c.EscalationRoutingKey = "xyzzy" }, "escalation_routing_key: want the integration key"},
		"the same key twice": {func(c *PagerDutyConfig) { c.EscalationRoutingKey = pagerFirst }, "escalation_routing_key: the same as routing_key"},
		"region":             {func(c *PagerDutyConfig) { c.Region = "EU" }, `region: want us or eu, where the account is (an address under eu.pagerduty.com is eu), got "EU"`},
		"url":                {func(c *PagerDutyConfig) { c.URL = "xyzzy" }, "url: want a URL"},
		"template":           {func(c *PagerDutyConfig) { c.Templates = Templates{"body": "x"} }, "templates.body: no such part; known are summary"},
		"wait":               {func(c *PagerDutyConfig) { c.ReplyTimeout = time.Hour }, "reply_timeout: want"},
	}
	chatMistakes(t, good, tests, func(c PagerDutyConfig) error {
		_, err := NewPagerDuty(c, Wording{})
		return err
	})
}
