package sms

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/httpsend"
	"github.com/mfawatch/mfawatch/sinks/message"
)

// A texter is a provider. Its errors carry verdicts, and no secret.
type texter interface {
	// text sends, and returns the ID that the provider gave. alert is for its
	// logs.
	text(ctx context.Context, to, body, alert string) (id string, err error)
}

// finder is a texter that can look up sent messages.
type finder interface {
	// find returns the ID of a message with that body to the number, "" if there
	// is none.
	find(ctx context.Context, to, body string) (id string, err error)
}

// Sink sends each alert as a text message of one part.
type Sink struct {
	config   Config
	wording  message.Wording
	log      *slog.Logger
	texts    message.Texts
	aws      aws.Config
	provider texter
}

var (
	_ sinks.Sink        = (*Sink)(nil)
	_ sinks.GroupSender = (*Sink)(nil)
)

// New returns a sink that sends as c says, in the words of w. It logs to log,
// or else to slog.Default(), the recipients that may not have been reached. a says how AWS is reached, and
// is not looked at for another provider. New makes no request. The
// caller closes the sink.
func New(c Config, w message.Wording, log *slog.Logger, a aws.Config) (*Sink, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := &Sink{config: c, wording: w, log: cmp.Or(log, slog.Default()), aws: a}
	s.texts, _ = c.Templates.Parse(parts...)
	switch c.Provider {
	case providerSNS:
		s.provider = newSNS(c.From, a)
	case providerVoice:
		s.provider = newVoice(c.From, a)
	default:
		p, err := httpsend.New(c.Config)
		if err != nil {
			return nil, err
		}
		s.provider = &twilio{c, p}
	}
	return s, nil
}

// Close closes idle connections.
func (s *Sink) Close() error {
	if c, ok := s.provider.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// To is the same channel for other recipients: numbers.
func (s *Sink) To(recipients []string) (sinks.Sink, error) {
	c := s.config
	c.To = recipients
	return New(c, s.wording, s.log, s.aws)
}

// States of a number; the message's ID follows stateSent.
const (
	stateSent   = "sent "
	stateUnsure = "unsure" // one message may have been sent
)

// Send texts the alert to each number that did not get it yet. A number that is
// refused keeps it from no other, and the reference holds the numbers that got it. The
// error is Permanent where only numbers are left that the provider refuses permanently,
// or that the account may not send to while it may to others.
//
// No provider knows a copy by a key, so nothing is sent again blindly. Where an
// answer was lost, or the program ended before it was noted, Twilio is asked
// what it sent to the number and is sent the message only if it did not. AWS
// cannot be asked: the message is sent once more, marked as perhaps a copy, since
// two messages are better than none; if that answer is lost too, it counts as
// delivered, and is logged. So a number gets at most one copy for lost answers, and
// one for each end of the program while it was sending.
func (s *Sink) Send(ctx context.Context, a *processor.Alert, ref string) (newRef string, err error) {
	p := message.ProgressOf(ref)
	if a.Step == exposure.Resolved && !s.config.Resolved {
		return ref, nil
	}
	known := p.Of(a.ID)
	// A query costs nothing. The state of the alert is newer than the last end of the
	// program, except for the attempt that it cut, so a copy is marked only where there
	// is no state.
	blind := sinks.PerhapsArrived(ctx) && (s.canFind() || len(known) == 0)
	body := s.body(a)
	var failed []error
	for _, to := range s.config.To {
		if strings.HasPrefix(known[to], stateSent) {
			continue
		}
		id, err := s.one(ctx, to, body, a.ID, blind || known[to] == stateUnsure)
		switch v, _ := sinks.VerdictOf(err); {
		case v == sinks.VerdictDelivered:
			known[to] = stateSent + id
		case v == sinks.VerdictAmbiguous && known[to] == stateUnsure && !s.canFind():
			s.log.Error("a text message may not have arrived: both answers were lost", "to", to, "alert", a.ID, "err", err)
			known[to] = stateSent + "perhaps"
		case v == sinks.VerdictAmbiguous:
			known[to] = stateUnsure
			failed = append(failed, err)
		default:
			failed = append(failed, err)
			if v != sinks.VerdictPermanent && !sinks.IsOfOne(err) || ctx.Err() != nil {
				return p.Note(a.ID, known, ""), err // it would be no other for the rest
			}
		}
	}
	got := len(s.config.To) - len(failed)
	if err := sinks.Worst(failed, got > 0); err != nil {
		if got > 0 {
			err = fmt.Errorf("%d of %d got it: %w", got, len(s.config.To), err)
		}
		return p.Note(a.ID, known, ""), err
	}
	var said []string
	for _, to := range s.config.To {
		said = append(said, strings.TrimPrefix(known[to], stateSent))
	}
	return p.Note(a.ID, nil, strings.Join(said, ", ")), nil
}

// one sends one message, after a look at those that were sent if there may be
// one.
func (s *Sink) one(ctx context.Context, to, body, alert string, unsure bool) (id string, err error) {
	if f, ok := s.provider.(finder); ok && unsure {
		if id, err := f.find(ctx, to, body); err != nil || id != "" {
			return id, err
		}
	} else if unsure {
		body = again(body)
	}
	id, err = s.provider.text(ctx, to, body, alert)
	if err != nil {
		return "", fmt.Errorf("%s: %w", to, err)
	}
	return id, nil
}

func (s *Sink) canFind() bool {
	_, ok := s.provider.(finder)
	return ok
}

// SendGroup texts the alerts as one message with a list. It counts as delivered
// once one recipient got it; the others are logged, since a group has no
// reference. A lost answer makes it send once more, as with Send.
func (s *Sink) SendGroup(ctx context.Context, alerts []*processor.Alert) error {
	body := s.groupBody(alerts)
	got := 0
	var failed []error
	for _, to := range s.config.To {
		_, err := s.one(ctx, to, body, alerts[0].ID, sinks.PerhapsArrived(ctx))
		switch v, _ := sinks.VerdictOf(err); {
		case v == sinks.VerdictDelivered:
			got++
		case v == sinks.VerdictAmbiguous && sinks.PerhapsArrived(ctx):
			got++
			failed = append(failed, err)
		case v == sinks.VerdictPermanent || v == sinks.VerdictAmbiguous || sinks.IsOfOne(err):
			failed = append(failed, err)
		case got == 0:
			return err
		default:
			failed = append(failed, err)
		}
	}
	err := sinks.Worst(failed, got > 0)
	if err != nil && got > 0 {
		s.log.Error("a text message about several alerts may not have reached everybody", "alerts", len(alerts), "err", err)
		return nil
	}
	return err
}

// Render returns the message and its length.
func (s *Sink) Render(a *processor.Alert) (string, error) {
	if a.Step == exposure.Resolved && !s.config.Resolved {
		return "(not sent: resolved is false)", nil
	}
	body := s.body(a)
	return fmt.Sprintf("%s\n(%d of %d characters)", body, gsmLength(body), gsmPart), nil
}

// Receipt returns the IDs that the provider gave.
func (s *Sink) Receipt(ref string) string { return message.ProgressOf(ref).Said }
