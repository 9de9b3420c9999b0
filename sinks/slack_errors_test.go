package sinks

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Every error of the documentation, with its verdict and the next step.
func TestSlackErrors(t *testing.T) {
	for codes, want := range map[string]struct {
		own, other verdict // of the configuration's channel, of a route's
		says       string
	}{
		"ratelimited rate_limited message_limit_exceeded":           {throttled, throttled, ""},
		"internal_error fatal_error":                                {ambiguous, ambiguous, ""},
		"request_timeout service_unavailable team_added_to_org new": {retry, retry, ""},
		"invalid_auth not_authed":                                   {misconfigured, misconfigured, "check token"},
		"token_revoked account_inactive":                            {misconfigured, misconfigured, "install it again"},
		"token_expired missing_scope no_permission access_denied":   {misconfigured, misconfigured, ""},
		"channel_not_found":                                         {misconfigured, misconfigured, "check channel"},
		"not_in_channel":                                            {misconfigured, misconfigured, "/invite"},
		"is_archived restricted_action":                             {misconfigured, misconfigured, "channel"},
		"msg_too_long msg_blocks_too_long invalid_blocks no_text":   {permanent, permanent, ""},
	} {
		for code := range strings.FieldsSeq(codes) {
			s, fake, _ := newTestSlack(t, SlackConfig{})
			other, err := s.To([]string{slackRoom})
			if err != nil {
				t.Fatal(err)
			}
			for sink, want := range map[Sink]verdict{s: want.own, other: want.other} {
				fake.refuse["chat.postMessage"] = []string{code}
				_, err := sink.Send(t.Context(), conformStory("bob")[0], "")
				if v, _ := judge(err); v != want || !strings.Contains(err.Error(), "Slack refused: "+code) {
					t.Errorf("%s: %s, want %s: %v", code, v, want, err)
				}
			}
			fake.refuse["chat.postMessage"] = []string{code}
			if _, err := s.Send(t.Context(), conformStory("bob")[0], ""); !strings.Contains(err.Error(), want.says) {
				t.Errorf("%s: no next step: %v", code, err)
			}
		}
	}
	for name, f := range map[string]struct {
		fault
		want verdict
		says string
	}{
		"a page where JSON was due": {fault{status: 200, body: "<html>Sign in</html>"}, misconfigured, "something else answers"},
		"nothing":                   {fault{status: 200}, misconfigured, "something else answers"},
		"a list":                    {fault{status: 200, body: "[]"}, misconfigured, "something else answers"},
		"no message":                {fault{status: 200, body: `{"ok":true}`}, ambiguous, "does not say where"},
		"no error":                  {fault{status: 200, body: `{"ok":false}`}, ambiguous, "does not say where"},
		"an error of no end":        {fault{status: 200, body: `{"ok":false,"error":"` + strings.Repeat("x", 60_000) + `"}`}, retry, "xxx…"},
		"its hints":                 {fault{status: 200, body: `{"ok":false,"error":"invalid_blocks","response_metadata":{"messages":["[ERROR] no more than 50 items"]}}`}, permanent, "no more than 50 items"},
		"a wrong address":           {fault{status: 404}, misconfigured, "check api_url"},
		"another status of success": {fault{status: 204}, ambiguous, ""},
		"HTML of an error":          {fault{status: 502, body: "<html>"}, ambiguous, "502"},
	} {
		s, _, server := newTestSlack(t, SlackConfig{})
		server.inject(f.fault)
		_, err := s.Send(t.Context(), conformStory("bob")[0], "")
		if v, _ := judge(err); v != f.want || !strings.Contains(err.Error(), f.says) || len(err.Error()) > 1000 {
			t.Errorf("%s: %s, want %s: %v", name, v, f.want, err)
		}
		hushed(t, err.Error())
	}
}

