package sinks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
)

// A slackClient is Slack's API under one token.
type slackClient struct {
	*slack.Client
	token string
}

// client is the API under the token as it is now, over the sink's connections.
func (s *Slack) client() (slackClient, error) {
	token, err := s.config.token()
	if err != nil {
		return slackClient{}, err
	}
	return slackClient{slack.New(token, slack.OptionAPIURL(s.config.APIURL), slack.OptionHTTPClient(slackHTTP{s.http, token})), token}, nil
}

// A slackHTTP is how the library reaches Slack: as every HTTP channel does, so
// that what is no success comes back as an error with its verdict.
type slackHTTP struct {
	http  *poster
	token string
}

// maxSlackReply is what is read of a reply: one of conversations.history holds
// whole messages.
const maxSlackReply = 4 << 20

func (h slackHTTP) Do(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	got, err := h.http.post(r.Context(), request{
		method: r.Method, url: r.URL.String(), header: r.Header, body: body, secrets: []string{h.token}, bound: maxSlackReply,
	})
	switch {
	case got.status == http.StatusNotFound, got.status == http.StatusMethodNotAllowed:
		return nil, Misconfigured(fmt.Errorf("%w; check api_url", err))
	case err != nil:
		return nil, err
	}
	return &http.Response{StatusCode: got.status, Header: got.header, Body: io.NopCloser(bytes.NewReader(got.body)), Request: r}, nil
}

// tell brings one channel up to the alert.
func (s *Slack) tell(ctx context.Context, c slackClient, channel string, a *processor.Alert, place *slackPlace) error {
	if place.Told == a.ID {
		return nil
	}
	if place.TS == "" {
		return s.begin(ctx, c, channel, a, place)
	}
	edit := s.standing(a, place.slackBegin)
	err := s.edit(ctx, c, *place, edit)
	gone := slackCode(err, "message_not_found", "cant_update_message", "edit_window_closed")
	if err != nil && !gone {
		return err
	}
	maybe, err := s.lookUp(ctx, c, place.Channel, place.TS, a)
	if err != nil {
		return err
	}
	if maybe.found == "" {
		answer := s.message(a, maybe.possible)
		answer.thread, answer.broadcast = place.TS, gone || slackLoud(a.Step)
		posted, err := s.post(ctx, c, place.Channel, answer)
		if slackCode(err, "message_not_found", "thread_not_found", "cannot_reply_to_message", "restricted_action_thread_locked", "restricted_action_non_threadable_channel") {
			return s.begin(ctx, c, channel, a, place)
		}
		if err != nil {
			return err
		}
		if gone && posted.thread != place.TS { // what it answers was deleted: it stands by itself
			place.TS = posted.ts
		}
	}
	place.Told = a.ID
	return nil
}

// slackLoud reports whether a step is shown in the channel, not in the thread
// alone: an edit tells nobody.
func slackLoud(s exposure.Step) bool {
	return s == exposure.Opened || s == exposure.Escalated || s == exposure.Exploited || s == exposure.Campaign
}

// begin posts a message by itself.
func (s *Slack) begin(ctx context.Context, c slackClient, channel string, a *processor.Alert, place *slackPlace) error {
	maybe, err := s.lookUp(ctx, c, channel, "", a)
	if err != nil {
		return err
	}
	m := s.message(a, maybe.possible)
	at := slackPosted{channel: channel, ts: maybe.found}
	if maybe.found == "" {
		if at, err = s.post(ctx, c, channel, m); err != nil {
			return err
		}
	}
	*place = slackPlace{Channel: at.channel, TS: at.ts, Told: a.ID, slackBegin: m.begin}
	return nil
}

// A slackPosted is where a message came to stand.
type slackPosted struct{ channel, ts, thread string }

// post posts a message, into a thread if it names one.
func (s *Slack) post(ctx context.Context, c slackClient, channel string, m slackMessage) (slackPosted, error) {
	options := append(m.options(), slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl(), slack.MsgOptionDisableMarkdown())
	if m.thread != "" {
		options = append(options, slack.MsgOptionTS(m.thread))
		if m.broadcast {
			options = append(options, slack.MsgOptionBroadcast())
		}
	}
	id, ts, message, err := c.PostMessageWithResponseContext(ctx, channel, options...)
	if err == nil && (ts == "" || id == "") {
		err = Ambiguous(errors.New("the answer does not say where the message is"))
	}
	return slackPosted{id, ts, message.ThreadTimestamp}, s.verdict("chat.postMessage", err)
}

