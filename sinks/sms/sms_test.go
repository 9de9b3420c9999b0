package sms

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/message"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
)

// newTestSink is a sink on the fake, with another configuration if change is
// given.
func newTestSink(t *testing.T, p provider, server string, log *strings.Builder, change func(*Config)) *Sink {
	t.Helper()
	config, reached := p.config(server)
	if change != nil {
		change(&config)
	}
	logger := slog.New(slog.DiscardHandler)
	if log != nil {
		logger = slog.New(slog.NewTextHandler(log, nil))
	}
	s, err := New(config, message.Wording{}, logger, reached)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// Each provider's errors have their verdicts, whatever their status.
func TestVerdicts(t *testing.T) {
	for _, tt := range []struct {
		provider, code string
		want           sinks.Verdict
		saying         string
	}{
		{providerSNS, "Throttling", sinks.VerdictThrottled, ""},
		{providerSNS, "OptedOut", sinks.VerdictPermanent, "OptedOut"},
		{providerSNS, "InvalidParameter", sinks.VerdictPermanent, ""},
		{providerSNS, "InternalError", sinks.VerdictAmbiguous, "InternalError"},
		{providerSNS, "AuthorizationError", sinks.VerdictMisconfigured, "sns:Publish"},
		{providerSNS, "SignatureDoesNotMatch", sinks.VerdictMisconfigured, "clock"},
		{providerSNS, "ExpiredToken", sinks.VerdictMisconfigured, "expired"},
		{providerSNS, "KMSAccessDenied", sinks.VerdictMisconfigured, ""},
		{providerVoice, "ThrottlingException", sinks.VerdictThrottled, ""},
		{providerVoice, "ConflictException DESTINATION_PHONE_NUMBER_OPTED_OUT", sinks.VerdictPermanent, "OPTED_OUT"},
		{providerVoice, "ConflictException DESTINATION_PHONE_NUMBER_NOT_VERIFIED", sinks.VerdictMisconfigured, "NOT_VERIFIED"},
		{providerVoice, "ConflictException NO_ORIGINATION_IDENTITIES_FOUND", sinks.VerdictMisconfigured, "check from"},
		{providerVoice, "ServiceQuotaExceededException MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT", sinks.VerdictMisconfigured, "spend limit"},
		{providerVoice, "AccessDeniedException ACCOUNT_DISABLED", sinks.VerdictMisconfigured, "sms-voice:SendTextMessage"},
		{providerVoice, "ResourceNotFoundException", sinks.VerdictMisconfigured, "check from and region"},
		{providerVoice, "ValidationException INVALID_PARAMETER", sinks.VerdictPermanent, ""},
		{providerVoice, "InternalServerException", sinks.VerdictAmbiguous, ""},
		{providerTwilio, "20429", sinks.VerdictThrottled, ""},
		{providerTwilio, "20500", sinks.VerdictAmbiguous, ""},
		{providerTwilio, "21211", sinks.VerdictPermanent, "no number"},
		{providerTwilio, "21610", sinks.VerdictPermanent, "START"},
		{providerTwilio, "21612", sinks.VerdictPermanent, ""},
		{providerTwilio, "21614", sinks.VerdictPermanent, "no mobile"},
		{providerTwilio, "21408", sinks.VerdictMisconfigured, "geographic"},
		{providerTwilio, "21606", sinks.VerdictMisconfigured, "check from"},
		{providerTwilio, "21608", sinks.VerdictMisconfigured, "trial"},
		{providerTwilio, "99999", sinks.VerdictPermanent, "400"},
	} {
		t.Run(tt.provider+" "+tt.code, func(t *testing.T) {
			i := slices.IndexFunc(providers(), func(p provider) bool { return p.name == tt.provider })
			p := providers()[i]
			server := sinktest.NewHTTPServer(t, p)
			p.carrier.refuses(testNumber, tt.code)
			_, err := newTestSink(t, p, server.URL, nil, nil).Send(t.Context(), message.SampleAlert(), "")
			if v, _ := sinks.VerdictOf(err); v != tt.want || !strings.Contains(err.Error(), tt.saying) || !strings.HasPrefix(err.Error(), testNumber+": ") {
				t.Errorf("%s, want %s with %q: %v", v, tt.want, tt.saying, err)
			}
			if n := len(server.Bodies()); n != 1 {
				t.Errorf("%d requests, want 1: the SDK does not retry", n)
			}
			sinktest.Hushed(t, err.Error())
		})
	}
}

// A text that never reached the provider is tried again; faults of ours are
// named.
func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + l.Addr().String()
	_ = l.Close()
	for _, p := range providers() {
		if _, err := newTestSink(t, p, nobody, nil, nil).Send(t.Context(), message.SampleAlert(), ""); verdictOf(err) != sinks.VerdictRetry {
			t.Errorf("%s, nobody there: %s: %v", p.name, verdictOf(err), err)
		}
		if _, err := newTestSink(t, p, "http://no-such-host.invalid", nil, nil).Send(t.Context(), message.SampleAlert(), ""); verdictOf(err) != sinks.VerdictRetry {
			t.Errorf("%s, no such host: %s: %v", p.name, verdictOf(err), err)
		}
		server := sinktest.QuietServer(t, func(http.ResponseWriter, *http.Request) {})
		server.StartTLS()
		if _, err := newTestSink(t, p, server.URL, nil, nil).Send(t.Context(), message.SampleAlert(), ""); verdictOf(err) != sinks.VerdictMisconfigured {
			t.Errorf("%s, unknown authority: %s: %v", p.name, verdictOf(err), err)
		}
		hang := make(chan struct{})
		slow := sinktest.NewHTTPServer(t, p)
		slow.Inject(sinktest.Fault{Hang: hang})
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() { <-hang; cancel(errors.New("no answer within 30s")) }() // once it has the message, however slow this machine is
		_, err := newTestSink(t, p, slow.URL, nil, nil).Send(ctx, message.SampleAlert(), "")
		if verdictOf(err) != sinks.VerdictAmbiguous || !strings.Contains(err.Error(), "no answer within 30s") {
			t.Errorf("%s, no answer: %s: %v", p.name, verdictOf(err), err)
		}
	}
	for name, credentials := range map[string]aws.CredentialsProvider{
		"none": nil,
		"broken": aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{}, errors.New("no EC2 IMDS role found")
		}),
	} {
		s, err := New(Config{Provider: providerSNS, To: []string{testNumber}}, message.Wording{}, nil, aws.Config{Region: "us-east-1", Credentials: credentials})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Send(t.Context(), message.SampleAlert(), ""); verdictOf(err) != sinks.VerdictMisconfigured || !strings.Contains(err.Error(), "give the machine a role") {
			t.Errorf("credentials %s: %s: %v", name, verdictOf(err), err)
		}
	}
}

