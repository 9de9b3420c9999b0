package sinks

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
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/mfawatch/mfawatch/processor"
)

// newTestSMS is a sink on the fake, with another configuration if change is
// given.
func newTestSMS(t *testing.T, p smsProvider, server string, log *strings.Builder, change func(*SMSConfig)) *SMS {
	t.Helper()
	config, reached := p.config(server)
	if change != nil {
		change(&config)
	}
	logger := slog.New(slog.DiscardHandler)
	if log != nil {
		logger = slog.New(slog.NewTextHandler(log, nil))
	}
	s, err := NewSMS(config, Wording{}, logger, reached)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// Each provider's errors have their verdicts, whatever their status.
func TestSMSVerdicts(t *testing.T) {
	for _, tt := range []struct {
		provider, code string
		want           verdict
		saying         string
	}{
		{smsSNS, "Throttling", throttled, ""},
		{smsSNS, "OptedOut", permanent, "OptedOut"},
		{smsSNS, "InvalidParameter", permanent, ""},
		{smsSNS, "InternalError", ambiguous, "InternalError"},
		{smsSNS, "AuthorizationError", misconfigured, "sns:Publish"},
		{smsSNS, "SignatureDoesNotMatch", misconfigured, "clock"},
		{smsSNS, "ExpiredToken", misconfigured, "expired"},
		{smsSNS, "KMSAccessDenied", misconfigured, ""},
		{smsVoice, "ThrottlingException", throttled, ""},
		{smsVoice, "ConflictException DESTINATION_PHONE_NUMBER_OPTED_OUT", permanent, "OPTED_OUT"},
		{smsVoice, "ConflictException DESTINATION_PHONE_NUMBER_NOT_VERIFIED", misconfigured, "NOT_VERIFIED"},
		{smsVoice, "ConflictException NO_ORIGINATION_IDENTITIES_FOUND", misconfigured, "check from"},
		{smsVoice, "ServiceQuotaExceededException MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT", misconfigured, "spend limit"},
		{smsVoice, "AccessDeniedException ACCOUNT_DISABLED", misconfigured, "sms-voice:SendTextMessage"},
		{smsVoice, "ResourceNotFoundException", misconfigured, "check from and region"},
		{smsVoice, "ValidationException INVALID_PARAMETER", permanent, ""},
		{smsVoice, "InternalServerException", ambiguous, ""},
		{smsTwilio, "20429", throttled, ""},
		{smsTwilio, "20500", ambiguous, ""},
		{smsTwilio, "21211", permanent, "no number"},
		{smsTwilio, "21610", permanent, "START"},
		{smsTwilio, "21612", permanent, ""},
		{smsTwilio, "21614", permanent, "no mobile"},
		{smsTwilio, "21408", misconfigured, "geographic"},
		{smsTwilio, "21606", misconfigured, "check from"},
		{smsTwilio, "21608", misconfigured, "trial"},
		{smsTwilio, "99999", permanent, "400"},
	} {
		t.Run(tt.provider+" "+tt.code, func(t *testing.T) {
			i := slices.IndexFunc(smsProviders(), func(p smsProvider) bool { return p.name == tt.provider })
			p := smsProviders()[i]
			server := newFaultyServer(t, p)
			p.carrier.refuses(smsTo, tt.code)
			_, err := newTestSMS(t, p, server.URL, nil, nil).Send(t.Context(), SampleAlert(), "")
			if v, _ := judge(err); v != tt.want || !strings.Contains(err.Error(), tt.saying) || !strings.HasPrefix(err.Error(), smsTo+": ") {
				t.Errorf("%s, want %s with %q: %v", v, tt.want, tt.saying, err)
			}
			if n := len(server.bodies()); n != 1 {
				t.Errorf("%d requests, want 1: the SDK does not retry", n)
			}
			hushed(t, err.Error())
		})
	}
}

// What never reached the provider is tried again; what is wrong with us is said.
func TestSMSUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + l.Addr().String()
	_ = l.Close()
	for _, p := range smsProviders() {
		if _, err := newTestSMS(t, p, nobody, nil, nil).Send(t.Context(), SampleAlert(), ""); smsVerdict(err) != retry {
			t.Errorf("%s, nobody there: %s: %v", p.name, smsVerdict(err), err)
		}
		if _, err := newTestSMS(t, p, "http://no-such-host.invalid", nil, nil).Send(t.Context(), SampleAlert(), ""); smsVerdict(err) != retry {
			t.Errorf("%s, no such host: %s: %v", p.name, smsVerdict(err), err)
		}
		server := quietServer(t, func(http.ResponseWriter, *http.Request) {})
		server.StartTLS()
		if _, err := newTestSMS(t, p, server.URL, nil, nil).Send(t.Context(), SampleAlert(), ""); smsVerdict(err) != misconfigured {
			t.Errorf("%s, unknown authority: %s: %v", p.name, smsVerdict(err), err)
		}
		hang := make(chan struct{})
		slow := newFaultyServer(t, p)
		slow.inject(fault{hang: hang})
		ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, errors.New("no answer within 100ms"))
		_, err := newTestSMS(t, p, slow.URL, nil, nil).Send(ctx, SampleAlert(), "")
		cancel()
		if smsVerdict(err) != ambiguous || !strings.Contains(err.Error(), "no answer within 100ms") {
			t.Errorf("%s, no answer: %s: %v", p.name, smsVerdict(err), err)
		}
	}
	for name, credentials := range map[string]aws.CredentialsProvider{
		"none": nil,
		"broken": aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{}, errors.New("no EC2 IMDS role found")
		}),
	} {
		s, err := NewSMS(SMSConfig{Provider: smsSNS, To: []string{smsTo}}, Wording{}, nil, aws.Config{Region: "us-east-1", Credentials: credentials})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Send(t.Context(), SampleAlert(), ""); smsVerdict(err) != misconfigured || !strings.Contains(err.Error(), "give the machine a role") {
			t.Errorf("credentials %s: %s: %v", name, smsVerdict(err), err)
		}
	}
}

