package slack

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/secret"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/message"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
)

// Every error of the documentation, with its verdict and the next step.
func TestErrors(t *testing.T) {
	for codes, want := range map[string]struct {
		own, other sinks.Verdict // of the configuration's channel, of a route's
		says       string
	}{
		"ratelimited rate_limited message_limit_exceeded":           {sinks.VerdictThrottled, sinks.VerdictThrottled, ""},
		"internal_error fatal_error":                                {sinks.VerdictAmbiguous, sinks.VerdictAmbiguous, ""},
		"request_timeout service_unavailable team_added_to_org new": {sinks.VerdictRetry, sinks.VerdictRetry, ""},
		"invalid_auth not_authed":                                   {sinks.VerdictMisconfigured, sinks.VerdictMisconfigured, "check token"},
		"token_revoked account_inactive":                            {sinks.VerdictMisconfigured, sinks.VerdictMisconfigured, "install it again"},
		"token_expired missing_scope no_permission access_denied":   {sinks.VerdictMisconfigured, sinks.VerdictMisconfigured, ""},
		"channel_not_found":                                         {sinks.VerdictMisconfigured, sinks.VerdictMisconfigured, "check channel"},
		"not_in_channel":                                            {sinks.VerdictMisconfigured, sinks.VerdictMisconfigured, "/invite"},
		"is_archived restricted_action":                             {sinks.VerdictMisconfigured, sinks.VerdictMisconfigured, "channel"},
		"msg_too_long msg_blocks_too_long invalid_blocks no_text":   {sinks.VerdictPermanent, sinks.VerdictPermanent, ""},
	} {
		for code := range strings.FieldsSeq(codes) {
			s, fake, _ := newTestSink(t, Config{})
			other, err := s.To([]string{room})
			if err != nil {
				t.Fatal(err)
			}
			for sink, want := range map[sinks.Sink]sinks.Verdict{s: want.own, other: want.other} {
				fake.refuse["chat.postMessage"] = []string{code}
				_, err := sink.Send(t.Context(), sinktest.Story("bob")[0], "")
				if v, _ := sinks.VerdictOf(err); v != want || !strings.Contains(err.Error(), "Slack refused: "+code) {
					t.Errorf("%s: %s, want %s: %v", code, v, want, err)
				}
			}
			fake.refuse["chat.postMessage"] = []string{code}
			if _, err := s.Send(t.Context(), sinktest.Story("bob")[0], ""); !strings.Contains(err.Error(), want.says) {
				t.Errorf("%s: no next step: %v", code, err)
			}
		}
	}
}

// apiRefusals are answers of the API that no code explains.
func apiRefusals() []sinktest.Refusal {
	return []sinktest.Refusal{
		{Fault: sinktest.Fault{Status: 200, Body: "<html>Sign in</html>"}, Want: sinks.VerdictMisconfigured, Says: "something else answers"},
		{Fault: sinktest.Fault{Status: 200}, Want: sinks.VerdictMisconfigured, Says: "something else answers"},
		{Fault: sinktest.Fault{Status: 200, Body: "[]"}, Want: sinks.VerdictMisconfigured, Says: "something else answers"},
		{Fault: sinktest.Fault{Status: 200, Body: `{"ok":true}`}, Want: sinks.VerdictAmbiguous, Says: "does not say where"},
		{Fault: sinktest.Fault{Status: 200, Body: `{"ok":false}`}, Want: sinks.VerdictAmbiguous, Says: "does not say where"},
		{Fault: sinktest.Fault{Status: 200, Body: `{"ok":false,"error":"` + strings.Repeat("x", 60_000) + `"}`}, Want: sinks.VerdictRetry, Says: "xxx…"},
		{Fault: sinktest.Fault{Status: 200, Body: `{"ok":false,"error":"invalid_blocks","response_metadata":{"messages":["[ERROR] no more than 50 items"]}}`}, Want: sinks.VerdictPermanent, Says: "no more than 50 items"},
		{Fault: sinktest.Fault{Status: 404}, Want: sinks.VerdictMisconfigured, Says: "check api_url"},
		{Fault: sinktest.Fault{Status: 204}, Want: sinks.VerdictAmbiguous, Says: ""},
		{Fault: sinktest.Fault{Status: 502, Body: "<html>"}, Want: sinks.VerdictAmbiguous, Says: "502"}, // HTML of an error
	}
}

