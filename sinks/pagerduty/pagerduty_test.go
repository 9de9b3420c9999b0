package pagerduty

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/secret"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/message"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
)

const (
	firstKey  = "xyzzyfirst0000000000000000000001"
	secondKey = "xyzzysecond000000000000000000002"
)

// channel is PagerDuty for the suite.
func channel(t *testing.T) *sinktest.Server {
	fake := &server{keys: []string{firstKey, secondKey}}
	server := sinktest.NewHTTPServer(t, fake)
	return &sinktest.Server{
		Sink: func() (sinks.Sink, error) {
			c := config(server.URL)
			c.EscalationRoutingKey = secondKey
			return New(c, message.Wording{})
		},
		Holds: func(a *processor.Alert) (h sinktest.Held) {
			for _, i := range fake.of(firstKey, dedup(a)) {
				h.Cases++
				h.Notes += len(i.log)
				h.Texts = append(h.Texts, i.texts...)
				switch {
				case i.resolved:
					h.State = "resolved"
				case i.severity == "critical":
					h.State = "escalated"
				default:
					h.State = "open"
				}
			}
			return h
		},
		Inject: server.Inject, Bodies: server.Bodies, Secrets: []string{firstKey, secondKey},
		FromFile: func(path string) (sinks.Sink, error) {
			c := config(server.URL)
			c.RoutingKey, c.RoutingKeyFile = "", path
			return New(c, message.Wording{})
		},
	}
}

func config(server string) Config {
	return Config{URL: secret.URL(server + "/v2/enqueue"), RoutingKey: firstKey}
}

func TestConforms(t *testing.T) {
	sinktest.Run(t, sinktest.Channel{
		People: true, Cases: true, HTTP: true, Throttle: 30 * time.Second,
		Verdicts: map[int]sinks.Verdict{200: sinks.VerdictMisconfigured, 404: sinks.VerdictMisconfigured, 405: sinks.VerdictMisconfigured},
		Refusals: []sinktest.Refusal{
			{Fault: sinktest.Fault{Status: 400, Body: `{"status":"invalid event","message":"Event object is invalid","errors":["Length of 'payload.summary' is too long"]}`}, Want: sinks.VerdictPermanent, Says: "payload.summary"},
			{Fault: sinktest.Fault{Status: 400, Body: `{"status":"invalid event","message":"Event object is invalid","errors":["Invalid routing key"]}`}, Want: sinks.VerdictMisconfigured, Says: "needs region: eu"},
			{Fault: sinktest.Fault{Status: 400, Body: `{"message":"invalid key: routing_key"}`}, Want: sinks.VerdictMisconfigured, Says: "check routing_key"},
			{Fault: sinktest.Fault{Status: 400, Body: `routing_key`}, Want: sinks.VerdictPermanent, Says: "400"},
			{Fault: sinktest.Fault{Status: 404}, Want: sinks.VerdictMisconfigured, Says: "check url"},
			{Fault: sinktest.Fault{Status: 429, Body: `{"status":"throttle exceeded"}`}, Want: sinks.VerdictThrottled, After: 30 * time.Second, Says: "429"},
			{Fault: sinktest.Fault{Status: 429, Header: http.Header{"Retry-After": {"90"}}}, Want: sinks.VerdictThrottled, After: 90 * time.Second, Says: "429"},
		},
		Start: channel,
	})
}

