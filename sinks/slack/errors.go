package slack

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/slack-go/slack"

	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/httpsend"
)

// What the errors of Slack's Web API mean: docs.slack.dev, chat.postMessage and
// chat.update. Errors in none of the lists are tried again.
var (
	throttles = []string{"ratelimited", "rate_limited", "message_limit_exceeded"}

	// The server says that part of it may have been done.
	maybes = []string{"internal_error", "fatal_error"}

	refusals = []string{ // of us, whatever we say
		"invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive", "not_allowed_token_type", "missing_scope", "no_permission",
		"access_denied", "accesslimited", "ekm_access_denied", "enterprise_is_restricted", "team_access_not_granted", "two_factor_setup_required",
		"org_login_required", "deprecated_endpoint", "method_deprecated", "user_is_bot",
	}
	noChannels = []string{ // of the channel
		"channel_not_found", "not_in_channel", "is_archived", "restricted_action", "restricted_action_read_only_channel",
		"restricted_action_thread_only_channel", "messages_tab_disabled", "cannot_dm_bot", "is_bot", "channel_is_limited_access",
	}
	noMessages = []string{ // of the message
		"msg_too_long", "msg_blocks_too_long", "invalid_blocks", "invalid_blocks_format", "no_text", "too_many_attachments", "invalid_attachments",
		"invalid_metadata_format", "invalid_metadata_schema", "metadata_too_large", "metadata_must_be_sent_from_app", "markdown_text_conflict",
		"invalid_arguments", "invalid_arg_name", "invalid_array_arg", "invalid_charset", "invalid_form_data", "invalid_post_type", "missing_post_type",
	}
)

// hints are the next step, by error.
var hints = map[string]string{
	"invalid_auth":     "check token: want the Bot User OAuth Token of the app",
	"not_authed":       "check token: want the Bot User OAuth Token of the app",
	"token_revoked":    "the app was removed, or its token revoked: install it again, and put its token in",
	"token_expired":    "the token has expired: use one without token rotation",
	"account_inactive": "the app was removed from the workspace: install it again, and put its token in",
	"channel_not_found": "check channel; a private channel is seen by its members alone: invite the app there (/invite), " +
		"and of a channel that was renamed or deleted want the ID",
	"not_in_channel":         "invite the app to the channel (/invite), or give it the scope chat:write.public",
	"is_archived":            "the channel is archived: name another one, or bring it back",
	"restricted_action":      "an administrator allows only some to post in the channel: allow the app, or name another channel",
	"not_allowed_token_type": "want a bot token (xoxb-…) for token",
}

// isCode reports whether err is one of the codes.
func isCode(err error, codes ...string) bool {
	refusal, ok := errors.AsType[slack.SlackErrorResponse](err)
	return ok && slices.Contains(codes, refusal.Err)
}

// verdict returns err, of a method, with its verdict. Slack's objections to the
// channel are the configuration's fault, which costs no alert.
func (s *Sink) verdict(method string, err error) error {
	if err == nil {
		return nil
	}
	_, posted := errors.AsType[*httpsend.Error](err)
	if v, _ := sinks.VerdictOf(err); v != sinks.VerdictRetry || posted {
		return fmt.Errorf("%s: %w", method, err)
	}
	refusal, ok := errors.AsType[slack.SlackErrorResponse](err)
	if !ok {
		return fmt.Errorf("%s: %w", method, unread(err))
	}
	said := fmt.Errorf("%s: Slack refused: %w%s", method, refusedBy{refusal}, hint(refusal))
	switch code := refusal.Err; {
	case slices.Contains(throttles, code):
		return sinks.Throttled(said, 0)
	case slices.Contains(maybes, code):
		return sinks.Ambiguous(said)
	case slices.Contains(refusals, code):
		return sinks.Misconfigured(said)
	case slices.Contains(noChannels, code):
		return sinks.Misconfigured(sinks.OfOne(said))
	case slices.Contains(noMessages, code):
		return sinks.Permanent(said)
	}
	return said
}

// A refusedBy shows its code, bounded: whatever answers chose it.
type refusedBy struct{ slack.SlackErrorResponse }

func (r refusedBy) Error() string { return safetext.Clean(r.Err, 100) }

func (r refusedBy) Unwrap() error { return r.SlackErrorResponse }

// hint returns the next step, with Slack's own words on it.
func hint(r slack.SlackErrorResponse) string {
	var words []string
	hint := hints[r.Err]
	if r.Err == "missing_scope" {
		hint = "add the scope " + safetext.Clean(cmp.Or(r.Needed, "chat:write"), 100) + " to the app (OAuth & Permissions), and install it again"
	}
	if hint != "" {
		words = append(words, hint)
	}
	for _, m := range r.ResponseMetadata.Messages {
		words = append(words, safetext.Clean(m, httpsend.MaxExcerpt))
	}
	if len(words) == 0 {
		return ""
	}
	return "; " + strings.Join(words[:min(len(words), 3)], "; ")
}

// unread is an answer of success that is none of Slack's.
func unread(err error) error {
	_, syntax := errors.AsType[*json.SyntaxError](err)
	_, kind := errors.AsType[*json.UnmarshalTypeError](err)
	if syntax || kind || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return sinks.Misconfigured(errors.New("the answer is no JSON: something else answers in Slack's place; check api_url and the proxy"))
	}
	return sinks.Ambiguous(err)
}
