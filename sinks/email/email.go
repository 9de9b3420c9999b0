package email

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"log/slog"
	"net"
	"net/mail"
	"slices"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/secret"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/httpsend"
	"github.com/mfawatch/mfawatch/sinks/message"
)

// An Config says which server takes the mails, and who gets them. The
// password's file is read for each attempt, so that it may change under its name.
type Config struct {
	Host         string            `koanf:"host"`
	Port         int               `koanf:"port"` // default: 587, the submission port; with tls.mode implicit 465
	Username     string            `koanf:"username"`
	Password     string            `koanf:"password"`
	PasswordFile string            `koanf:"password_file"` // in the place of password
	Auth         string            `koanf:"auth"`          // auto, plain, login, cram-md5, scram-sha-256 or xoauth2 (the password is the token). Default auto: the best of what the server offers
	From         string            `koanf:"from"`          // an address, or name <address>
	To           []string          `koanf:"to"`            // likewise; each is told by itself, all are named in the mail
	TLS          TLSConfig         `koanf:"tls"`
	Templates    message.Templates `koanf:"templates"` // subject, text, and html, which is of html/template
}

// TLSConfig says how a connection is made safe.
type TLSConfig struct {
	// Mode is starttls: a connection that begins in the clear has to be made safe
	// before anything is said on it, or the mail is not sent; implicit: it is safe
	// from its first byte; or none: never, for a server on this machine alone.
	// Default starttls.
	Mode             string `koanf:"mode"`
	secret.TLSConfig `koanf:",squash"`
}

// The values of EmailTLS.Mode.
const (
	tlsStart    = "starttls"
	tlsImplicit = "implicit"
	tlsNone     = "none"
)

// DefaultConfig is what holds where nothing else is said.
func DefaultConfig() Config {
	return Config{Auth: "auto", TLS: TLSConfig{Mode: tlsStart}}
}

// maxEmailTo bounds the recipients of a mail: servers take a hundred.
const maxEmailTo = 100

// Validate tells every mistake in c. The errors are joined, each of the form
// "field: problem"; none holds a secret. Files that are named have to be there
// and readable.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch {
	case c.Host == "":
		bad("host: missing; want the name of the mail server, such as smtp.example.net")
	case strings.ContainsAny(c.Host, "/@ \t\r\n") || strings.Contains(c.Host, ":") && net.ParseIP(c.Host) == nil:
		bad("host: want the name of the mail server alone, such as smtp.example.net (port is a key of its own), got %.100q", c.Host)
	}
	if c.Port < 0 || c.Port > 65535 {
		bad("port: want 1 to 65535, got %d", c.Port)
	}
	switch c.TLS.Mode {
	case "", tlsStart, tlsImplicit:
	case tlsNone:
		if c.Host != "" && !loopback(c.Host) {
			bad("tls.mode: none is for a server on this machine, such as localhost; want starttls or implicit for %.100q, lest the password and the alerts be read on the way", c.Host)
		}
	default:
		bad("tls.mode: want starttls, implicit or none, got %.60q", c.TLS.Mode)
	}
	_, err := c.TLS.Build()
	errs = append(errs, err, c.validateLogin())
	if c.From == "" {
		bad("from: missing; want the address that mails come from, such as mfawatch@example.net")
	} else if _, err := parseAddress(c.From); err != nil {
		bad("from: %w", err)
	}
	if len(c.To) == 0 || len(c.To) > maxEmailTo {
		bad("to: want 1 to %d addresses, such as security@example.net, got %d", maxEmailTo, len(c.To))
	}
	var seen []string
	for i, to := range c.To {
		address, err := parseAddress(to)
		switch {
		case err != nil:
			bad("to[%d]: %w", i, err)
		case slices.Contains(seen, address.Address):
			bad("to[%d]: %s is there twice", i, address.Address)
		default:
			seen = append(seen, address.Address)
		}
	}
	_, err = c.Templates.Parse(parts...)
	if err == nil {
		_, err = c.page()
	}
	return errors.Join(append(errs, err)...)
}

