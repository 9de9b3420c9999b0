package slack

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
)

// A campaign that grows is news to the channel, not to the thread alone.
func TestCampaign(t *testing.T) {
	s, fake, _ := newTestSink(t, Config{})
	sinktest.DeliverAll(t, s, "", sinktest.CampaignStory()...)
	var loud []string
	for _, m := range fake.list() {
		if m.Thread != "" {
			loud = append(loud, fmt.Sprint(m.loud))
		}
	}
	sinktest.Equal(t, "answers shown in the channel", loud, []string{"true", "true", "false"})
}

// One channel that is set up wrong keeps the alert from no other of the same
// sink, nor what follows it; if no channel accepts it, nothing is given up.
func TestOneOfSeveral(t *testing.T) {
	s, fake, _ := newTestSink(t, Config{})
	sink, err := s.To([]string{"#gone", room})
	if err != nil {
		t.Fatal(err)
	}
	story, ref := sinktest.Story("bob"), ""
	for i, a := range story[:2] {
		ref, err = sink.Send(t.Context(), a, ref) // of #gone the server says channel_not_found
		if v, _ := sinks.VerdictOf(err); v != sinks.VerdictPermanent || !strings.Contains(err.Error(), "channel_not_found") {
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
	if v, _ := sinks.VerdictOf(err); v != sinks.VerdictMisconfigured {
		t.Errorf("nobody: %s: %v", v, err)
	}
	// A fault of the app is no fault of one channel.
	fake.refuse["chat.postMessage"] = []string{"", "token_revoked"}
	if sink, err = s.To([]string{room, "#security"}); err != nil {
		t.Fatal(err)
	}
	_, err = sink.Send(t.Context(), story[0], "")
	if v, _ := sinks.VerdictOf(err); v != sinks.VerdictMisconfigured {
		t.Errorf("the app: %s: %v", v, err)
	}
}

// A list that one channel got and another did not is not posted to the first
// again, be it as a list or alert by alert.
func TestGroupOneOfSeveral(t *testing.T) {
	s, fake, _ := newTestSink(t, Config{})
	sink, err := s.To([]string{room, "#security"})
	if err != nil {
		t.Fatal(err)
	}
	both, three := sink.(sinks.GroupSender), []*processor.Alert{sinktest.Story("bob")[0], sinktest.Story("eve")[0], sinktest.Story("dan")[0]}
	fake.refuse["chat.postMessage"] = []string{"", "service_unavailable"}
	err = both.SendGroup(t.Context(), three[:2])
	if v, _ := sinks.VerdictOf(err); v != sinks.VerdictRetry || len(fake.list()) != 1 {
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
	if sink, err = s.To([]string{room, "#gone"}); err != nil {
		t.Fatal(err)
	}
	three = []*processor.Alert{sinktest.Story("ann")[0], sinktest.Story("zoe")[0]}
	err = sink.(sinks.GroupSender).SendGroup(t.Context(), three)
	if v, _ := sinks.VerdictOf(err); v != sinks.VerdictPermanent {
		t.Errorf("%s: %v", v, err)
	}
	for _, a := range three { // as the dispatcher does with what is Permanent of several
		_, err := sink.Send(t.Context(), a, "")
		if v, _ := sinks.VerdictOf(err); v != sinks.VerdictPermanent {
			t.Errorf("%s: %v", v, err)
		}
	}
	if n := len(fake.list()) - len(all); n != 1 {
		t.Errorf("the channel that is there was sent it %d times, want once", n)
	}
}