func newTestSink(t *testing.T, c Config) (*Sink, *server, *sinktest.HTTPServer) {
	t.Helper()
	fake := &server{keys: []string{firstKey, secondKey}}
	server := sinktest.NewHTTPServer(t, fake)
	c.URL = secret.URL(server.URL + "/v2/enqueue")
	p, err := New(c, message.Wording{Page: "https://mfawatch.example.net"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p, fake, server
}

// The incident is raised step by step, the second service is notified of what is
// escalated and exploited alone, and both incidents are resolved.
func TestEscalates(t *testing.T) {
	p, fake, _ := newTestSink(t, Config{RoutingKey: firstKey, EscalationRoutingKey: secondKey})
	story := sinktest.Story("bob")
	sinktest.DeliverAll(t, p, "", story...)
	first, second := fake.of(firstKey, *story[0].Exposure), fake.of(secondKey, *story[0].Exposure)
	if len(first) != 1 || len(second) != 1 {
		t.Fatalf("%d and %d incidents", len(first), len(second))
	}
	sinktest.Equal(t, "first service", first[0].log, []string{"error mfa_opened", "critical mfa_escalated", "critical mfa_exploited", "critical mfa_updated", "resolve"})
	sinktest.Equal(t, "second service", second[0].log, []string{"critical mfa_escalated", "critical mfa_exploited", "resolve"})
}

// Once it is over, an incident is opened only by an alert that opens the exposure again, or shows
// that an attacker came in or goes on: a campaign has no other step to open
// again with.
func TestAfterTheEnd(t *testing.T) {
	story := sinktest.Story("bob")
	mild, campaign := *story[3], *story[3]
	mild.Severity = exposure.High
	campaign.Step, campaign.User, campaign.Severity = exposure.StepCampaign, nil, exposure.High
	campaign.Users = &exposure.AlertUsers{Count: 4, Open: 1, Names: []string{"bob"}}
	story = append(story, &mild, &campaign)
	for i, incidents := range map[int]int{0: 2, 1: 1, 2: 2, 3: 2, 5: 1, 6: 2} {
		p, fake, _ := newTestSink(t, Config{RoutingKey: firstKey, EscalationRoutingKey: secondKey})
		ref := sinktest.DeliverAll(t, p, "", story[0], story[4])
		ref = sinktest.DeliverAll(t, p, ref, story[i])
		if got := fake.of(firstKey, *story[0].Exposure); len(got) != incidents {
			t.Errorf("%s after resolved: %d incidents, want %d", story[i].Step, len(got), incidents)
		}
		sinktest.DeliverAll(t, p, ref, story[4])
		for _, key := range fake.keys {
			for _, incident := range fake.of(key, *story[0].Exposure) {
				if !incident.resolved {
					t.Errorf("%s after resolved: an incident stays open", story[i].Step)
				}
			}
		}
	}
}

// The event that the sink sends, field by field.
func TestEvent(t *testing.T) {
	p, _, server := newTestSink(t, Config{RoutingKeyFile: sinktest.SecretFile(t, firstKey+"\n")})
	a := sinktest.Named("payments", sinktest.Story("bob")...)[0]
	sinktest.DeliverAll(t, p, "", a)
	var got map[string]any
	if err := json.Unmarshal([]byte(server.Bodies()[0]), &got); err != nil {
		t.Fatal(err)
	}
	payload := got["payload"].(map[string]any)
	for name, want := range map[string]string{
		"routing_key": firstKey, "event_action": "trigger", "dedup_key": *a.Exposure, "client": "mfawatch", "client_url": "https://mfawatch.example.net",
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
	body, last := server.Bodies()[0], 0
	for _, name := range []string{"What to do", "What happened", "User", "Account", "Without MFA since", "Done by", "From", "Reasons", "Alert"} {
		at := strings.Index(body, `"`+name+`":`)
		if at < last {
			t.Errorf("%s is missing, or too early: %s", name, body)
		}
		last = at
	}
	shown, err := p.Render(a)
	if err != nil || strings.Contains(shown, firstKey) || !strings.Contains(shown, `"routing_key": "(hidden)"`) {
		t.Errorf("rendered, %v: %s", err, shown)
	}
}

func TestTemplate(t *testing.T) {
	p, _, server := newTestSink(t, Config{RoutingKey: firstKey, Templates: message.Templates{"summary": "{{upper .Severity}}\n{{.Alert.Account}}: {{.Title}}\n"}})
	sinktest.DeliverAll(t, p, "", sinktest.Story("bob")[0])
	if want := `"summary":"HIGH 000000000000: MFA removed from bob`; !strings.Contains(server.Bodies()[0], want) {
		t.Errorf("no %s in %s", want, server.Bodies()[0])
	}
}

func TestSeverities(t *testing.T) {
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
		if got := new(Sink).event(firstKey, &processor.Alert{Step: tt.step, Severity: tt.severity}).Payload.Severity; got != tt.want {
			t.Errorf("%s %s: %s, want %s", tt.step, tt.severity, got, tt.want)
		}
	}
}

// The same channel for other services.
func TestTo(t *testing.T) {
	p, fake, _ := newTestSink(t, Config{RoutingKey: firstKey, EscalationRoutingKey: secondKey})
	other, third := "xyzzythird0000000000000000000003", "xyzzyfourth000000000000000000004"
	fake.keys = append(fake.keys, other, third)
	sink, err := p.To([]string{other, third})
	if err != nil {
		t.Fatal(err)
	}
	story := sinktest.Story("bob")
	sinktest.DeliverAll(t, sink, "", story...)
	for key, want := range map[string]int{firstKey: 0, secondKey: 0, other: 1, third: 1} {
		if got := fake.of(key, *story[0].Exposure); len(got) != want || want == 1 && !got[0].resolved {
			t.Errorf("%s has %+v", key, got)
		}
	}
	for _, recipients := range [][]string{nil, {other, "xyzzy-not-a-key"}} {
		if _, err := p.To(recipients); err == nil {
			t.Errorf("took %v", recipients)
		} else {
			sinktest.Hushed(t, err.Error())
		}
	}
}

// Accounts in Europe have a server of their own.
func TestRegions(t *testing.T) {
	for region, host := range map[string]string{"": "events.pagerduty.com", "us": "events.pagerduty.com", "eu": "events.eu.pagerduty.com"} {
		p, err := New(Config{RoutingKey: firstKey, Region: region}, message.Wording{})
		if err != nil {
			t.Fatal(err)
		}
		if want := "https://" + host + "/v2/enqueue"; p.url != want {
			t.Errorf("region %q: %s, want %s", region, p.url, want)
		}
	}
}

func TestMistakes(t *testing.T) {
	good := Config{RoutingKey: firstKey}
	inFile := func(text string) string {
		path := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	sinktest.Mistakes(t, good, func(c Config) error {
		_, err := New(c, message.Wording{})
		return err
	}, map[string][]func(c *Config){
		"routing_key: missing; want the integration key":                                                  {func(c *Config) { c.RoutingKey = "" }},
		"routing_key: want the integration key":                                                           {func(c *Config) { c.RoutingKey = "xyzzy+abcdefghijklmnop" }},
		"routing_key_file: set beside routing_key":                                                        {func(c *Config) { c.RoutingKeyFile = "x" }},
		"routing_key_file: open missing":                                                                  {func(c *Config) { c.RoutingKey, c.RoutingKeyFile = "", "missing" }},
		"escalation_routing_key: want the integration key":                                                {func(c *Config) { c.EscalationRoutingKey = "xyzzy" }},
		"escalation_routing_key: the same as routing_key":                                                 {func(c *Config) { c.EscalationRoutingKey = firstKey }},
		"routing_key_file: want the integration key":                                                      {func(c *Config) { c.RoutingKey, c.RoutingKeyFile = "", inFile("xyzzy") }},
		"escalation_routing_key_file: want the integration key":                                           {func(c *Config) { c.EscalationRoutingKeyFile = inFile("xyzzy") }},
		"escalation_routing_key_file: the same as routing_key,":                                           {func(c *Config) { c.EscalationRoutingKeyFile = inFile(firstKey) }},
		`region: want us or eu, where the account is (an address under eu.pagerduty.com is eu), got "EU"`: {func(c *Config) { c.Region = "EU" }},
		"url: want a URL": {func(c *Config) { c.URL = "xyzzy" }},
		"templates.body: no such part; known are summary": {func(c *Config) { c.Templates = message.Templates{"body": "x"} }},
	})
}
