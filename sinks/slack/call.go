package slack

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
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/httpsend"
)

// A client is Slack's API under one token.
type client struct {
	*slack.Client
	token string
}

// client is the API under the token as it is now, over the sink's connections.
func (s *Sink) client() (client, error) {
	token, err := s.config.token()
	if err != nil {
		return client{}, err
	}
	return client{slack.New(token, slack.OptionAPIURL(s.config.APIURL), slack.OptionHTTPClient(apiHTTP{s.http, token})), token}, nil
}

// A apiHTTP is how the library reaches Slack: as every HTTP channel does, so
// that a failure comes back as an error with its verdict.
type apiHTTP struct {
	http  *httpsend.Client
	token string
}

// maxReply bounds a reply: one of conversations.history holds whole messages.
const maxReply = 4 << 20

func (h apiHTTP) Do(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	got, err := h.http.Send(r.Context(), httpsend.Request{
		Method: r.Method, URL: r.URL.String(), Header: r.Header, Body: body, Secrets: []string{h.token}, Bound: maxReply,
	})
	switch {
	case got.Status == http.StatusNotFound, got.Status == http.StatusMethodNotAllowed:
		return nil, sinks.Misconfigured(fmt.Errorf("%w; check api_url", err))
	case err != nil:
		return nil, err
	}
	return &http.Response{StatusCode: got.Status, Header: got.Header, Body: io.NopCloser(bytes.NewReader(got.Body)), Request: r}, nil
}

// update brings the message in one channel up to date with the alert.
func (s *Sink) update(ctx context.Context, c client, channel string, a *processor.Alert, place *reference) error {
	if place.Sent == a.ID {
		return nil
	}
	if place.TS == "" {
		return s.begin(ctx, c, channel, a, place)
	}
	edit := s.standing(a, place.beginning)
	err := s.edit(ctx, c, *place, edit)
	gone := isCode(err, "message_not_found", "cant_update_message", "edit_window_closed")
	if err != nil && !gone {
		return err
	}
	maybe, err := s.lookUp(ctx, c, place.Channel, place.TS, a)
	if err != nil {
		return err
	}
	if maybe.found == "" {
		answer := s.message(a, maybe.possible)
		answer.thread, answer.broadcast = place.TS, gone || loud(a.Step)
		posted, err := s.post(ctx, c, place.Channel, answer)
		if isCode(err, "message_not_found", "thread_not_found", "cannot_reply_to_message", "restricted_action_thread_locked", "restricted_action_non_threadable_channel") {
			return s.begin(ctx, c, channel, a, place)
		}
		if err != nil {
			return err
		}
		if gone && posted.thread != place.TS { // what it answers was deleted: it stands by itself
			place.TS = posted.ts
		}
	}
	place.Sent = a.ID
	return nil
}

// loud reports whether a step is shown in the channel, not in the thread
// alone: an edit notifies no one.
func loud(s exposure.Step) bool {
	return s == exposure.Opened || s == exposure.Escalated || s == exposure.Suspect || s == exposure.Exploited || s == exposure.StepCampaign
}

// begin posts a message by itself.
func (s *Sink) begin(ctx context.Context, c client, channel string, a *processor.Alert, place *reference) error {
	maybe, err := s.lookUp(ctx, c, channel, "", a)
	if err != nil {
		return err
	}
	m := s.message(a, maybe.possible)
	at := postedAlready{channel: channel, ts: maybe.found}
	if maybe.found == "" {
		if at, err = s.post(ctx, c, channel, m); err != nil {
			return err
		}
	}
	*place = reference{Channel: at.channel, TS: at.ts, Sent: a.ID, beginning: m.begin}
	return nil
}

// A postedAlready is where a message came to stand.
type postedAlready struct{ channel, ts, thread string }

// post posts a message, into a thread if it names one.
func (s *Sink) post(ctx context.Context, c client, channel string, m post) (postedAlready, error) {
	options := append(m.options(), slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl(), slack.MsgOptionDisableMarkdown())
	if m.thread != "" {
		options = append(options, slack.MsgOptionTS(m.thread))
		if m.broadcast {
			options = append(options, slack.MsgOptionBroadcast())
		}
	}
	id, ts, message, err := c.PostMessageWithResponseContext(ctx, channel, options...)
	if err == nil && (ts == "" || id == "") {
		err = sinks.Ambiguous(errors.New("the answer does not say where the message is"))
	}
	return postedAlready{id, ts, message.ThreadTimestamp}, s.verdict("chat.postMessage", err)
}

