package sinks

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
)

// campaignStory is a campaign from its beginning to its end: about no one user.
func campaignStory() []*processor.Alert {
	story := conformStory("bob")
	grown := *story[0]
	grown.ID, grown.Time = story[0].ID+"-grown", story[1].Time
	begun, escalated, ended := story[0], story[1], story[4]
	begun.Step, grown.Step = exposure.Campaign, exposure.Campaign
	begun.Title = "Tester removed MFA from 3 users in 000000000000"
	grown.Title = "Tester removed MFA from 6 users in 000000000000"
	escalated.Title = "Still no MFA for 5 of 6 users in 000000000000 after 15m, removed by tester"
	ended.Title = "The campaign of tester against 6 users in 000000000000 is over"
	how := exposure.Ended
	ended.Resolution = &how
	all := []*processor.Alert{begun, &grown, escalated, ended}
	for i, a := range all {
		count := 6
		if i == 0 {
			count = 3
		}
		a.User, a.Device = nil, exposure.AlertDevice{Kind: "unknown"}
		a.Users = &exposure.AlertUsers{Count: count, Open: count, Names: []string{"bob", "carol", "dan"}}
		a.Reasons = append(slices.Clone(a.Reasons), exposure.ReasonCampaign)
	}
	return all
}

// A campaign is not about an unknown user, its first mail answers nothing, and
// all of its mails are one conversation.
func TestEmailCampaign(t *testing.T) {
	s := newEmailServer(t)
	e := newTestEmail(t, s.config("a@example.net"))
	for i, a := range campaignStory() {
		m := e.compose(a)
		if got, want := emailBase(m.subject), "MFA of several users in 000000000000"; got != want {
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

// A campaign that grows is news to the channel, not to the thread alone.
func TestSlackCampaign(t *testing.T) {
	s, fake, _ := newTestSlack(t, SlackConfig{})
	tellAll(t, s, "", campaignStory()...)
	var loud []string
	for _, m := range fake.list() {
		if m.Thread != "" {
			loud = append(loud, fmt.Sprint(m.loud))
		}
	}
	equal(t, "answers shown in the channel", loud, []string{"true", "true", "false"})
}

// The texts of the other channels say how many it is about.
func TestCampaignIsOfSeveral(t *testing.T) {
	a := campaignStory()[0]
	s := &SMS{}
	if text := s.groupBody([]*processor.Alert{a, conformStory("eve")[0]}); !strings.HasSuffix(text, ": 3 users, eve") {
		t.Errorf("sms: %s", text)
	}
	if got := (&ServiceNow{}).event(a, false)["resource"]; got != "several users" {
		t.Errorf("servicenow event: resource %q", got)
	}
	if follows(a.Step) {
		t.Error("what a campaign begins with follows nothing")
	}
}
