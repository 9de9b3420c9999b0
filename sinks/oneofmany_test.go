package sinks

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/mfawatch/mfawatch/processor"
)

// One channel that is set up wrong keeps the alert from no other of the same
// sink, nor what follows it; where nobody can be told, nothing is given up.
func TestSlackOneOfSeveral(t *testing.T) {
	s, fake, _ := newTestSlack(t, SlackConfig{})
	sink, err := s.To([]string{"#gone", slackRoom})
	if err != nil {
		t.Fatal(err)
	}
	story, ref := conformStory("bob"), ""
	for i, a := range story[:2] {
		ref, err = sink.Send(t.Context(), a, ref) // of #gone the server says channel_not_found
		if v, _ := judge(err); v != permanent || !strings.Contains(err.Error(), "channel_not_found") {
			t.Errorf("%s: %s: %v", a.Step, v, err)
		}
		if all := fake.list(); len(all) != i+1 {
			t.Errorf("%s: %d messages in the other channel", a.Step, len(all))
		}
	}
	if sink, err = s.To([]string{"#gone", "#gone-too"}); err != nil {
		t.Fatal(err)
	}
	_, err = sink.Send(t.Context(), story[0], "")
	if v, _ := judge(err); v != misconfigured {
		t.Errorf("nobody: %s: %v", v, err)
	}
	// What is wrong with the app is no fault of one channel.
	fake.refuse["chat.postMessage"] = []string{"", "token_revoked"}
	if sink, err = s.To([]string{slackRoom, "#security"}); err != nil {
		t.Fatal(err)
	}
	_, err = sink.Send(t.Context(), story[0], "")
	if v, _ := judge(err); v != misconfigured {
		t.Errorf("the app: %s: %v", v, err)
	}
}

// A list that one channel got and another did not is not posted to the first
// again, be it as a list or alert by alert.
func TestSlackGroupOneOfSeveral(t *testing.T) {
	s, fake, _ := newTestSlack(t, SlackConfig{})
	sink, err := s.To([]string{slackRoom, "#security"})
	if err != nil {
		t.Fatal(err)
	}
	both, three := sink.(GroupSender), []*processor.Alert{conformStory("bob")[0], conformStory("eve")[0], conformStory("dan")[0]}
	fake.refuse["chat.postMessage"] = []string{"", "service_unavailable"}
	err = both.SendGroup(t.Context(), three[:2])
	if v, _ := judge(err); v != retry || len(fake.list()) != 1 {
		t.Errorf("%d messages, %v", len(fake.list()), err)
	}
	if err := both.SendGroup(t.Context(), three); err != nil {
		t.Error(err)
	}
	all := fake.list()
	if len(all) != 3 {
		t.Fatalf("%d messages, want 3", len(all))
	}
	for i, title := range []string{"2 more alerts", "MFA removed from dan", "3 more alerts"} {
		if !strings.Contains(all[i].Text, title) {
			t.Errorf("message %d: %q, want %s", i, all[i].Text, title)
		}
	}
	if sink, err = s.To([]string{slackRoom, "#gone"}); err != nil {
		t.Fatal(err)
	}
	three = []*processor.Alert{conformStory("ann")[0], conformStory("zoe")[0]}
	err = sink.(GroupSender).SendGroup(t.Context(), three)
	if v, _ := judge(err); v != permanent {
		t.Errorf("%s: %v", v, err)
	}
	for _, a := range three { // as the dispatcher does with what is Permanent of several
		_, err := sink.Send(t.Context(), a, "")
		if v, _ := judge(err); v != permanent {
			t.Errorf("%s: %v", v, err)
		}
	}
	if n := len(fake.list()) - len(all); n != 1 {
		t.Errorf("the channel that is there was told %d times, want once", n)
	}
}