// Who got the message does not get it again because of the others.
func TestSMSPartialNumbers(t *testing.T) {
	const a, b, c = "+15550000001", "+15550000002", "+15550000003"
	for i := range smsProviders() {
		p := smsProviders()[i]
		t.Run(p.name, func(t *testing.T) {
			server := newFaultyServer(t, p)
			to := []string{a, b, c}
			refused := map[string]string{smsSNS: "OptedOut", smsVoice: "ConflictException DESTINATION_PHONE_NUMBER_OPTED_OUT", smsTwilio: "21610"}[p.name]
			busy := map[string]string{smsSNS: "Throttling", smsVoice: "ThrottlingException", smsTwilio: "20429"}[p.name]
			send := func(alert *processor.Alert, ref string, want verdict) string {
				t.Helper()
				ref, err := newTestSMS(t, p, server.URL, nil, func(c *SMSConfig) { c.To = to }).Send(t.Context(), alert, ref)
				if v, _ := judge(err); v != want || v == permanent && !strings.HasPrefix(err.Error(), "2 of 3 got it: "+a+": ") {
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
			opened, resolved := conformStory("bob")[0], conformStory("bob")[4]
			p.carrier.refuses(a, refused)
			p.carrier.refuses(c, busy)
			ref := send(opened, "", throttled)
			count(0, 1, 0)
			p.carrier.refuses(c, "")
			ref = send(opened, ref, permanent) // a is left
			count(0, 1, 1)
			ref = send(resolved, ref, permanent)
			count(0, 2, 2)
			p.carrier.refuses(a, "")
			ref = send(opened, ref, told) // the dead letters are sent again
			ref = send(resolved, ref, told)
			count(2, 2, 2)
			if progressOf(ref).Open != nil {
				t.Errorf("left in the reference: %s", ref)
			}
		})
	}
}

// A message whose answer is lost is never sent again blindly: Twilio is asked,
// and of AWS's there is one copy at most, that says so.
func TestSMSLostAnswers(t *testing.T) {
	for i := range smsProviders() {
		p := smsProviders()[i]
		t.Run(p.name, func(t *testing.T) {
			server := newFaultyServer(t, p)
			var log strings.Builder
			s, ref := newTestSMS(t, p, server.URL, &log, nil), ""
			alert := conformStory("bob")[0]
			attempts := 0
			for {
				if attempts++; attempts > 10 {
					t.Fatal("it never ends")
				}
				if !p.find || attempts < 3 {
					server.inject(fault{after: true})
				}
				var err error
				if ref, err = s.Send(perhaps(t.Context()), alert, ref); err == nil {
					break
				}
			}
			texts := p.carrier.on(smsTo)
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
func TestSMSEndsBeforeItIsNoted(t *testing.T) {
	const other = "+15550000002"
	p := smsProviders()[2]
	server := newFaultyServer(t, p)
	s := newTestSMS(t, p, server.URL, nil, func(c *SMSConfig) { c.To = []string{smsTo, other} })
	alert := conformStory("bob")[0]
	p.carrier.refuses(other, "20429")
	noted, err := s.Send(t.Context(), alert, "")
	if smsVerdict(err) != throttled {
		t.Fatal(err)
	}
	p.carrier.refuses(other, "")
	if _, err := s.Send(t.Context(), alert, noted); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Send(perhaps(t.Context()), alert, noted); err != nil {
		t.Fatal(err)
	}
	if len(p.carrier.on(smsTo)) != 1 || len(p.carrier.on(other)) != 1 {
		t.Errorf("texts %q and %q", p.carrier.on(smsTo), p.carrier.on(other))
	}
}

// Twilio's list: a message that failed is none, another's is none, a trial's is
// ours behind Twilio's words, and while it cannot be read nothing is sent.
func TestSMSTwilioLooks(t *testing.T) {
	alert := conformStory("bob")[0]
	for _, tt := range []struct {
		name   string
		before func(s *twilioServer, server *faultyServer, body string)
		want   verdict
		texts  int // in the end
	}{
		{"nothing there", func(*twilioServer, *faultyServer, string) {}, told, 1},
		{"there", func(s *twilioServer, _ *faultyServer, body string) { s.take(smsTo, body) }, told, 1},
		{"to another", func(s *twilioServer, _ *faultyServer, body string) { s.take("+15550000009", body) }, told, 2},
		{"another's text", func(s *twilioServer, _ *faultyServer, body string) { s.take(smsTo, body+"!") }, told, 2},
		{"failed", func(s *twilioServer, _ *faultyServer, body string) {
			s.take(smsTo, body)
			s.texts[0].status = "undelivered"
		}, told, 2},
		{"on trial", func(s *twilioServer, _ *faultyServer, body string) {
			s.take(smsTo, "Sent from your Twilio trial account - "+body)
		}, told, 1},
		{"cannot be read", func(_ *twilioServer, server *faultyServer, _ string) { server.inject(fault{status: 502}) }, retry, 0},
		{"is a page", func(_ *twilioServer, server *faultyServer, _ string) {
			server.inject(fault{status: 200, body: "<html>"})
		}, retry, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := smsProviders()[2]
			server := newFaultyServer(t, p)
			s := newTestSMS(t, p, server.URL, nil, nil)
			tt.before(p.Handler.(*twilioServer), server, s.body(alert))
			_, err := s.Send(perhaps(t.Context()), alert, "")
			if v, _ := judge(err); v != tt.want {
				t.Errorf("%s, want %s: %v", v, tt.want, err)
			}
			if n := len(p.carrier.texts); n != tt.texts {
				t.Errorf("%d texts, want %d", n, tt.texts)
			}
		})
	}
}

// What goes over the wire beside the text.
func TestSMSRequests(t *testing.T) {
	for _, tt := range []struct {
		provider int
		from     string
		want     []string
	}{
		{0, "", []string{"Action=Publish", "PhoneNumber=%2B15551234567", "AWS.SNS.SMS.SMSType", "Transactional"}},
		{0, "mfawatch", []string{"AWS.SNS.SMS.SenderID", "mfawatch"}},
		{0, "+15557654321", []string{"AWS.MM.SMS.OriginationNumber", "%2B15557654321"}},
		{1, "pool-0123", []string{`"OriginationIdentity":"pool-0123"`, `"TimeToLive":3600`, `"MessageType":"TRANSACTIONAL"`, `"Context":{"alert":"`}},
		{2, smsPhoneSID, []string{"From=%2B15005550006", "ValidityPeriod=3600", "To=%2B15551234567"}},
		{2, "MG0123456789abcdef0123456789abcdef", []string{"MessagingServiceSid=MG0123456789abcdef0123456789abcdef"}},
	} {
		p := smsProviders()[tt.provider]
		server := newFaultyServer(t, p)
		if _, err := newTestSMS(t, p, server.URL, nil, func(c *SMSConfig) { c.From = tt.from }).Send(t.Context(), SampleAlert(), ""); err != nil {
			t.Fatal(err)
		}
		for _, want := range tt.want {
			if body := server.bodies()[0]; !strings.Contains(body, want) {
				t.Errorf("%s from %q: %s is not in %s", p.name, tt.from, want, body)
			}
		}
	}
}

// An API key in the place of the account's token, read from a file each time.
func TestSMSTwilioKey(t *testing.T) {
	const key = "SK0123456789abcdef0123456789abcdef"
	var seen []string
	server := newFaultyServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		seen = append(seen, user+":"+password)
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(`{"sid":"SM1"}`))
	}))
	path := secretFile(t, "first\n")
	s := newTestSMS(t, smsProviders()[2], server.URL, nil, func(c *SMSConfig) { c.APIKey, c.AuthToken, c.AuthTokenFile = key, "", path })
	for _, secret := range []string{"first", "second"} {
		if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
		ref, err := s.Send(t.Context(), SampleAlert(), "")
		if err != nil || s.Receipt(ref) != "SM1" {
			t.Errorf("receipt %q, %v", s.Receipt(ref), err)
		}
	}
	if want := []string{key + ":first", key + ":second"}; !slices.Equal(seen, want) {
		t.Errorf("got %q, want %q", seen, want)
	}
}

// The end of an exposure is told unless the operator does not want it.
func TestSMSResolved(t *testing.T) {
	p := smsProviders()[0]
	server := newFaultyServer(t, p)
	s := newTestSMS(t, p, server.URL, nil, func(c *SMSConfig) { c.Resolved = false })
	ref, err := s.Send(t.Context(), conformStory("bob")[0], "")
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.Send(t.Context(), conformStory("bob")[4], ref)
	if err != nil || again != ref || len(p.carrier.on(smsTo)) != 1 {
		t.Errorf("ref %q and %q, %v, %d texts", ref, again, err, len(p.carrier.on(smsTo)))
	}
	if !DefaultSMSConfig().Resolved {
		t.Error("by default it is not told")
	}
}

// The text: who, what, where, when, and as there is room a link or what to do.
func TestSMSText(t *testing.T) {
	story := conformStory("bob")
	for _, tt := range []struct {
		name    string
		wording Wording
		alert   *processor.Alert
		change  func(*processor.Alert)
		want    string
	}{
		{"what to do", Wording{}, story[0], nil, "HIGH: MFA removed from bob in 000000000000 by tester, 1 May 08:03 UTC. Ask bob, and enable a device."},
		{"account's name", Wording{Accounts: map[string]string{"000000000000": "payments"}}, story[0], nil,
			"HIGH: MFA removed from bob in payments by tester, 1 May 08:03 UTC. Ask bob, and enable a device."},
		{"link", Wording{Page: "https://mfa.example.net"}, story[0], nil,
			"HIGH: MFA removed from bob in 000000000000 by tester, 1 May 08:03 UTC https://mfa.example.net/exposures/" + *story[0].Exposure},
		{"no room for the link", Wording{Page: "https://mfawatch.security.internal.example.net/somewhere/deep"}, story[0], nil,
			"HIGH: MFA removed from bob in 000000000000 by tester, 1 May 08:03 UTC. Ask bob, and enable a device."},
		{"end", Wording{}, story[4], nil, "RESOLVED: bob in 000000000000 has MFA again, 1 May 09:03 UTC"},
		{"accents", Wording{Accounts: map[string]string{"000000000000": "Zürich – “prod”"}}, story[0],
			func(a *processor.Alert) {
				a.Advice, a.Title = "", "MFA removed from Łukasz Žižka-Œuvré in 000000000000"
			},
			"HIGH: MFA removed from Lukasz Zizka-OEuvré in Zürich - \"prod\", 1 May 08:03 UTC"},
		{"too long", Wording{}, story[0], func(a *processor.Alert) { a.Title = strings.Repeat("{x}", 100) },
			"HIGH: " + strings.Repeat("{x}", 26) + "{x..., 1 May 08:03 UTC"},
		{"scripts that it has not", Wording{}, story[0], func(a *processor.Alert) { a.Title, a.Advice = "MFA removed from 用户 ДЖОН 🔥", "" },
			"HIGH: MFA removed from ? ? ?, 1 May 08:03 UTC"},
	} {
		s, err := NewSMS(SMSConfig{Provider: smsSNS, To: []string{smsTo}, Resolved: true}, tt.wording, nil, aws.Config{})
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

func TestSMSTemplate(t *testing.T) {
	s, err := NewSMS(SMSConfig{Provider: smsSNS, To: []string{smsTo}, Templates: Templates{"text": "{{.Severity}}\n {{.Title}} “{{.Title}}”"}}, Wording{}, nil, aws.Config{})
	if err != nil {
		t.Fatal(err)
	}
	a := SampleAlert()
	a.Title = strings.Repeat("é", 100)
	if got, want := s.body(a), "high "+strings.Repeat("é", 100)+" \""+strings.Repeat("é", 50)+"..."; got != want {
		t.Errorf("got %s (%d), want %s", got, gsmLength(got), want)
	}
}

func TestSMSGroup(t *testing.T) {
	for i := range smsProviders() {
		p := smsProviders()[i]
		server := newFaultyServer(t, p)
		var log strings.Builder
		const other = "+15550000002"
		s := newTestSMS(t, p, server.URL, &log, func(c *SMSConfig) { c.To = []string{smsTo, other} })
		alerts := []*processor.Alert{conformStory("bob")[0], conformStory("eve")[2], conformStory("bob")[1]}
		p.carrier.refuses(other, map[string]string{smsSNS: "OptedOut", smsVoice: "ConflictException DESTINATION_PHONE_NUMBER_OPTED_OUT", smsTwilio: "21610"}[p.name])
		if err := s.SendGroup(t.Context(), alerts); err != nil {
			t.Errorf("%s: %v", p.name, err)
		}
		if got, want := p.carrier.on(smsTo), []string{"CRITICAL: 3 more alerts in 000000000000: bob, eve"}; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", p.name, got, want)
		}
		if !strings.Contains(log.String(), other) {
			t.Errorf("%s: log %s", p.name, log.String())
		}
		p.carrier.refuses(smsTo, map[string]string{smsSNS: "Throttling", smsVoice: "ThrottlingException", smsTwilio: "20429"}[p.name])
		if err := s.SendGroup(t.Context(), alerts); smsVerdict(err) != throttled {
			t.Errorf("%s, throttled: %v", p.name, err)
		}
	}
}

func TestSMSTo(t *testing.T) {
	p := smsProviders()[0]
	server := newFaultyServer(t, p)
	other, err := newTestSMS(t, p, server.URL, nil, nil).To([]string{"+15550000002"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Send(t.Context(), SampleAlert(), ""); err != nil || len(p.carrier.on("+15550000002")) != 1 || len(p.carrier.on(smsTo)) != 0 {
		t.Errorf("it did not go to the other: %v", err)
	}
	if _, err := newTestSMS(t, p, server.URL, nil, nil).To([]string{"555"}); err == nil {
		t.Error("555 is no number")
	}
}

func TestSMSConfig(t *testing.T) {
	amazon := SMSConfig{Provider: smsSNS, To: []string{smsTo}}
	twilio := SMSConfig{Provider: smsTwilio, To: []string{smsTo}, From: smsPhoneSID, AccountSID: smsAccount, AuthToken: smsToken}
	for _, c := range []SMSConfig{amazon, twilio} {
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		config SMSConfig
		change func(*SMSConfig)
		want   string
	}{
		{amazon, func(c *SMSConfig) { c.Provider = "" }, "provider: missing; want sns, aws-sms-voice-v2 or twilio"},
		{amazon, func(c *SMSConfig) { c.Provider = "vonage" }, `provider: want sns, aws-sms-voice-v2 or twilio, got "vonage"`},
		{amazon, func(c *SMSConfig) { c.To = nil }, "to: want 1 to 20 numbers"},
		{amazon, func(c *SMSConfig) { c.To = []string{"0555 123"} }, "to[0]: want a number with + and its country's code"},
		{amazon, func(c *SMSConfig) { c.To = []string{smsTo, smsTo} }, "to[1]: +15551234567 is there twice"},
		{amazon, func(c *SMSConfig) { c.From = "a sender that is too long" }, "from: want a number of yours, or a sender ID"},
		{amazon, func(c *SMSConfig) { c.AuthToken = smsToken }, "auth_token: has no effect with provider sns"},
		{amazon, func(c *SMSConfig) { c.Templates = Templates{"html": ""} }, "templates.html: no such part; known are text"},
		{twilio, func(c *SMSConfig) { c.From = "" }, "from: missing"},
		{twilio, func(c *SMSConfig) { c.From = "MG1" + strings.Repeat("?", 10) }, "from: want a number of the account"},
		{twilio, func(c *SMSConfig) { c.AccountSID = "xyzzy" }, "account_sid: want the account's SID"},
		{twilio, func(c *SMSConfig) { c.APIKey = "xyzzy" }, "api_key: want the SID of an API key"},
		{twilio, func(c *SMSConfig) { c.AuthToken = "" }, "auth_token_file: missing"},
		{twilio, func(c *SMSConfig) { c.AuthTokenFile = "/dev/null" }, "auth_token_file: set beside auth_token"},
		{twilio, func(c *SMSConfig) { c.AuthToken, c.AuthTokenFile = "", "/nowhere" }, "auth_token_file: open /nowhere"},
		{twilio, func(c *SMSConfig) { c.URL = "api.twilio.com" }, "url: want an address such as https://api.twilio.com"},
		{twilio, func(c *SMSConfig) { c.ReplyTimeout = -1 }, "reply_timeout: want more than no time"},
	} {
		c := tt.config
		tt.change(&c)
		err := c.Validate()
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "xyzzy") {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
}

// A service of AWS that nobody here wrote takes a message, and refuses what is no
// number.
func TestSMSMoto(t *testing.T) {
	endpoint := os.Getenv("MFAWATCH_TEST_AWS")
	if endpoint == "" {
		t.Skip("no AWS: run deploy/integration/aws.sh run -- go test ./sinks")
	}
	reached := smsAWS(endpoint)
	s, err := NewSMS(SMSConfig{Provider: smsSNS, To: []string{smsTo}, From: "mfawatch"}, Wording{}, slog.New(slog.DiscardHandler), reached)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := s.Send(t.Context(), SampleAlert(), "")
	if err != nil || len(s.Receipt(ref)) != 36 {
		t.Errorf("receipt %q, %v", s.Receipt(ref), err)
	}
	if _, err := s.provider.text(t.Context(), "+notanumber", "x", ""); smsVerdict(err) != permanent {
		t.Errorf("no number: %s: %v", smsVerdict(err), err)
	}
}

// Whatever is written, it is of the alphabet, fits, and says no less when it is
// written again.
func FuzzGSM(f *testing.F) {
	for _, text := range hostileTexts {
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
	for r := rune(0); r < 0x10000; r++ {
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

func smsVerdict(err error) verdict {
	v, _ := judge(err)
	return v
}
