package email

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/httpsend"
)

// mechanisms are the values of EmailConfig.Auth, as SMTP calls them.
var mechanisms = map[string]string{
	"plain": "PLAIN", "login": "LOGIN", "cram-md5": "CRAM-MD5", "scram-sha-256": "SCRAM-SHA-256", "xoauth2": "XOAUTH2",
}

// delivered is the outcome of a mail.
type delivered struct {
	delivered []string // recipients
	refused   []refusal
	said      string // by the server, of what it took
	err       error  // with its verdict
}

// A refusal is of one recipient.
type refusal struct {
	to  string
	err error // with its verdict
}

// deliver hands the mail to the server, in as few transactions as it takes: a
// server with a limit of recipients is asked again for those that are left.
// before says that others got it. The error, which is nil if all were notified,
// names the server.
func (e *Sink) deliver(ctx context.Context, text []byte, to []string, before bool) (d delivered) {
	password, err := e.config.password()
	if err != nil {
		d.err = sinks.Misconfigured(err)
		return d
	}
	d = e.converse(ctx, text, to, password)
	if err := d.verdict(len(to), before); err != nil {
		d.err = &mailError{e.config.address(), hideLogin(e.config.Username, password), err}
	}
	return d
}

// converse has one conversation with the server.
func (e *Sink) converse(ctx context.Context, text []byte, to []string, password string) (d delivered) {
	var dialer net.Dialer
	dialled, err := dialer.DialContext(ctx, "tcp", e.config.address())
	if err != nil {
		d.err = httpsend.Cause(ctx, err)
		return d
	}
	conn := &shortConn{dialled, maxConversation}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	c, err := e.login(ctx, conn, password)
	if err != nil {
		d.err = err
		return d
	}
	for len(to) > 0 && d.err == nil {
		t := e.transact(ctx, c, text, to)
		d.delivered = append(d.delivered, t.delivered...)
		d.said, d.err, to = cmp.Or(t.said, d.said), t.err, nil
		for _, r := range t.refused {
			if reply, ok := errors.AsType[*textproto.Error](r.err); ok && reply.Code == tooMany && len(t.delivered) > 0 {
				to = append(to, r.to)
				continue
			}
			d.refused = append(d.refused, r)
		}
	}
	_ = conn.SetDeadline(time.Now().Add(maxQuit))
	_ = c.Quit() // what was taken is taken, whatever comes of that
	return d
}

const (
	maxConversation = 1 << 20     // bytes that are read of a server
	maxQuit         = time.Second // for a server to say goodbye
)

// A shortConn ends a server's answers that do not end.
type shortConn struct {
	net.Conn
	left int
}

func (c *shortConn) Read(b []byte) (int, error) {
	if c.left <= 0 {
		return 0, errors.New("the server answers without end")
	}
	n, err := c.Conn.Read(b[:min(len(b), c.left)])
	c.left -= n
	return n, err
}

// tooMany is the answer of a server that accepts no more recipients in one
// mail. It also means that it has no room, which is as well asked again.
const tooMany = 452