// Who got the message does not get it again because of the others.
func TestPartialNumbers(t *testing.T) {
	const a, b, c = "+15550000001", "+15550000002", "+15550000003"
	for i := range providers() {
		p := providers()[i]
		t.Run(p.name, func(t *testing.T) {
			server := sinktest.NewHTTPServer(t, p)
			to := []string{a, b, c}
			refused := map[string]string{providerSNS: "OptedOut", providerVoice: "ConflictException DESTINATION_PHONE_NUMBER_OPTED_OUT", providerTwilio: "21610"}[p.name]
			busy := map[string]string{providerSNS: "Throttling", providerVoice: "ThrottlingException", providerTwilio: "20429"}[p.name]
			send := func(alert *processor.Alert, ref string, want sinks.Verdict) string {
				t.Helper()
				ref, err := newTestSink(t, p, server.URL, nil, func(c *Config) { c.To = to }).Send(t.Context(), alert, ref)
				if v, _ := sinks.VerdictOf(err); v != want || v == sinks.VerdictPermanent && !strings.HasPrefix(err.Error(), "2 of 3 got it: "+a+": ") {
					t.Fatalf("%s, want %s: %v", v, want, err)
				}
				return ref
			}
			count := func(want ...int) {
				t.Helper()
				if got := []int{len(p.carrier.on(a)), len(p.carrier.on(b)), len(p.carrier.on(c))}; !slices.Equal(got, want) {
					t.Errorf("messages %v, want %v", got, want)
				}
			}
			opened, resolved := sinktest.Story("bob")[0], sinktest.Story("bob")[4]
			p.carrier.refuses(a, refused)
			p.carrier.refuses(c, busy)
			ref := send(opened, "", sinks.VerdictThrottled)
			count(0, 1, 0)
			p.carrier.refuses(c, "")
			ref = send(opened, ref, sinks.VerdictPermanent) // a is left
			count(0, 1, 1)
			ref = send(resolved, ref, sinks.VerdictPermanent)
			count(0, 2, 2)
			p.carrier.refuses(a, "")
			ref = send(opened, ref, sinks.VerdictDelivered) // the dead letters are sent again
			ref = send(resolved, ref, sinks.VerdictDelivered)
			count(2, 2, 2)
			if message.ProgressOf(ref).Open != nil {
				t.Errorf("left in the reference: %s", ref)
			}
		})
	}
}

