package message_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/sinks/message"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
)

func TestMessage(t *testing.T) {
	w := message.Wording{Zone: sinktest.Vienna(t), Page: "https://mfawatch.example.net"}
	a := sinktest.Named("payments", message.SampleAlert())[0]
	m := w.Message(a)
	got, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"Title": "Test: MFA removed from mfawatch-test in payments (000000000000) by tester"`,
		`"Short": "HIGH: Test: MFA removed`,
		`"Summary": "This is a test of mfawatch: nothing happened."`,
		`"Advice": "Nothing needs to be done."`,
		`"Value": "2026-01-02 03:04:05 UTC (04:04:05 CET)"`,
		`"Value": "payments (000000000000)"`,
		`"Value": "without MFA"`,
		`"URL": "https://us-east-1.console.aws.amazon.com/cloudtrailv2/home?region=us-east-1#/events/00000000-0000-4000-8000-000000000000"`,
		`"URL": "https://console.aws.amazon.com/iam/home#/users/details/mfawatch-test?section=security_credentials"`,
		`"URL": "https://mfawatch.example.net/exposures/` + *a.Exposure + `"`,
	} {
		if !strings.Contains(strings.ReplaceAll(string(got), `\u0026`, "&"), want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
}

// The alerts that the suite of channels sends have every step and every way to end,
// and say of a sign-in what MFAUsed said.
func TestFolded(t *testing.T) {
	missing := map[string]bool{}
	for _, s := range exposure.Steps {
		missing[string(s)] = true
	}
	for _, how := range []string{exposure.Enabled, exposure.MFASeen, exposure.UserDeleted, exposure.Closed, exposure.Ended} {
		missing["resolved: "+how] = true
	}
	for _, a := range sinktest.Folded(t) {
		missing[string(a.Step)] = false
		if a.Resolution != nil {
			missing["resolved: "+*a.Resolution] = false
		}
		facts := map[string]string{}
		for _, f := range (message.Wording{}).Message(a).Facts {
			facts[f.Name] = f.Value
		}
		want := map[string]string{}
		switch {
		case a.Step == exposure.Exploited:
			want = map[string]string{"Signed in": "without MFA", "Session": ""}
		case a.Resolution != nil && *a.Resolution == exposure.MFASeen:
			want = map[string]string{"Signed in": "with MFA", "Session": ""}
		case a.Resolution != nil && *a.Resolution == exposure.Closed:
			want = map[string]string{"Closed by": "ann", "Done by": "", "Session": "", "Record": ""}
		case a.Step == exposure.Suspect:
			want = map[string]string{"Signed in": "", "Session": "without MFA"}
		}
		for name, value := range want {
			if facts[name] != value {
				t.Errorf("%s %q: %s is %q, want %q", a.Step, a.Title, name, facts[name], value)
			}
		}
	}
	for what, is := range missing {
		if is {
			t.Errorf("no alert is %s", what)
		}
	}
}

// Reasons are words, whatever is added to them.
func TestReasons(t *testing.T) {
	a := message.SampleAlert()
	a.Reasons = append(slices.Clone(exposure.ReasonWords), "new_\u202ereason")
	words := message.Wording{}.Message(a).Reasons
	if len(words) != len(a.Reasons) {
		t.Errorf("%d of %d", len(words), len(a.Reasons))
	}
	for i, text := range words {
		if text == "" || strings.ContainsAny(text, "_\u202e") {
			t.Errorf("%s: %q", a.Reasons[i], text)
		}
	}
}

func TestOfAnotherPartition(t *testing.T) {
	for partition, host := range map[string]string{"aws-cn": "https://cn-north-1.console.amazonaws.cn/", "aws-us-gov": "https://us-gov-west-1.console.amazonaws-us-gov.com/", "aws-iso": ""} {
		a := message.SampleAlert()
		a.Partition, a.Event.Region = partition, map[string]string{"aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1", "aws-iso": "us-iso-east-1"}[partition]
		links := message.Wording{}.Message(a).Links
		if host == "" {
			if len(links) != 0 {
				t.Errorf("%s: links to a console that is not known: %v", partition, links)
			}
			continue
		}
		if len(links) == 0 || !strings.HasPrefix(links[0].URL, host) {
			t.Errorf("%s: links %v, want the first to begin with %s", partition, links, host)
		}
	}
}

// The text of a record steers no link, and no fact is longer than it may be.
func TestOfHostileText(t *testing.T) {
	for _, text := range sinktest.HostileTexts {
		a := message.SampleAlert()
		a.User, a.Title, a.Summary, a.Account, a.Device.Serial = &text, text, text, text, &text
		a.Actor = exposure.AlertActor{Type: text, ARN: text, Name: text, AccessKeyID: text, SourceIP: text, UserAgent: text}
		a.Event = exposure.AlertEvent{ID: text, Name: text, Region: text, ErrorCode: &text, Origin: text}
		a.Partition = "aws"
		m := message.Wording{Page: "https://mfawatch.example.net"}.Message(a)
		for _, l := range m.Links {
			if !strings.HasPrefix(l.URL, "https://console.aws.amazon.com/iam/") && !strings.HasPrefix(l.URL, "https://mfawatch.example.net/exposures/") {
				t.Errorf("%.40q made the link %s", text, l.URL)
			}
		}
		shown := []string{m.Title, m.Summary, m.Short}
		for _, f := range m.Facts {
			if len(f.Value) > message.MaxFact {
				t.Errorf("fact %s has %d bytes", f.Name, len(f.Value))
			}
			shown = append(shown, f.Value)
		}
		for _, s := range shown {
			if !utf8.ValidString(s) || strings.ContainsAny(s, "\r\n\x00\u202e\u2066") {
				t.Errorf("%.40q is shown as %q", text, s)
			}
		}
	}
}

func TestTemplates(t *testing.T) {
	a := message.SampleAlert()
	m := message.Wording{}.Message(a)
	texts, err := message.Templates{"text": "{{.Severity | upper}} {{.Alert.Account}}: {{.Title}}{{range .Facts}}|{{.Name}}{{end}}"}.Parse("text", "subject")
	if err != nil {
		t.Fatal(err)
	}
	if got := texts.Or("ours", "text", m, a, 1000); !strings.HasPrefix(got, "HIGH 000000000000: Test: MFA removed") || !strings.Contains(got, "|Account") {
		t.Errorf("got %q", got)
	}
	if got := texts.Or("ours", "text", m, a, 7); got != "HIGH 00" {
		t.Errorf("cut to 7 bytes: %q", got)
	}
	if got := texts.Or("ours", "subject", m, a, 1000); got != "ours" {
		t.Errorf("without a template: %q", got)
	}
	_, err = message.Templates{"text": "{{.Nobody}}", "subject": "{{", "body": "x"}.Parse("text", "subject")
	for _, want := range []string{"templates.text: ", "templates.subject: ", "templates.body: no such part; known are text, subject"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
}

// A template that fails on an alert it was not tried on does not cost the alert.
func TestTemplateThatFails(t *testing.T) {
	texts, err := message.Templates{"text": "{{(index .Facts 3).Value}}"}.Parse("text")
	if err != nil {
		t.Fatal(err)
	}
	if got := texts.Or("ours", "text", message.Message{}, message.SampleAlert(), 100); got != "ours" {
		t.Errorf("got %q", got)
	}
}

// A campaign is described by whom it hit, not as one of an unknown user.
func TestOfACampaign(t *testing.T) {
	a := message.SampleAlert()
	a.Step, a.User, a.Root = exposure.StepCampaign, nil, true
	a.Users = &exposure.AlertUsers{Count: 3, Open: 2, Names: []string{"bob", "e\u202eve"}}
	facts := message.Wording{}.Message(a).Facts
	if len(facts) == 0 || facts[0] != (message.Fact{Name: "Users", Value: "3, of whom 2 are without MFA: bob, e\ufffdve"}) {
		t.Errorf("facts %q", facts)
	}
}

func TestCampaignFollowsNothing(t *testing.T) {
	if message.Follows(sinktest.CampaignStory()[0].Step) {
		t.Error("the first step of a campaign follows another")
	}
}
