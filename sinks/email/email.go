package email

import (
	"cmp"
	"context"
	"fmt"
	htmltemplate "html/template"
	"log/slog"
	"net/mail"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/httpsend"
	"github.com/mfawatch/mfawatch/sinks/message"
)

// Sink sends each alert as a mail.
type Sink struct {
	config  Config
	wording message.Wording
	log     *slog.Logger
	from    *mail.Address
	to      []*mail.Address
	texts   message.Texts
	page    *htmltemplate.Template // nil: ours
}

var (
	_ sinks.Sink        = (*Sink)(nil)
	_ sinks.GroupSender = (*Sink)(nil)
)

// New returns a sink that sends as c says, in the words of w. It logs to log,
// or else to slog.Default(), the recipients that a group did not reach. It makes no
// request, and holds no connection between two mails.
func New(c Config, w message.Wording, log *slog.Logger) (*Sink, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	e := &Sink{config: c, wording: w, log: cmp.Or(log, slog.Default())}
	e.from, _ = parseAddress(c.From)
	for _, to := range c.To {
		address, _ := parseAddress(to)
		e.to = append(e.to, address)
	}
	e.texts, _ = c.Templates.Parse(parts...)
	e.page, _ = c.page()
	return e, nil
}

// To is the same channel for other recipients: addresses.
func (e *Sink) To(recipients []string) (sinks.Sink, error) {
	c := e.config
	c.To = recipients
	return New(c, e.wording, e.log)
}

// Send sends the alert as a mail to each recipient that did not get it yet: that
// a refused recipient keeps it from no other, and the recipients that got it are in the
// reference, so that they do not get it again. The error is Permanent where all
// that is left are recipients that the server refuses permanently.
//
// The mail is the same each time that an alert is sent, and so is its
// Message-ID, by which receivers know a copy; only Date is the time of the
// attempt, as mail has it: clients sort by it, and servers take one that is days
// old for a sign of spam. All mails of an exposure refer to one ID, derived from
// it, and have the same base of a subject, so that clients show them as a
// conversation however many of them arrived.
//
// A mail without an answer after its last byte may have been accepted:
// Ambiguous. Faults of server, login or sender are Misconfigured, and so is a
// server that offers no TLS where it has to. See smtpVerdict.
func (e *Sink) Send(ctx context.Context, a *processor.Alert, ref string) (newRef string, err error) {
	p := message.ProgressOf(ref)
	known := p.Of(a.ID)
	var left []string
	for _, to := range e.to {
		if known[to.Address] == "" {
			left = append(left, to.Address)
		}
	}
	if len(left) == 0 { // those who did not get it are no recipients any more
		return p.Note(a.ID, nil, p.Said), nil
	}
	text, err := e.compose(a).bytes(time.Now())
	if err != nil {
		return ref, sinks.Permanent(fmt.Errorf("write the mail of alert %s: %w", a.ID, err))
	}
	d := e.deliver(ctx, text, left, len(left) < len(e.to))
	if d.err != nil {
		for _, to := range d.delivered {
			known[to] = "delivered"
		}
		return p.Note(a.ID, known, ""), d.err
	}
	return p.Note(a.ID, nil, d.said), nil
}

// SendGroup sends the alerts as one mail with a list, the worst severity in its
// subject. It counts as delivered once one recipient got it; the others are
// logged, since a group has no reference.
func (e *Sink) SendGroup(ctx context.Context, alerts []*processor.Alert) error {
	text, err := e.composeGroup(alerts).bytes(time.Now())
	if err != nil {
		return sinks.Permanent(fmt.Errorf("write the mail of %d alerts: %w", len(alerts), err))
	}
	var to []string
	for _, address := range e.to {
		to = append(to, address.Address)
	}
	d := e.deliver(ctx, text, to, false)
	if d.err != nil && len(d.delivered) > 0 {
		e.log.Error("a mail about several alerts did not reach everybody", "alerts", len(alerts), "err", d.err)
		return nil
	}
	return d.err
}

// Render shows the mail: its headers, and both parts before they are encoded.
func (e *Sink) Render(a *processor.Alert) (string, error) { return e.compose(a).show(), nil }

// Receipt returns the answer of the server.
func (e *Sink) Receipt(ref string) string {
	said := message.ProgressOf(ref).Said
	if said == "" {
		return ""
	}
	return fmt.Sprintf("%s took it for %d: %s", e.config.Host, len(e.to), safetext.Clean(said, httpsend.MaxExcerpt))
}