// A message whose answer is lost is never sent again blindly: Twilio is asked,
// and of AWS's there is one copy at most, that says so.
func TestLostAnswers(t *testing.T) {
	for i := range providers() {
		p := providers()[i]
		t.Run(p.name, func(t *testing.T) {
			server := sinktest.NewHTTPServer(t, p)
			var log strings.Builder
			s, ref := newTestSink(t, p, server.URL, &log, nil), ""
			alert := sinktest.Story("bob")[0]
			attempts := 0
			for {
				if attempts++; attempts > 10 {
					t.Fatal("it never ends")
				}
				if !p.find || attempts < 3 {
					server.Inject(sinktest.Fault{After: true})
				}
				var err error
				if ref, err = s.Send(sinks.WithPerhapsArrived(t.Context()), alert, ref); err == nil {
					break
				}
			}
			texts := p.carrier.on(testNumber)
			if p.find {
				if len(texts) != 1 || log.Len() > 0 {
					t.Errorf("texts %q, log %s", texts, log.String())
				}
				return
			}
			if len(texts) != 2 || attempts != 2 || !strings.Contains(log.String(), "may not have arrived") {
				t.Errorf("%d attempts, texts %q, log %s", attempts, texts, log.String())
			}
			for _, text := range texts[1:] {
				if !strings.HasPrefix(text, "(again?) HIGH: ") {
					t.Errorf("a copy does not say so: %q", text)
				}
			}
		})
	}
}

// The program ends after a message was sent and before that was noted: Twilio is
// asked even where it is known that another number got it.
func TestEndsBeforeItIsNoted(t *testing.T) {
	const other = "+15550000002"
	p := providers()[2]
	server := sinktest.NewHTTPServer(t, p)
	s := newTestSink(t, p, server.URL, nil, func(c *Config) { c.To = []string{testNumber, other} })
	alert := sinktest.Story("bob")[0]
	p.carrier.refuses(other, "20429")
	noted, err := s.Send(t.Context(), alert, "")
	if verdictOf(err) != sinks.VerdictThrottled {
		t.Fatal(err)
	}
	p.carrier.refuses(other, "")
	if _, err := s.Send(t.Context(), alert, noted); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Send(sinks.WithPerhapsArrived(t.Context()), alert, noted); err != nil {
		t.Fatal(err)
	}
	if len(p.carrier.on(testNumber)) != 1 || len(p.carrier.on(other)) != 1 {
		t.Errorf("texts %q and %q", p.carrier.on(testNumber), p.carrier.on(other))
	}
}