// edit changes the message at the place.
func (s *Sink) edit(ctx context.Context, c client, at reference, m post) error {
	_, _, _, err := c.UpdateMessageContext(ctx, at.Channel, at.TS, m.options()...)
	return s.verdict("chat.update", err)
}

// posted is the result of a search for a message.
type posted struct {
	found    string // its ts
	possible bool   // it may be there, and could not be looked for
}

// maxFetched is how many messages are looked at.
const maxFetched = 100

// lookUp looks for the message about the alert, in the thread or in the channel,
// if it may be there already.
func (s *Sink) lookUp(ctx context.Context, c client, channel, thread string, a *processor.Alert) (posted, error) {
	if !sinks.PerhapsArrived(ctx) {
		return posted{}, nil
	}
	oldest := strconv.FormatInt(a.Time.Add(-5*time.Minute).Unix(), 10)
	var messages []slack.Message
	var more bool
	var err error
	if thread == "" {
		var history *slack.GetConversationHistoryResponse
		history, err = c.GetConversationHistoryContext(ctx, &slack.GetConversationHistoryParameters{ChannelID: channel, Oldest: oldest, Limit: maxFetched, IncludeAllMetadata: true})
		if err == nil {
			messages, more = history.Messages, history.HasMore
		}
	} else {
		messages, more, _, err = c.GetConversationRepliesContext(ctx, &slack.GetConversationRepliesParameters{ChannelID: channel, Timestamp: thread, Oldest: oldest, Limit: maxFetched, IncludeAllMetadata: true})
	}
	if _, refused := errors.AsType[slack.SlackErrorResponse](err); refused && !isCode(err, throttles...) {
		return posted{possible: true}, nil
	}
	if err != nil {
		return posted{}, s.verdict("conversations.history", err)
	}
	for _, m := range messages {
		if m.Metadata.EventType == eventType && m.Metadata.EventPayload["alert"] == a.ID {
			return posted{found: m.Timestamp}, nil
		}
	}
	return posted{possible: more}, nil
}

// postHook posts through an incoming webhook.
func (s *Sink) postHook(ctx context.Context, m post) error {
	address, err := s.config.address()
	if err != nil {
		return sinks.Misconfigured(err)
	}
	no := false
	body, err := json.Marshal(slack.WebhookMessage{
		Text: m.text, Blocks: &slack.Blocks{BlockSet: m.blocks}, Attachments: []slack.Attachment{m.details}, Parse: "none", UnfurlLinks: &no, UnfurlMedia: &no,
	})
	if err != nil {
		return sinks.Permanent(fmt.Errorf("encode the message: %w", err))
	}
	got, err := s.http.Send(ctx, httpsend.Request{URL: address, Header: http.Header{"Content-Type": {"application/json"}}, Body: body})
	return hookVerdict(got, err)
}

// hookVerdict adds the exceptions of an incoming webhook to httpsend.StatusError.
func hookVerdict(got httpsend.Reply, err error) error {
	said := strings.TrimSpace(string(got.Body))
	switch {
	case got.Status == http.StatusNotFound:
		return sinks.Misconfigured(fmt.Errorf("%w; the webhook was revoked, or its channel deleted: make a new one, and correct url", err))
	case got.Status == http.StatusMethodNotAllowed:
		return sinks.Misconfigured(fmt.Errorf("%w; check url", err))
	case got.Status == http.StatusGone:
		return sinks.Misconfigured(fmt.Errorf("%w; the channel is archived: make a webhook for another one, and correct url", err))
	case got.Status == http.StatusBadRequest && slices.Contains([]string{"invalid_token", "no_active_hooks", "user_not_found", "channel_not_found", "no_service", "no_team"}, said):
		return sinks.Misconfigured(fmt.Errorf("%w; make a new webhook, and correct url", err))
	case err == nil && got.IsPage():
		return sinks.Misconfigured(errors.New("answered with a page of HTML: something else answers in Slack's place; check url and the proxy"))
	}
	return err
}
