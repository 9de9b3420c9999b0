package email

import (
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/message"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
)

// A campaign is not about an unknown user, its first mail answers nothing, and
// all of its mails are one conversation.
func TestCampaign(t *testing.T) {
	s := newEmailServer(t)
	e := newTestSink(t, s.config("a@example.net"))
	for i, a := range sinktest.CampaignStory() {
		m := e.compose(a)
		if got, want := base(m.subject), "MFA of several users in 000000000000"; got != want {
			t.Errorf("%s: subject %q, base %q, want %q", a.Step, m.subject, got, want)
		}
		if first := i < 2; m.reply == first || strings.HasPrefix(m.subject, "Re: ") == first {
			t.Errorf("%s: subject %q, a reply: %v", a.Step, m.subject, m.reply)
		}
		if !strings.Contains(m.text, "bob, carol, dan") {
			t.Errorf("%s names no users: %s", a.Step, m.text)
		}
	}
}

// A recipient that the server does not let us send to is a dead letter, whenever
// the others got the mail: the sink does not pause for it.
func TestOneIsLeft(t *testing.T) {
	s := newEmailServer(t)
	c := s.config("a@example.net", "b@example.net")
	s.refuses("b@example.net", &smtp.SMTPError{Code: 450, EnhancedCode: smtp.EnhancedCode{4, 2, 0}, Message: "greylisted"})
	e := newTestSink(t, c)
	ref, err := e.Send(t.Context(), message.SampleAlert(), "")
	if v, _ := sinks.VerdictOf(err); v != sinks.VerdictRetry {
		t.Fatalf("%s: %v", v, err)
	}
	s.refuses("b@example.net", &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "relaying denied"})
	_, err = e.Send(t.Context(), message.SampleAlert(), ref)
	if v, _ := sinks.VerdictOf(err); v != sinks.VerdictPermanent {
		t.Errorf("%s: %v", v, err)
	}
	_, err = newTestSink(t, s.config("b@example.net")).Send(t.Context(), message.SampleAlert(), "")
	if v, _ := sinks.VerdictOf(err); v != sinks.VerdictMisconfigured {
		t.Errorf("alone: %s: %v", v, err)
	}
}