// edit changes the message at the place.
func (s *Slack) edit(ctx context.Context, c slackClient, at slackPlace, m slackMessage) error {
	_, _, _, err := c.UpdateMessageContext(ctx, at.Channel, at.TS, m.options()...)
	return s.verdict("chat.update", err)
}

// slackSeen is what looking for a message came to.
type slackSeen struct {
	found    string // its ts
	possible bool   // it may be there, and could not be looked for
}

// maxSlackLook is how many messages are looked at.
const maxSlackLook = 100

// lookUp looks for the message about the alert, in the thread or in the channel,
// if it may be there already.
func (s *Slack) lookUp(ctx context.Context, c slackClient, channel, thread string, a *processor.Alert) (slackSeen, error) {
	if !perhapsArrived(ctx) {
		return slackSeen{}, nil
	}
	oldest := strconv.FormatInt(a.Time.Add(-5*time.Minute).Unix(), 10)
	var messages []slack.Message
	var more bool
	var err error
	if thread == "" {
		var history *slack.GetConversationHistoryResponse
		history, err = c.GetConversationHistoryContext(ctx, &slack.GetConversationHistoryParameters{ChannelID: channel, Oldest: oldest, Limit: maxSlackLook, IncludeAllMetadata: true})
		if err == nil {
			messages, more = history.Messages, history.HasMore
		}
	} else {
		messages, more, _, err = c.GetConversationRepliesContext(ctx, &slack.GetConversationRepliesParameters{ChannelID: channel, Timestamp: thread, Oldest: oldest, Limit: maxSlackLook, IncludeAllMetadata: true})
	}
	if _, refused := errors.AsType[slack.SlackErrorResponse](err); refused && !slackCode(err, slackThrottles...) {
		return slackSeen{possible: true}, nil
	}
	if err != nil {
		return slackSeen{}, s.verdict("conversations.history", err)
	}
	for _, m := range messages {
		if m.Metadata.EventType == slackEvent && m.Metadata.EventPayload["alert"] == a.ID {
			return slackSeen{found: m.Timestamp}, nil
		}
	}
	return slackSeen{possible: more}, nil
}

// hook posts through an incoming webhook. The ref says that something was
// posted.
func (s *Slack) hook(ctx context.Context, a *processor.Alert, ref string) (string, error) {
	if err := s.postHook(ctx, s.message(a, perhapsArrived(ctx))); err != nil {
		return ref, err
	}
	return "posted", nil
}

func (s *Slack) postHook(ctx context.Context, m slackMessage) error {
	address, err := s.config.address()
	if err != nil {
		return Misconfigured(err)
	}
	no := false
	body, err := json.Marshal(slack.WebhookMessage{
		Text: m.text, Blocks: &slack.Blocks{BlockSet: m.blocks}, Attachments: []slack.Attachment{m.details}, Parse: "none", UnfurlLinks: &no, UnfurlMedia: &no,
	})
	if err != nil {
		return Permanent(fmt.Errorf("encode the message: %w", err))
	}
	got, err := s.http.post(ctx, request{url: address, header: http.Header{"Content-Type": {"application/json"}}, body: body})
	return slackHookVerdict(got, err)
}

// slackHookVerdict is judgeStatus with what an incoming webhook means otherwise.
func slackHookVerdict(got reply, err error) error {
	said := strings.TrimSpace(string(got.body))
	switch {
	case got.status == http.StatusNotFound:
		return Misconfigured(fmt.Errorf("%w; the webhook was revoked, or its channel deleted: make a new one, and correct url", err))
	case got.status == http.StatusMethodNotAllowed:
		return Misconfigured(fmt.Errorf("%w; check url", err))
	case got.status == http.StatusGone:
		return Misconfigured(fmt.Errorf("%w; the channel is archived: make a webhook for another one, and correct url", err))
	case got.status == http.StatusBadRequest && slices.Contains([]string{"invalid_token", "no_active_hooks", "user_not_found", "channel_not_found", "no_service", "no_team"}, said):
		return Misconfigured(fmt.Errorf("%w; make a new webhook, and correct url", err))
	case err == nil && strings.HasPrefix(said, "<"):
		return Misconfigured(errors.New("answered with a page of HTML: something else answers in Slack's place; check url and the proxy"))
	}
	return err
}
