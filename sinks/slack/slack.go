package slack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/httpsend"
	"github.com/mfawatch/mfawatch/sinks/message"
)

// Sink keeps a message for each exposure: edited as things go on, with each
// step answered in its thread.
type Sink struct {
	config     Config
	recipients []string // channels instead of the configuration's; nil: that
	words      message.Wording
	texts      message.Texts
	http       *httpsend.Client
	listed     *listedIn
}

var (
	_ sinks.Sink        = (*Sink)(nil)
	_ sinks.GroupSender = (*Sink)(nil)
)

// New returns a sink that words its alerts as w says. It makes no request. The caller
// closes it.
func New(c Config, w message.Wording) (*Sink, error) {
	c.APIURL = strings.TrimRight(cmp.Or(c.APIURL, api), "/") + "/"
	if err := c.Validate(); err != nil {
		return nil, err
	}
	texts, _ := c.Templates.Parse("title", "text") // which Validate accepted
	p, err := httpsend.New(c.Config)
	if err != nil {
		return nil, err
	}
	return &Sink{config: c, words: w, texts: texts, http: p, listed: &listedIn{posted: map[[2]string]bool{}}}, nil
}

// Close closes idle connections.
func (s *Sink) Close() error { return s.http.Close() }

// To is the sink for other channels. It is closed with s, and by itself need not
// be.
func (s *Sink) To(recipients []string) (sinks.Sink, error) {
	if s.config.hooked() {
		return nil, errors.New("recipients: an incoming webhook posts to the channel that it was made for; want token and channel in its place")
	}
	if len(recipients) == 0 {
		return nil, errors.New("recipients: missing; want channels of Slack")
	}
	for i, channel := range recipients {
		if err := channelProblem(fmt.Sprintf("recipients[%d]", i), channel); err != nil {
			return nil, err
		}
	}
	other := *s
	other.recipients = recipients
	return &other, nil
}

// channels lists the channels to post to.
func (s *Sink) channels() []string {
	if s.recipients != nil {
		return s.recipients
	}
	return []string{s.config.Channel}
}

// Send posts a message about the exposure or, where there is one, edits it to its
// present state and answers in its thread; an escalation is shown in the channel, too.
// If the answer to an attempt may have been lost, Send first searches the channel for
// the message when the app is allowed to; otherwise the message says that it may be
// there twice. The ref holds the places of the messages, their text of the beginning,
// and the last alert that each channel was sent. Beside an error it holds the progress
// of each channel: a channel that cannot be notified keeps the alert from no other.
func (s *Sink) Send(ctx context.Context, a *processor.Alert, ref string) (newRef string, err error) {
	if s.config.hooked() {
		if err := s.postHook(ctx, s.message(a, sinks.PerhapsArrived(ctx))); err != nil {
			return ref, err
		}
		return "posted", nil
	}
	c, err := s.client()
	if err != nil {
		return ref, sinks.Misconfigured(err)
	}
	places := places(ref)
	var failed []error
	delivered := false
	for _, channel := range s.channels() {
		if s.listed.has(channel, a) {
			delivered = true
			continue
		}
		place := places[channel]
		err := s.update(ctx, c, channel, a, &place)
		if place.TS != "" {
			places[channel] = place
		}
		delivered = delivered || err == nil
		if err != nil {
			failed = append(failed, err)
		}
		if v, _ := sinks.VerdictOf(err); v == sinks.VerdictThrottled {
			break // the app is, whatever the channel
		}
	}
	return places.ref(), sinks.Worst(failed, delivered)
}

// Receipt names the messages.
func (s *Sink) Receipt(ref string) string {
	if s.config.hooked() {
		return "posted; through a webhook nothing can be edited or answered in its thread"
	}
	var said []string
	places := places(ref)
	for _, channel := range s.channels() {
		if place, ok := places[channel]; ok {
			said = append(said, "message "+place.TS+" in channel "+place.Channel)
		}
	}
	return strings.Join(said, ", ")
}
