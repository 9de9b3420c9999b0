package slack

import (
	"maps"
	"net/http"
	"strings"
	"testing"

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
	for name, f := range map[string]struct {
		sinktest.Fault
		want sinks.Verdict
		says string
	}{
		"a page where JSON was due": {sinktest.Fault{Status: 200, Body: "<html>Sign in</html>"}, sinks.VerdictMisconfigured, "something else answers"},
		"nothing":                   {sinktest.Fault{Status: 200}, sinks.VerdictMisconfigured, "something else answers"},
		"a list":                    {sinktest.Fault{Status: 200, Body: "[]"}, sinks.VerdictMisconfigured, "something else answers"},
		"no message":                {sinktest.Fault{Status: 200, Body: `{"ok":true}`}, sinks.VerdictAmbiguous, "does not say where"},
		"no error":                  {sinktest.Fault{Status: 200, Body: `{"ok":false}`}, sinks.VerdictAmbiguous, "does not say where"},
		"an error of no end":        {sinktest.Fault{Status: 200, Body: `{"ok":false,"error":"` + strings.Repeat("x", 60_000) + `"}`}, sinks.VerdictRetry, "xxx…"},
		"its hints":                 {sinktest.Fault{Status: 200, Body: `{"ok":false,"error":"invalid_blocks","response_metadata":{"messages":["[ERROR] no more than 50 items"]}}`}, sinks.VerdictPermanent, "no more than 50 items"},
		"a wrong address":           {sinktest.Fault{Status: 404}, sinks.VerdictMisconfigured, "check api_url"},
		"another status of success": {sinktest.Fault{Status: 204}, sinks.VerdictAmbiguous, ""},
		"HTML of an error":          {sinktest.Fault{Status: 502, Body: "<html>"}, sinks.VerdictAmbiguous, "502"},
	} {
		s, _, server := newTestSink(t, Config{})
		server.Inject(f.Fault)
		_, err := s.Send(t.Context(), sinktest.Story("bob")[0], "")
		if v, _ := sinks.VerdictOf(err); v != f.want || !strings.Contains(err.Error(), f.says) || len(err.Error()) > 1000 {
			t.Errorf("%s: %s, want %s: %v", name, v, f.want, err)
		}
		sinktest.Hushed(t, err.Error())
	}
}

func TestHookErrors(t *testing.T) {
	for _, tt := range []struct {
		sinktest.Fault
		want sinks.Verdict
		says string
	}{
		{sinktest.Fault{Status: 400, Body: "invalid_payload"}, sinks.VerdictPermanent, "invalid_payload"},
		{sinktest.Fault{Status: 400, Body: "invalid_blocks"}, sinks.VerdictPermanent, "invalid_blocks"},
		{sinktest.Fault{Status: 400, Body: "invalid_token"}, sinks.VerdictMisconfigured, "make a new webhook"},
		{sinktest.Fault{Status: 403, Body: "action_prohibited"}, sinks.VerdictMisconfigured, "action_prohibited"},
		{sinktest.Fault{Status: 404, Body: "no_service"}, sinks.VerdictMisconfigured, "was revoked"},
		{sinktest.Fault{Status: 410, Body: "channel_is_archived"}, sinks.VerdictMisconfigured, "is archived"},
		{sinktest.Fault{Status: 429, Header: http.Header{"Retry-After": {"30"}}}, sinks.VerdictThrottled, "429"},
		{sinktest.Fault{Status: 500, Body: "rollup_error"}, sinks.VerdictAmbiguous, "rollup_error"},
		{sinktest.Fault{Status: 200, Body: "<html>Sign in</html>"}, sinks.VerdictMisconfigured, "something else answers"},
	} {
		tt.Header = maps.Clone(tt.Header)
		if tt.Header == nil {
			tt.Header = http.Header{}
		}
		tt.Header.Set("Content-Type", "text/plain")
		server := sinktest.NewHTTPServer(t, &server{})
		s, err := New(Config{URLFile: sinktest.SecretFile(t, server.URL+sinktest.HushPath+"\n")}, message.Wording{})
		if err != nil {
			t.Fatal(err)
		}
		server.Inject(tt.Fault)
		ref, err := s.Send(t.Context(), sinktest.Story("bob")[0], "")
		if v, _ := sinks.VerdictOf(err); v != tt.want || !strings.Contains(err.Error(), tt.says) || ref != "" {
			t.Errorf("%d %s: %s, want %s: %v", tt.Status, tt.Body, v, tt.want, err)
		}
		sinktest.Hushed(t, err.Error())
		_ = s.Close()
	}
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
	tests := map[string]sinktest.Mistake[Config]{
		"nothing":                 {Spoil: func(c *Config) { *c = Config{} }, Want: "token: missing; want the bot token"},
		"a token of another kind": {Spoil: func(c *Config) { c.Token = "xapp-xyzzy" }, Want: "token: want the bot token"},
		"a header's token":        {Spoil: func(c *Config) { c.Token = "Bearer xoxb-xyzzy" }, Want: "token: want the bot token"},
		"a broken token":          {Spoil: func(c *Config) { c.Token = "xoxb-xyzzy\nx" }, Want: "token: want the bot token"},
		"two tokens":              {Spoil: func(c *Config) { c.TokenFile = "x" }, Want: "token_file: set beside token"},
		"no file":                 {Spoil: func(c *Config) { c.Token, c.TokenFile = "", "missing" }, Want: "token_file: open missing"},
		"no channel":              {Spoil: func(c *Config) { c.Channel = "" }, Want: "channel: missing; want the ID"},
		"a display name":          {Spoil: func(c *Config) { c.Channel = "Security Team" }, Want: "channel: want the ID"},
		"a mention":               {Spoil: func(c *Config) { c.Channel = "<#C0123456789>" }, Want: "channel: want the ID"},
		"token and webhook":       {Spoil: func(c *Config) { c.URL = hook }, Want: "url: set beside token"},
		"channel and webhook":     {Spoil: func(c *Config) { c.Token, c.URL = "", hook }, Want: "channel: an incoming webhook posts to"},
		"no URL":                  {Spoil: func(c *Config) { c.Token, c.Channel, c.URL = "", "", "hooks.slack.com/xyzzy" }, Want: "url: want a URL"},
		"two URLs":                {Spoil: func(c *Config) { c.Token, c.Channel, c.URL, c.URLFile = "", "", hook, "x" }, Want: "url_file: set beside url"},
		"no API":                  {Spoil: func(c *Config) { c.APIURL = "slack.com" }, Want: "api_url: want https://slack.com/api/"},
		"template":                {Spoil: func(c *Config) { c.Templates = message.Templates{"body": "x"} }, Want: "templates.body: no such part; known are title, text"},
	}
	sinktest.Mistakes(t, good, tests, func(c Config) error {
		_, err := New(c, message.Wording{})
		return err
	})
}
