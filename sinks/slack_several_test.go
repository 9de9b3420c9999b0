package sinks

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mfawatch/mfawatch/processor"
)

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
	conformEqual(t, "answers shown in the channel", loud, []string{"true", "true", "false"})
}

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