// login greets the server, makes the connection safe and says who we are.
func (e *Sink) login(ctx context.Context, conn net.Conn, password string) (*smtp.Client, error) {
	trust, err := sinks.ClientTLS(e.config.TLS.TLSConfig)
	if err != nil {
		return nil, sinks.Misconfigured(err)
	}
	trust.ServerName = cmp.Or(trust.ServerName, e.config.Host)
	if e.config.TLS.Mode == tlsImplicit {
		safe := tls.Client(conn, trust)
		if err := safe.HandshakeContext(ctx); err != nil {
			return nil, untrusted(ctx, err, "if the server begins in the clear, as on port 587, set tls.mode: starttls")
		}
		conn = safe
	}
	c, err := smtp.NewClient(conn, e.config.Host)
	if err != nil {
		return nil, smtpVerdict(ctx, greeting, err)
	}
	name, err := os.Hostname()
	if err != nil || !hostName().MatchString(name) {
		name = "localhost"
	}
	if err := c.Hello(name); err != nil {
		return nil, smtpVerdict(ctx, greeting, err)
	}
	if mode := e.config.TLS.Mode; mode == tlsStart || mode == "" {
		if ok, _ := c.Extension("STARTTLS"); !ok {
			return nil, sinks.Misconfigured(errors.New("the server offers no STARTTLS, so nothing was sent: the connection may be intercepted; " +
				"if it wants TLS from the first byte, as on port 465, set tls.mode: implicit"))
		}
		if err := c.StartTLS(trust); err != nil {
			return nil, untrusted(ctx, err, "check tls.ca_file and tls.server_name")
		}
	}
	if e.config.Username != "" {
		if err := e.authenticate(ctx, c, password); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// hostName matches names that EHLO allows.
var hostName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9.-]+$`) })

// authenticate logs in, with the best way that both sides know.
func (e *Sink) authenticate(ctx context.Context, c *smtp.Client, password string) error {
	ok, offer := c.Extension("AUTH")
	if !ok {
		return sinks.Misconfigured(errors.New("the server offers no AUTH; take username away if it wants none, else check host, port and tls.mode"))
	}
	offered := strings.Fields(strings.ToUpper(offer))
	ways := []string{"SCRAM-SHA-256", "PLAIN", "LOGIN", "CRAM-MD5"}
	if way := mechanisms[e.config.Auth]; way != "" {
		ways = []string{way}
	}
	for _, way := range ways {
		if !slices.Contains(offered, way) {
			continue
		}
		var auth smtp.Auth
		switch way {
		case "PLAIN":
			auth = smtp.PlainAuth("", e.config.Username, password, e.config.Host, false)
		case "LOGIN":
			auth = smtp.LoginAuth(e.config.Username, password, e.config.Host, false)
		case "CRAM-MD5":
			auth = smtp.CRAMMD5Auth(e.config.Username, password)
		case "SCRAM-SHA-256":
			auth = smtp.ScramSHA256Auth(e.config.Username, password)
		case "XOAUTH2":
			auth = smtp.XOAuth2Auth(e.config.Username, password)
		}
		if err := c.Auth(auth); err != nil {
			return smtpVerdict(ctx, authentication, err)
		}
		return nil
	}
	return sinks.Misconfigured(fmt.Errorf("the server offers AUTH %s alone, not %s; set auth to one that it offers",
		strings.Join(offered, ", "), strings.Join(ways, ", ")))
}

// transact sends the mail once, to those that the server takes.
func (e *Sink) transact(ctx context.Context, c *smtp.Client, text []byte, to []string) (d delivered) {
	can, _ := c.Extension("SMTPUTF8")
	from := e.from.Address
	if wideAddress(from) && !can {
		d.err = sinks.Misconfigured(errors.New("the server takes no address outside of ASCII (no SMTPUTF8), such as from; want another one"))
		return d
	}
	// A server that relays must not be made to look for another that can do it
	// where no recipient needs it.
	c.SkipSMTPUTF8(!wideAddress(from) && !slices.ContainsFunc(to, wideAddress))
	if err := c.Mail("<" + from + ">"); err != nil {
		d.err = smtpVerdict(ctx, sender, err)
		return d
	}
	var taken []string
	for _, address := range to {
		if wideAddress(address) && !can {
			d.refused = append(d.refused, refusal{address, sinks.Permanent(errors.New("the server takes no address outside of ASCII (no SMTPUTF8)"))})
			continue
		}
		err := c.Rcpt("<" + address + ">")
		switch reply, answered := errors.AsType[*textproto.Error](err); {
		case err == nil:
			taken = append(taken, address)
		case !answered || reply.Code == closing:
			d.err = smtpVerdict(ctx, recipient, err)
			return d
		default:
			d.refused = append(d.refused, refusal{address, smtpVerdict(ctx, recipient, err)})
		}
	}
	if len(taken) == 0 {
		return d
	}
	w, err := c.Data()
	if err != nil {
		d.err = smtpVerdict(ctx, data, err)
		return d
	}
	if _, err := w.Write(text); err != nil {
		d.err = httpsend.Cause(ctx, err) // its end was not sent
		return d
	}
	if err := w.Close(); err != nil {
		d.err = smtpVerdict(ctx, content, err)
		return d
	}
	d.delivered = taken
	if closer, ok := w.(*smtp.DataCloser); ok {
		d.said = closer.ServerResponse()
	}
	return d
}

// wideAddress reports whether an address needs a server that knows SMTPUTF8.
func wideAddress(address string) bool {
	return strings.ContainsFunc(address, func(r rune) bool { return r >= 0x80 })
}

// verdict sums up the outcome for n recipients, beside earlier ones. It is nil if the
// mail reached all.
func (d delivered) verdict(n int, before bool) error {
	if len(d.delivered) == n {
		return nil
	}
	err, worst := d.err, sinks.VerdictPermanent
	var said []string
	for _, r := range d.refused {
		said = append(said, fmt.Sprintf("%s: %v", r.to, r.err))
		switch v, _ := sinks.VerdictOf(r.err); {
		case v == sinks.VerdictRetry:
			worst = sinks.VerdictRetry
		case v == sinks.VerdictMisconfigured && worst == sinks.VerdictPermanent:
			worst = sinks.VerdictMisconfigured
		}
	}
	if err == nil {
		err = errors.New(strings.Join(said, "; "))
		switch {
		case worst == sinks.VerdictPermanent || worst == sinks.VerdictMisconfigured && (before || len(d.delivered) > 0):
			err = sinks.Permanent(err)
		case worst == sinks.VerdictMisconfigured:
			err = sinks.Misconfigured(err)
		}
	}
	if len(d.delivered) == 0 {
		return err
	}
	return fmt.Errorf("%d of %d got it: %w", len(d.delivered), n, err)
}

// A stage is how far a conversation with the server got.
type stage string

const (
	greeting       stage = "greeting"
	authentication stage = "login"
	sender         stage = "sender"
	recipient      stage = "recipient"
	data           stage = "DATA"
	content        stage = "mail"
)

// closing is the answer of a server that hangs up.
const closing = 421

// policy is an enhanced status (RFC 3463) about who may do what.
var policy = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^5\.7\.\d`) })