// Twilio's list: a message that failed is none, another's is none, a trial's is
// ours behind Twilio's words, and while it cannot be read nothing is sent.
func TestTwilioLooks(t *testing.T) {
	alert := sinktest.Story("bob")[0]
	for _, tt := range []struct {
		name   string
		before func(s *twilioServer, server *sinktest.HTTPServer, body string)
		want   sinks.Verdict
		texts  int // in the end
	}{
		{"nothing there", func(*twilioServer, *sinktest.HTTPServer, string) {}, sinks.VerdictDelivered, 1},
		{"there", func(s *twilioServer, _ *sinktest.HTTPServer, body string) { s.take(testNumber, body) }, sinks.VerdictDelivered, 1},
		{"to another", func(s *twilioServer, _ *sinktest.HTTPServer, body string) { s.take("+15550000009", body) }, sinks.VerdictDelivered, 2},
		{"another's text", func(s *twilioServer, _ *sinktest.HTTPServer, body string) { s.take(testNumber, body+"!") }, sinks.VerdictDelivered, 2},
		{"failed", func(s *twilioServer, _ *sinktest.HTTPServer, body string) {
			s.take(testNumber, body)
			s.texts[0].status = "undelivered"
		}, sinks.VerdictDelivered, 2},
		{"on trial", func(s *twilioServer, _ *sinktest.HTTPServer, body string) {
			s.take(testNumber, "Sent from your Twilio trial account - "+body)
		}, sinks.VerdictDelivered, 1},
		{"cannot be read", func(_ *twilioServer, server *sinktest.HTTPServer, _ string) {
			server.Inject(sinktest.Fault{Status: 502})
		}, sinks.VerdictRetry, 0},
		{"is a page", func(_ *twilioServer, server *sinktest.HTTPServer, _ string) {
			server.Inject(sinktest.Fault{Status: 200, Body: "<html>"})
		}, sinks.VerdictRetry, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := providers()[2]
			server := sinktest.NewHTTPServer(t, p)
			s := newTestSink(t, p, server.URL, nil, nil)
			tt.before(p.Handler.(*twilioServer), server, s.body(alert))
			_, err := s.Send(sinks.WithPerhapsArrived(t.Context()), alert, "")
			if v, _ := sinks.VerdictOf(err); v != tt.want {
				t.Errorf("%s, want %s: %v", v, tt.want, err)
			}
			if n := len(p.carrier.texts); n != tt.texts {
				t.Errorf("%d texts, want %d", n, tt.texts)
			}
		})
	}
}

// The requests, beside the text.
func TestRequests(t *testing.T) {
	for _, tt := range []struct {
		provider int
		from     string
		want     []string
	}{
		{0, "", []string{"Action=Publish", "PhoneNumber=%2B15551234567", "AWS.SNS.SMS.SMSType", "Transactional"}},
		{0, "mfawatch", []string{"AWS.SNS.SMS.SenderID", "mfawatch"}},
		{0, "+15557654321", []string{"AWS.MM.SMS.OriginationNumber", "%2B15557654321"}},
		{1, "pool-0123", []string{`"OriginationIdentity":"pool-0123"`, `"TimeToLive":3600`, `"MessageType":"TRANSACTIONAL"`, `"Context":{"alert":"`}},
		{2, phoneSID, []string{"From=%2B15005550006", "ValidityPeriod=3600", "To=%2B15551234567"}},
		{2, "MG0123456789abcdef0123456789abcdef", []string{"MessagingServiceSid=MG0123456789abcdef0123456789abcdef"}},
	} {
		p := providers()[tt.provider]
		server := sinktest.NewHTTPServer(t, p)
		if _, err := newTestSink(t, p, server.URL, nil, func(c *Config) { c.From = tt.from }).Send(t.Context(), message.SampleAlert(), ""); err != nil {
			t.Fatal(err)
		}
		for _, want := range tt.want {
			if body := server.Bodies()[0]; !strings.Contains(body, want) {
				t.Errorf("%s from %q: %s is not in %s", p.name, tt.from, want, body)
			}
		}
	}
}

// An API key instead of the account's token, read from a file each time.
func TestTwilioKey(t *testing.T) {
	const key = "SK0123456789abcdef0123456789abcdef"
	var seen []string
	server := sinktest.NewHTTPServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		seen = append(seen, user+":"+password)
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(`{"sid":"SM1"}`))
	}))
	path := sinktest.SecretFile(t, "first\n")
	s := newTestSink(t, providers()[2], server.URL, nil, func(c *Config) { c.APIKey, c.AuthToken, c.AuthTokenFile = key, "", path })
	for _, secret := range []string{"first", "second"} {
		if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
		ref, err := s.Send(t.Context(), message.SampleAlert(), "")
		if err != nil || s.Receipt(ref) != "SM1" {
			t.Errorf("receipt %q, %v", s.Receipt(ref), err)
		}
	}
	if want := []string{key + ":first", key + ":second"}; !slices.Equal(seen, want) {
		t.Errorf("got %q, want %q", seen, want)
	}
}