func TestSlackHookErrors(t *testing.T) {
	for _, tt := range []struct {
		fault
		want verdict
		says string
	}{
		{fault{status: 400, body: "invalid_payload"}, permanent, "invalid_payload"},
		{fault{status: 400, body: "invalid_blocks"}, permanent, "invalid_blocks"},
		{fault{status: 400, body: "invalid_token"}, misconfigured, "make a new webhook"},
		{fault{status: 403, body: "action_prohibited"}, misconfigured, "action_prohibited"},
		{fault{status: 404, body: "no_service"}, misconfigured, "was revoked"},
		{fault{status: 410, body: "channel_is_archived"}, misconfigured, "is archived"},
		{fault{status: 429, header: http.Header{"Retry-After": {"30"}}}, throttled, "429"},
		{fault{status: 500, body: "rollup_error"}, ambiguous, "rollup_error"},
		{fault{status: 200, body: "<html>Sign in</html>"}, misconfigured, "something else answers"},
	} {
		tt.header = maps.Clone(tt.header)
		if tt.header == nil {
			tt.header = http.Header{}
		}
		tt.header.Set("Content-Type", "text/plain")
		server := newFaultyServer(t, &slackServer{})
		s, err := NewSlack(SlackConfig{URLFile: secretFile(t, server.URL+hushPath+"\n")}, Wording{})
		if err != nil {
			t.Fatal(err)
		}
		server.inject(tt.fault)
		ref, err := s.Send(t.Context(), conformStory("bob")[0], "")
		if v, _ := judge(err); v != tt.want || !strings.Contains(err.Error(), tt.says) || ref != "" {
			t.Errorf("%d %s: %s, want %s: %v", tt.status, tt.body, v, tt.want, err)
		}
		hushed(t, err.Error())
		_ = s.Close()
	}
}

func TestSlackMistakes(t *testing.T) {
	good := SlackConfig{Token: slackToken, Channel: "security-alerts"}
	for _, channel := range []string{"security-alerts", "#security", "C0123456789", "G0123456789", "D0123456789", "сигналы", "警報"} {
		c := good
		c.Channel = channel
		if err := c.Validate(); err != nil {
			t.Errorf("%s: nothing is wrong: %v", channel, err)
		}
	}
	hook := SecretURL("https://hooks.slack.com/services/T0/B0/xyzzy")
	tests := map[string]chatMistake[SlackConfig]{
		"nothing":                 {func(c *SlackConfig) { *c = SlackConfig{} }, "token: missing; want the bot token"},
		"a token of another kind": {func(c *SlackConfig) { c.Token = "xapp-xyzzy" }, "token: want the bot token"},
		"a header's token":        {func(c *SlackConfig) { c.Token = "Bearer xoxb-xyzzy" }, "token: want the bot token"},
		"a broken token":          {func(c *SlackConfig) { c.Token = "xoxb-xyzzy\nx" }, "token: want the bot token"},
		"two tokens":              {func(c *SlackConfig) { c.TokenFile = "x" }, "token_file: set beside token"},
		"no file":                 {func(c *SlackConfig) { c.Token, c.TokenFile = "", "missing" }, "token_file: open missing"},
		"no channel":              {func(c *SlackConfig) { c.Channel = "" }, "channel: missing; want the ID"},
		"a display name":          {func(c *SlackConfig) { c.Channel = "Security Team" }, "channel: want the ID"},
		"a mention":               {func(c *SlackConfig) { c.Channel = "<#C0123456789>" }, "channel: want the ID"},
		"token and webhook":       {func(c *SlackConfig) { c.URL = hook }, "url: set beside token"},
		"channel and webhook":     {func(c *SlackConfig) { c.Token, c.URL = "", hook }, "channel: an incoming webhook posts to"},
		"no URL":                  {func(c *SlackConfig) { c.Token, c.Channel, c.URL = "", "", "hooks.slack.com/xyzzy" }, "url: want a URL"},
		"two URLs":                {func(c *SlackConfig) { c.Token, c.Channel, c.URL, c.URLFile = "", "", hook, "x" }, "url_file: set beside url"},
		"no API":                  {func(c *SlackConfig) { c.APIURL = "slack.com" }, "api_url: want https://slack.com/api/"},
		"template":                {func(c *SlackConfig) { c.Templates = Templates{"body": "x"} }, "templates.body: no such part; known are title, text"},
		"wait":                    {func(c *SlackConfig) { c.ConnectTimeout = time.Hour }, "connect_timeout: want"},
	}
	chatMistakes(t, good, tests, func(c SlackConfig) error {
		_, err := NewSlack(c, Wording{})
		return err
	})
}