// smtpVerdict returns err with the verdict on the alert. A reply of 4yz, 421 too, is
// tried again. One of 5yz to the greeting, the login or the sender is about us
// and not about the alert, and so is one to a recipient where it says that we
// may not send: Misconfigured. To any other recipient, and to the mail itself,
// it is Permanent. No reply to the end of the mail is Ambiguous; no reply before
// that is tried again.
func smtpVerdict(ctx context.Context, s stage, err error) error {
	reply, answered := errors.AsType[*textproto.Error](err)
	if !answered {
		err = httpsend.Cause(ctx, err)
		switch {
		case s == content:
			return sinks.Ambiguous(fmt.Errorf("no answer to the mail: %w", err))
		case s == greeting && ctx.Err() != nil:
			return fmt.Errorf("no greeting: %w; if the server wants TLS from the first byte, as on port 465, set tls.mode: implicit", err)
		}
		return fmt.Errorf("%s: %w", s, err)
	}
	err = fmt.Errorf("%s: answered %w", s, reply)
	with := func(hint string) error { return sinks.Misconfigured(fmt.Errorf("%w; %s", err, hint)) }
	switch {
	case reply.Code < 500:
		return err
	case s == greeting:
		return with("the server does not serve us: check host and port, and whether it wants mails from this machine")
	case s == authentication:
		return with("check username, password and auth")
	case reply.Code == 530:
		return with("set username and password, and tls.mode")
	case s == sender:
		return with("check from, and whether username may send as it")
	case s == recipient && policy().MatchString(reply.Msg):
		return with("the server does not let us send there: check username, and whether it relays for this machine")
	}
	return sinks.Permanent(err)
}

// untrusted is a handshake that failed.
func untrusted(ctx context.Context, err error, hint string) error {
	if _, answered := errors.AsType[*textproto.Error](err); answered {
		return smtpVerdict(ctx, greeting, err)
	}
	if err = httpsend.Cause(ctx, err); httpsend.TLSRefused(err) {
		return sinks.Misconfigured(fmt.Errorf("TLS: %w; %s", err, hint))
	}
	return fmt.Errorf("TLS: %w", err)
}

// A mailError says which server it was, and nothing secret.
type mailError struct {
	address string
	hide    *strings.Replacer
	err     error
}

func (e *mailError) Error() string {
	text := strings.Join(strings.Fields(e.hide.Replace(e.err.Error())), " ")
	return safetext.Clean("mail by "+e.address+": "+text, httpsend.MaxErrorText+httpsend.MaxExcerpt)
}

func (e *mailError) Unwrap() error { return e.err }

// hideLogin replaces the password, as it is and as SMTP writes it: a server may
// repeat what it was sent.
func hideLogin(username, password string) *strings.Replacer {
	if password == "" {
		return strings.NewReplacer()
	}
	var pairs []string
	for _, s := range []string{
		password,
		base64.StdEncoding.EncodeToString([]byte(password)),
		base64.StdEncoding.EncodeToString([]byte("\x00" + username + "\x00" + password)),
		base64.StdEncoding.EncodeToString([]byte("user=" + username + "\x01auth=Bearer " + password + "\x01\x01")),
	} {
		pairs = append(pairs, s, "(hidden)")
	}
	return strings.NewReplacer(pairs...)
}