// A service whose key is wrong keeps no other from being paged.
func TestPagerDutyOneOfSeveral(t *testing.T) {
	story := conformStory("bob")
	p, fake, _ := newTestPagerDuty(t, PagerDutyConfig{RoutingKey: pagerFirst, EscalationRoutingKey: pagerSecond})
	wrong := "xyzzynobody000000000000000000009"
	for _, keys := range [][]string{{wrong, pagerSecond}, {pagerSecond, wrong}} {
		sink, err := p.To(keys)
		if err != nil {
			t.Fatal(err)
		}
		fake.refused = wrong
		_, err = sink.Send(t.Context(), story[1], "")
		if v, _ := judge(err); v != permanent {
			t.Errorf("%s: %v", v, err)
		}
		hushed(t, err.Error())
	}
	if got := fake.of(pagerSecond, *story[0].Exposure); len(got) != 1 || len(got[0].log) != 2 {
		t.Errorf("the other service has %+v", got)
	}
}

// A number to which the account may not send keeps no other from getting the
// text; if it is the only one, that is the account's fault.
func TestSMSOneOfSeveral(t *testing.T) {
	const other = "+15550000002"
	for _, p := range smsProviders() {
		code := map[string]string{smsVoice: "ConflictException DESTINATION_COUNTRY_BLOCKED_BY_PROTECT_CONFIGURATION", smsTwilio: "21408"}[p.name]
		if code == "" {
			continue // SNS does not tell such a number from an account
		}
		server := newFaultyServer(t, p)
		p.carrier.refuses(smsTo, code)
		for _, to := range [][]string{{smsTo, other}, {other, smsTo}} {
			s := newTestSMS(t, p, server.URL, nil, func(c *SMSConfig) { c.To = to })
			_, err := s.Send(t.Context(), SampleAlert(), "")
			if v, _ := judge(err); v != permanent || !strings.HasPrefix(err.Error(), "1 of 2 got it: "+smsTo) {
				t.Errorf("%s: %s: %v", p.name, v, err)
			}
			if err := s.SendGroup(t.Context(), []*processor.Alert{SampleAlert(), SampleAlert()}); err != nil {
				t.Errorf("%s: a group: %v", p.name, err)
			}
		}
		if got := len(p.carrier.on(other)); got != 4 {
			t.Errorf("%s: %d texts, want 4", p.name, got)
		}
	}
}

// A recipient that the server does not let us send to is a dead letter, whenever
// the others got the mail: the sink does not pause for it.
func TestEmailOneIsLeft(t *testing.T) {
	s := newEmailServer(t)
	c := s.config("a@example.net", "b@example.net")
	s.refuses("b@example.net", &smtp.SMTPError{Code: 450, EnhancedCode: smtp.EnhancedCode{4, 2, 0}, Message: "greylisted"})
	e := newTestEmail(t, c)
	ref, err := e.Send(t.Context(), SampleAlert(), "")
	if v, _ := judge(err); v != retry {
		t.Fatalf("%s: %v", v, err)
	}
	s.refuses("b@example.net", &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "relaying denied"})
	_, err = e.Send(t.Context(), SampleAlert(), ref)
	if v, _ := judge(err); v != permanent {
		t.Errorf("%s: %v", v, err)
	}
	_, err = newTestEmail(t, s.config("b@example.net")).Send(t.Context(), SampleAlert(), "")
	if v, _ := judge(err); v != misconfigured {
		t.Errorf("alone: %s: %v", v, err)
	}
}

func TestWorstOf(t *testing.T) {
	plain := errors.New("refused")
	ours := Misconfigured(ofOne{errors.New("archived")})
	for _, tt := range []struct {
		errs  []error
		told  bool
		want  verdict
		after time.Duration
	}{
		{nil, true, told, 0},
		{[]error{plain}, false, retry, 0},
		{[]error{Permanent(plain), plain}, true, retry, 0},
		{[]error{plain, Ambiguous(plain), Permanent(plain)}, false, ambiguous, 0},
		{[]error{Throttled(plain, time.Minute), Ambiguous(plain)}, false, throttled, time.Minute},
		{[]error{ours}, false, misconfigured, 0},
		{[]error{ours}, true, permanent, 0},
		{[]error{ours, Misconfigured(plain)}, true, misconfigured, 0},
		{[]error{ours, plain}, true, retry, 0},
	} {
		if v, after := judge(worstOf(tt.errs, tt.told)); v != tt.want || after != tt.after {
			t.Errorf("%v, others told %v: %s after %s, want %s", tt.errs, tt.told, v, after, tt.want)
		}
	}
}
