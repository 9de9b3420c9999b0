package sinks

import (
	"testing"

	"github.com/slack-go/slack/slacktest"
)

// The server that comes with the library reads the blocks and attachments into
// the library's types, or answers 500. It knows neither edits nor limits.
func TestSlackAgainstSlacktest(t *testing.T) {
	server := slacktest.NewTestServer()
	server.Start()
	defer server.Stop()
	s, err := NewSlack(SlackConfig{Token: slackToken, Channel: slackRoom, APIURL: server.GetAPIURL()}, Wording{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ref := tellAll(t, s, "", conformStory("bob")[0])
	if place := slackPlaces(ref)[slackRoom]; place.Channel != slackRoom || place.TS == "" {
		t.Errorf("ref %s", ref)
	}
}