// hookRefusals are answers of an incoming webhook.
func hookRefusals() []sinktest.Refusal {
	refusals := []sinktest.Refusal{
		{Fault: sinktest.Fault{Status: 400, Body: "invalid_payload"}, Want: sinks.VerdictPermanent, Says: "invalid_payload"},
		{Fault: sinktest.Fault{Status: 400, Body: "invalid_blocks"}, Want: sinks.VerdictPermanent, Says: "invalid_blocks"},
		{Fault: sinktest.Fault{Status: 400, Body: "invalid_token"}, Want: sinks.VerdictMisconfigured, Says: "make a new webhook"},
		{Fault: sinktest.Fault{Status: 403, Body: "action_prohibited"}, Want: sinks.VerdictMisconfigured, Says: "action_prohibited"},
		{Fault: sinktest.Fault{Status: 404, Body: "no_service"}, Want: sinks.VerdictMisconfigured, Says: "was revoked"},
		{Fault: sinktest.Fault{Status: 410, Body: "channel_is_archived"}, Want: sinks.VerdictMisconfigured, Says: "is archived"},
		{Fault: sinktest.Fault{Status: 429}, Want: sinks.VerdictThrottled, After: 30 * time.Second, Says: "429"},
		{Fault: sinktest.Fault{Status: 500, Body: "rollup_error"}, Want: sinks.VerdictAmbiguous, Says: "rollup_error"},
		{Fault: sinktest.Fault{Status: 200, Body: "<html>Sign in</html>"}, Want: sinks.VerdictMisconfigured, Says: "something else answers"},
	}
	for i := range refusals {
		refusals[i].Header = http.Header{"Content-Type": {"text/plain"}, "Retry-After": {"30"}}
	}
	return refusals
}

func TestMistakes(t *testing.T) {
	good := Config{Token: token, Channel: "security-alerts"}
	for _, channel := range []string{"security-alerts", "#security", "C0123456789", "G0123456789", "D0123456789", "сигналы", "警報"} {
		c := good
		c.Channel = channel
		if err := c.Validate(); err != nil {
			t.Errorf("%s: nothing is wrong: %v", channel, err)
		}
	}
	hook := secret.URL("https://hooks.slack.com/services/T0/B0/xyzzy")
	wrong := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(wrong, []byte("xapp-xyzzy\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	sinktest.Mistakes(t, good, func(c Config) error {
		_, err := New(c, message.Wording{})
		return err
	}, map[string][]func(c *Config){
		"token: missing; want the bot token": {func(c *Config) { *c = Config{} }},
		"token: want the bot token": {
			func(c *Config) { c.Token = "xapp-xyzzy" },
			func(c *Config) { c.Token = "Bearer xoxb-xyzzy" },
			func(c *Config) { c.Token = "xoxb-xyzzy\nx" },
		},
		"token_file: want the bot token": {func(c *Config) { c.Token, c.TokenFile = "", wrong }},
		"token_file: set beside token":   {func(c *Config) { c.TokenFile = "x" }},
		"token_file: open missing":       {func(c *Config) { c.Token, c.TokenFile = "", "missing" }},
		"channel: missing; want the ID":  {func(c *Config) { c.Channel = "" }},
		"channel: want the ID": {
			func(c *Config) { c.Channel = "Security Team" },
			func(c *Config) { c.Channel = "<#C0123456789>" },
		},
		"url: set beside token":                               {func(c *Config) { c.URL = hook }},
		"channel: an incoming webhook posts to":               {func(c *Config) { c.Token, c.URL = "", hook }},
		"url: want a URL":                                     {func(c *Config) { c.Token, c.Channel, c.URL = "", "", "hooks.slack.com/xyzzy" }},
		"url_file: set beside url":                            {func(c *Config) { c.Token, c.Channel, c.URL, c.URLFile = "", "", hook, "x" }},
		"api_url: want https://slack.com/api/":                {func(c *Config) { c.APIURL = "slack.com" }},
		"templates.body: no such part; known are title, text": {func(c *Config) { c.Templates = message.Templates{"body": "x"} }},
	})
}