// The end of an exposure is sent unless the operator does not want it.
func TestResolved(t *testing.T) {
	p := providers()[0]
	server := sinktest.NewHTTPServer(t, p)
	s := newTestSink(t, p, server.URL, nil, func(c *Config) { c.Resolved = false })
	ref, err := s.Send(t.Context(), sinktest.Story("bob")[0], "")
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.Send(t.Context(), sinktest.Story("bob")[4], ref)
	if err != nil || again != ref || len(p.carrier.on(testNumber)) != 1 {
		t.Errorf("ref %q and %q, %v, %d texts", ref, again, err, len(p.carrier.on(testNumber)))
	}
	if !DefaultConfig().Resolved {
		t.Error("by default it is not notified")
	}
}

// The text: who, what, where, when, and as there is room a link or what to do.
func TestText(t *testing.T) {
	story := sinktest.Story("bob")
	for _, tt := range []struct {
		name    string
		wording message.Wording
		alert   *processor.Alert
		change  func(*processor.Alert)
		want    string
	}{
		{"what to do", message.Wording{}, story[0], nil, "HIGH: MFA removed from bob in 000000000000 by tester, 1 May 08:03 UTC. Ask bob, and enable a device."},
		{"account's name", message.Wording{}, story[0], func(a *processor.Alert) { sinktest.Named("payments", a) },
			"HIGH: MFA removed from bob in payments by tester, 1 May 08:03 UTC. Ask bob, and enable a device."},
		{"link", message.Wording{Page: "https://mfa.example.net"}, story[0], nil,
			"HIGH: MFA removed from bob in 000000000000 by tester, 1 May 08:03 UTC https://mfa.example.net/exposures/" + *story[0].Exposure},
		{"no room for the link", message.Wording{Page: "https://mfawatch.security.internal.example.net/somewhere/deep"}, story[0], nil,
			"HIGH: MFA removed from bob in 000000000000 by tester, 1 May 08:03 UTC. Ask bob, and enable a device."},
		{"end", message.Wording{}, story[4], nil, "RESOLVED: bob in 000000000000 has MFA again, 1 May 09:03 UTC"},
		{"accents", message.Wording{}, story[0],
			func(a *processor.Alert) {
				a.Advice, a.Title = "", "MFA removed from Łukasz Žižka-Œuvré in 000000000000"
				sinktest.Named("Zürich – “prod”", a)
			},
			"HIGH: MFA removed from Lukasz Zizka-OEuvré in Zürich - \"prod\", 1 May 08:03 UTC"},
		{"too long", message.Wording{}, story[0], func(a *processor.Alert) { a.Title = strings.Repeat("{x}", 100) },
			"HIGH: " + strings.Repeat("{x}", 20) + "{x..., 1 May 08:03 UTC. Ask bob, and enable a device."},
		{"a long escalation", message.Wording{}, story[1], func(a *processor.Alert) {
			sinktest.Named(strings.Repeat("payments-", 6), a)
			a.Title = "Still no MFA device enabled for " + a.Title
		}, "HIGH: Still no MFA device enabled for bob in payments-payments-payments-payments-payments-payments- is withou..., 1 May 08:18 UTC. Ask bob, and enable a device."},
		{"a long escalation, with a page", message.Wording{Page: "https://mfa.example.net"}, story[1], func(a *processor.Alert) {
			sinktest.Named(strings.Repeat("payments-", 6), a)
		}, "HIGH: bob in payments-payments-payments-payments-payments-payments- is wi..., 1 May 08:18 UTC https://mfa.example.net/exposures/" + *story[0].Exposure},
		{"what to check", message.Wording{}, sinktest.SuspectStory("bob")[2], nil, "CRITICAL: bob in 000000000000 has a device again, which an intruder may hold, 1 May 08:48 UTC. Check: Ask bob by telephone whether the new device is theirs"},
		{"a zone", message.Wording{Zone: sinktest.Vienna(t)}, story[4], nil, "RESOLVED: bob in 000000000000 has MFA again, 1 May 11:03 CEST"},
		{"scripts that it has not", message.Wording{}, story[0], func(a *processor.Alert) { a.Title, a.Advice = "MFA removed from 用户 ДЖОН 🔥", "" },
			"HIGH: MFA removed from ? ? ?, 1 May 08:03 UTC"},
	} {
		s, err := New(Config{Provider: providerSNS, To: []string{testNumber}, Resolved: true}, tt.wording, nil, aws.Config{})
		if err != nil {
			t.Fatal(err)
		}
		a := *tt.alert
		if tt.change != nil {
			tt.change(&a)
		}
		if got := s.body(&a); got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

func TestTemplate(t *testing.T) {
	s, err := New(Config{Provider: providerSNS, To: []string{testNumber}, Templates: message.Templates{"text": "{{.Severity}}\n {{.Title}} “{{.Title}}”"}}, message.Wording{}, nil, aws.Config{})
	if err != nil {
		t.Fatal(err)
	}
	a := message.SampleAlert()
	a.Title = strings.Repeat("é", 100)
	if got, want := s.body(a), "high "+strings.Repeat("é", 100)+" \""+strings.Repeat("é", 50)+"..."; got != want {
		t.Errorf("got %s (%d), want %s", got, gsmLength(got), want)
	}
}

func TestGroup(t *testing.T) {
	for i := range providers() {
		p := providers()[i]
		server := sinktest.NewHTTPServer(t, p)
		var log strings.Builder
		const other = "+15550000002"
		s := newTestSink(t, p, server.URL, &log, func(c *Config) { c.To = []string{testNumber, other} })
		alerts := []*processor.Alert{sinktest.Story("bob")[0], sinktest.Story("eve")[2], sinktest.Story("bob")[1]}
		p.carrier.refuses(other, map[string]string{providerSNS: "OptedOut", providerVoice: "ConflictException DESTINATION_PHONE_NUMBER_OPTED_OUT", providerTwilio: "21610"}[p.name])
		if err := s.SendGroup(t.Context(), alerts); err != nil {
			t.Errorf("%s: %v", p.name, err)
		}
		if got, want := p.carrier.on(testNumber), []string{"CRITICAL: 3 more alerts in 000000000000: bob, eve"}; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", p.name, got, want)
		}
		if !strings.Contains(log.String(), other) {
			t.Errorf("%s: log %s", p.name, log.String())
		}
		p.carrier.refuses(testNumber, map[string]string{providerSNS: "Throttling", providerVoice: "ThrottlingException", providerTwilio: "20429"}[p.name])
		if err := s.SendGroup(t.Context(), alerts); verdictOf(err) != sinks.VerdictThrottled {
			t.Errorf("%s, throttled: %v", p.name, err)
		}
	}
}

func TestTo(t *testing.T) {
	p := providers()[0]
	server := sinktest.NewHTTPServer(t, p)
	other, err := newTestSink(t, p, server.URL, nil, nil).To([]string{"+15550000002"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Send(t.Context(), message.SampleAlert(), ""); err != nil || len(p.carrier.on("+15550000002")) != 1 || len(p.carrier.on(testNumber)) != 0 {
		t.Errorf("it did not go to the other: %v", err)
	}
	if _, err := newTestSink(t, p, server.URL, nil, nil).To([]string{"555"}); err == nil {
		t.Error("555 is no number")
	}
}

func TestConfig(t *testing.T) {
	build := func(c Config) error {
		_, err := New(c, message.Wording{}, nil, aws.Config{})
		return err
	}
	sinktest.Mistakes(t, Config{Provider: providerSNS, To: []string{testNumber}}, build, map[string][]func(c *Config){
		"provider: missing; want sns, aws-sms-voice-v2 or twilio":      {func(c *Config) { c.Provider = "" }},
		`provider: want sns, aws-sms-voice-v2 or twilio, got "vonage"`: {func(c *Config) { c.Provider = "vonage" }},
		"to: want 1 to 20 numbers":                                     {func(c *Config) { c.To = nil }},
		"to[0]: want a number with + and its country's code":           {func(c *Config) { c.To = []string{"0555 123"} }},
		"to[1]: +15551234567 is there twice":                           {func(c *Config) { c.To = []string{testNumber, testNumber} }},
		"from: want a number of yours, or a sender ID":                 {func(c *Config) { c.From = "a sender that is too long" }},
		"auth_token: has no effect with provider sns":                  {func(c *Config) { c.AuthToken = token }},
		"templates.html: no such part; known are text":                 {func(c *Config) { c.Templates = message.Templates{"html": ""} }},
	})
	twilio := Config{Provider: providerTwilio, To: []string{testNumber}, From: phoneSID, AccountSID: account, AuthToken: token}
	sinktest.Mistakes(t, twilio, build, map[string][]func(c *Config){
		"from: missing":                                       {func(c *Config) { c.From = "" }},
		"from: want a number of the account":                  {func(c *Config) { c.From = "MG1" + strings.Repeat("?", 10) }},
		"account_sid: want the account's SID":                 {func(c *Config) { c.AccountSID = "xyzzy" }},
		"api_key: want the SID of an API key":                 {func(c *Config) { c.APIKey = "xyzzy" }},
		"auth_token_file: missing":                            {func(c *Config) { c.AuthToken = "" }},
		"auth_token_file: set beside auth_token":              {func(c *Config) { c.AuthTokenFile = "/dev/null" }},
		"auth_token_file: open /nowhere":                      {func(c *Config) { c.AuthToken, c.AuthTokenFile = "", "/nowhere" }},
		"url: want an address such as https://api.twilio.com": {func(c *Config) { c.URL = "api.twilio.com" }},
	})
}

// An independent copy of AWS accepts a message, and refuses a number that is
// none.
func TestMoto(t *testing.T) {
	endpoint := os.Getenv("MFAWATCH_TEST_AWS")
	if endpoint == "" {
		t.Skip("no AWS: run deploy/integration/aws.sh run -- go test ./sinks")
	}
	reached := awsClient(endpoint)
	s, err := New(Config{Provider: providerSNS, To: []string{testNumber}, From: "mfawatch"}, message.Wording{}, slog.New(slog.DiscardHandler), reached)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := s.Send(t.Context(), message.SampleAlert(), "")
	if err != nil || len(s.Receipt(ref)) != 36 {
		t.Errorf("receipt %q, %v", s.Receipt(ref), err)
	}
	if _, err := s.provider.text(t.Context(), "+notanumber", "x", ""); verdictOf(err) != sinks.VerdictPermanent {
		t.Errorf("no number: %s: %v", verdictOf(err), err)
	}
}

// Whatever is written, it is of the alphabet, fits, and says no less when it is
// written again.
func FuzzGSM(f *testing.F) {
	for _, text := range sinktest.HostileTexts {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		once := gsm(text)
		if gsm(once) != once {
			t.Errorf("%q becomes %q, and that %q", text, once, gsm(once))
		}
		for _, r := range once {
			if gsmSeptets(r) == 0 {
				t.Errorf("%q has %q, which is not in the alphabet", once, r)
			}
		}
		if cut := gsmCut(once, gsmPart); gsmLength(cut) > gsmPart || gsmLength(once) <= gsmPart && cut != once {
			t.Errorf("%q is cut to %q, %d septets", once, cut, gsmLength(cut))
		}
	})
}

// The alphabet of 3GPP TS 23.038: 128 places less CR, LF and the escape, and the
// nine of the extension that show something.
func TestGSMAlphabet(t *testing.T) {
	basic, extension := 0, 0
	for r := range rune(0x10000) {
		switch gsmSeptets(r) {
		case 1:
			basic++
		case 2:
			extension++
		}
	}
	if basic != 125 || extension != 9 {
		t.Errorf("%d and %d characters, want 125 and 9", basic, extension)
	}
	for text, want := range map[string]int{"abc": 3, "€": 2, "[a]": 5, "éàÇ": 3, strings.Repeat("~", 80): 160} {
		if got := gsmLength(text); got != want {
			t.Errorf("%q takes %d, want %d", text, got, want)
		}
	}
	for text, want := range map[string]string{
		"‘quotes’ “double” «angle» – dash — … • ×": "'quotes' \"double\" \"angle\" - dash - ... * x",
		"ąęłńśźż ÁÍÓÚ ç ő ﬁ ½":                     "aelnszz AIOU c o fi 1/2",
		"🔥🔥🔥":                                      "?", "a\u0301": "a", "x\ufffd\ufffdy": "x?y", "tab\tline\nend": "tab line end",
	} {
		if got := gsm(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

func verdictOf(err error) sinks.Verdict {
	v, _ := sinks.VerdictOf(err)
	return v
}
