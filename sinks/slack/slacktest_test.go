package slack

import (
	"testing"

	"github.com/slack-go/slack/slacktest"

	"github.com/mfawatch/mfawatch/sinks/message"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
)

// The server that comes with the library reads the blocks and attachments into
// the library's types, or answers 500. It knows neither edits nor limits.
func TestAgainstSlacktest(t *testing.T) {
	server := slacktest.NewTestServer()
	server.Start()
	defer server.Stop()
	s, err := New(Config{Token: token, Channel: room, APIURL: server.GetAPIURL()}, message.Wording{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ref := sinktest.DeliverAll(t, s, "", sinktest.Story("bob")[0])
	if place := places(ref)[room]; place.Channel != room || place.TS == "" {
		t.Errorf("ref %s", ref)
	}
}
