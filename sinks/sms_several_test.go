package sinks

import (
	"strings"
	"testing"

	"github.com/mfawatch/mfawatch/processor"
)

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

// A group's text says how many a campaign is about.
func TestSMSCampaign(t *testing.T) {
	s := &SMS{}
	if text := s.groupBody([]*processor.Alert{campaignStory()[0], conformStory("eve")[0]}); !strings.HasSuffix(text, ": 3 users, eve") {
		t.Errorf("text %s", text)
	}
}
