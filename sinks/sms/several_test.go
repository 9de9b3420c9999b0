package sms

import (
	"strings"
	"testing"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/message"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
)

// A number to which the account may not send keeps no other from getting the
// text; if it is the only one, that is the account's fault.
func TestOneOfSeveral(t *testing.T) {
	const other = "+15550000002"
	for _, p := range providers() {
		code := map[string]string{providerVoice: "ConflictException DESTINATION_COUNTRY_BLOCKED_BY_PROTECT_CONFIGURATION", providerTwilio: "21408"}[p.name]
		if code == "" {
			continue // SNS does not separate such a number from an account
		}
		server := sinktest.NewHTTPServer(t, p)
		p.carrier.refuses(testNumber, code)
		for _, to := range [][]string{{testNumber, other}, {other, testNumber}} {
			s := newTestSink(t, p, server.URL, nil, func(c *Config) { c.To = to })
			_, err := s.Send(t.Context(), message.SampleAlert(), "")
			if v, _ := sinks.VerdictOf(err); v != sinks.VerdictPermanent || !strings.HasPrefix(err.Error(), "1 of 2 got it: "+testNumber) {
				t.Errorf("%s: %s: %v", p.name, v, err)
			}
			if err := s.SendGroup(t.Context(), []*processor.Alert{message.SampleAlert(), message.SampleAlert()}); err != nil {
				t.Errorf("%s: a group: %v", p.name, err)
			}
		}
		if got := len(p.carrier.on(other)); got != 4 {
			t.Errorf("%s: %d texts, want 4", p.name, got)
		}
	}
}

// A group's text says how many a campaign is about.
func TestCampaign(t *testing.T) {
	s := &Sink{}
	if text := s.groupBody([]*processor.Alert{sinktest.CampaignStory()[0], sinktest.Story("eve")[0]}); !strings.HasSuffix(text, ": 3 users, eve") {
		t.Errorf("text %s", text)
	}
}