func (c Config) validateLogin() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Auth != "" && c.Auth != "auto" && mechanisms[c.Auth] == "" {
		bad("auth: want auto, plain, login, cram-md5, scram-sha-256 or xoauth2, got %.60q", c.Auth)
	}
	switch {
	case c.Username == "" && (c.Password != "" || c.PasswordFile != ""):
		bad("username: missing; the password needs it")
	case c.Username == "" && c.Auth != "" && c.Auth != "auto":
		bad("username: missing; auth needs it")
	case c.Username == "":
	case c.Password == "" && c.PasswordFile == "":
		bad("password_file: missing; want the path of a file that holds the password of username")
	default:
		_, err := c.password()
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// password is the password as it is now.
func (c Config) password() (string, error) {
	return secret.Read("password", c.Password, c.PasswordFile)
}

// page is the operator's template for the HTML part, nil if there is none.
func (c Config) page() (*htmltemplate.Template, error) {
	text, ok := c.Templates["html"]
	if !ok {
		return nil, nil
	}
	page, err := htmltemplate.New("html").Funcs(htmltemplate.FuncMap(message.TemplateFuncs)).Option("missingkey=error").Parse(text)
	if err == nil {
		err = page.Execute(&message.BoundedWriter{Left: maxEmailPart}, message.TemplateData{Message: message.Wording{}.Message(message.SampleAlert()), Alert: message.SampleAlert()})
	}
	if err != nil {
		return nil, fmt.Errorf("templates.html: %w", err)
	}
	return page, nil
}

// address is host and port.
func (c Config) address() string {
	port := c.Port
	switch {
	case port != 0:
	case c.TLS.Mode == tlsImplicit:
		port = 465
	case c.TLS.Mode == tlsNone:
		port = 25
	default:
		port = 587
	}
	return net.JoinHostPort(c.Host, fmt.Sprint(port))
}

// loopback reports whether host is this machine.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// parseAddress is an address with or without a name.
func parseAddress(text string) (*mail.Address, error) {
	address, err := mail.ParseAddress(text)
	if err != nil || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) || len(text) > 320 {
		return nil, fmt.Errorf("want an address such as security@example.net, or Security <security@example.net>, got %.100q", text)
	}
	return address, nil
}

// An Sink sends each alert as a mail.
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

// New returns a sink that sends as c says, in the words of w. What nobody
// else is told it logs to log; nil: to slog.Default(). It asks nobody on the
// network, and holds no connection between two mails.
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
// some are refused keeps it from nobody else, and who got it is in the
// reference, so that they do not get it again. The error is Permanent where all
// that is left are recipients that the server refuses for good.
//
// The mail is the same each time that an alert is sent, and so is its
// Message-ID, by which receivers know a copy; only Date is the time of the
// attempt, as mail has it: clients sort by it, and servers take one that is days
// old for a sign of spam. All mails of an exposure refer to one ID, derived from
// it, and have the same base of a subject, so that clients show them as a
// conversation however many of them arrived.
//
// What was not answered after its last byte may have been taken: Ambiguous.
// What is wrong with server, login or sender is Misconfigured, and so is a
// server that offers no TLS where it has to. See judgeSMTP.
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
		for _, to := range d.told {
			known[to] = "told"
		}
		return p.Note(a.ID, known, ""), d.err
	}
	return p.Note(a.ID, nil, d.said), nil
}

// SendGroup sends the alerts as one mail with a list, the worst severity in its
// subject. It is told once somebody got it: who did not is logged, since nobody
// can be told a group in parts.
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
	if d.err != nil && len(d.told) > 0 {
		e.log.Error("a mail about several alerts did not reach everybody", "alerts", len(alerts), "err", d.err)
		return nil
	}
	return d.err
}

// Render shows the mail: its headers, and both parts before they are encoded.
func (e *Sink) Render(a *processor.Alert) (string, error) { return e.compose(a).show(), nil }

// Receipt is what the server answered.
func (e *Sink) Receipt(ref string) string {
	said := message.ProgressOf(ref).Said
	if said == "" {
		return ""
	}
	return fmt.Sprintf("%s took it for %d: %s", e.config.Host, len(e.to), exposure.Clean(said, httpsend.MaxExcerpt))
}
