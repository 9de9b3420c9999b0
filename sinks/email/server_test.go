package email

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/secret"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/message"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
)

const (
	user         = "mfawatch"
	testPassword = "xyzzy letters, not for you"
)

// An server is a mail server on the loopback, and the mailboxes behind it:
// it wants STARTTLS and a login, and keeps of each mailbox what came, once per
// Message-ID, as mailboxes do.
type server struct {
	addr   string
	caFile string
	smtp   *smtp.Server

	mu      sync.Mutex
	refuse  map[string]*smtp.SMTPError // recipients
	faults  []sinktest.Fault
	raws    []string
	boxes   map[string][]*receivedMail // by recipient
	sent    int                        // transactions that were accepted
	stopped chan struct{}
}

// A receivedMail is a mail as its reader has it.
type receivedMail struct {
	header     mail.Header
	subject    string
	text, html string
}

func newEmailServer(t *testing.T) *server {
	t.Helper()
	s := &server{refuse: map[string]*smtp.SMTPError{}, boxes: map[string][]*receivedMail{}, stopped: make(chan struct{})}
	lender := httptest.NewTLSServer(http.NotFoundHandler()) // of a certificate
	defer lender.Close()
	s.caFile = sinktest.WritePEM(t, lender)
	s.smtp = smtp.NewServer(s)
	s.smtp.Domain = "mail.example.net"
	s.smtp.MaxRecipients = 50
	s.smtp.ErrorLog = log.New(io.Discard, "", 0)
	s.smtp.TLSConfig = &tls.Config{Certificates: lender.TLS.Certificates}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	served := make(chan struct{})
	go func() {
		_ = s.smtp.Serve(l)
		close(served)
	}()
	t.Cleanup(func() {
		close(s.stopped)
		_ = s.smtp.Close()
		_ = l.Close() // Close does not know of a listener that Serve has not reached yet
		<-served
	})
	return s
}

func (s *server) config(to ...string) Config {
	return Config{
		Host: "127.0.0.1", Port: port(s.addr), Username: user, Password: testPassword,
		From: "mfawatch <mfawatch@example.net>", To: to, TLS: TLSConfig{TLSConfig: secret.TLSConfig{CAFile: s.caFile}},
	}
}

// NewSession implements smtp.Backend.
func (s *server) NewSession(c *smtp.Conn) (smtp.Session, error) {
	return &session{server: s, conn: c}, nil
}

type session struct {
	server *server
	conn   *smtp.Conn
	user   string
	to     []string
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, username, password string) error {
		if username != user || password != testPassword {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "no such user, or not the password " + password}
		}
		s.user = username
		return nil
	}), nil
}

func (s *session) Mail(string, *smtp.MailOptions) error {
	if s.user == "" {
		return smtp.ErrAuthRequired
	}
	s.to = nil
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	if err := s.server.refuse[to]; err != nil {
		return err
	}
	s.to = append(s.to, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.raws = append(s.server.raws, string(text))
	var f sinktest.Fault
	if len(s.server.faults) > 0 {
		f, s.server.faults = s.server.faults[0], s.server.faults[1:]
	}
	switch {
	case f.Hang != nil:
		close(f.Hang)
		s.server.mu.Unlock()
		_, _ = bufio.NewReader(s.conn.Conn()).ReadByte() // until the client hangs up
		s.server.mu.Lock()
		return errors.New("gone")
	case f.Status != 0:
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 2}, Message: "not now"}
	case f.Reset:
		s.hangUp("")
		return errors.New("gone")
	}
	if err := s.server.keep(text, s.to); err != nil {
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: err.Error()}
	}
	switch {
	case f.After:
		s.hangUp("")
	case f.Cut:
		s.hangUp("250-2.0.0 OK: qu")
	}
	return nil
}

func (s *session) hangUp(text string) {
	_, _ = io.WriteString(s.conn.Conn(), text)
	_ = s.conn.Conn().Close()
}

func (s *session) Reset()        { s.to = nil }
func (s *session) Logout() error { return nil }

// keep puts the mail into the boxes.
func (s *server) keep(text []byte, to []string) error {
	m, err := readEmail(string(text))
	if err != nil {
		return err
	}
	s.sent++
	for _, box := range to {
		there := false
		for _, other := range s.boxes[box] {
			there = there || other.header.Get("Message-Id") == m.header.Get("Message-Id")
		}
		if !there {
			s.boxes[box] = append(s.boxes[box], m)
		}
	}
	return nil
}

func (s *server) box(of string) []*receivedMail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*receivedMail(nil), s.boxes[of]...)
}

func (s *server) refuses(to string, err *smtp.SMTPError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse[to] = err
}

func (s *server) inject(f sinktest.Fault) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, f)
	return true
}

// readEmail reads a mail as a mail program does, and refuses what the standards
// do: bare line feeds, lines that are too long, bytes that are not ASCII.
func readEmail(text string) (*receivedMail, error) {
	for line := range strings.SplitSeq(text, "\r\n") {
		if len(line) > 998 || strings.ContainsAny(line, "\r\n\x00") || strings.ContainsFunc(line, func(r rune) bool { return r >= 0x80 }) {
			return nil, errors.New("not a line of a mail")
		}
	}
	m, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	seen := &receivedMail{header: m.Header}
	var words mime.WordDecoder
	if seen.subject, err = words.DecodeHeader(m.Header.Get("Subject")); err != nil {
		return nil, err
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		return nil, errors.New("not an alternative of parts")
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for _, into := range []*string{&seen.text, &seen.html} {
		part, err := parts.NextRawPart()
		if err != nil {
			return nil, err
		}
		if part.Header.Get("Content-Transfer-Encoding") != "quoted-printable" {
			return nil, errors.New("not quoted-printable")
		}
		body, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			return nil, err
		}
		*into = strings.ReplaceAll(string(body), "\r\n", "\n")
	}
	if _, err := parts.NextRawPart(); err != io.EOF {
		return nil, errors.New("more than two parts")
	}
	return seen, nil
}

func TestConforms(t *testing.T) {
	sinktest.Run(t, sinktest.Channel{
		People: true,
		Start: func(t *testing.T) *sinktest.Server {
			s := newEmailServer(t)
			const reader = "security@example.net"
			return &sinktest.Server{
				Sink:   func() (sinks.Sink, error) { return New(s.config(reader), message.Wording{}, nil) },
				Holds:  func(a *processor.Alert) sinktest.Held { return heldMail(s.box(reader), a) },
				Inject: func(f sinktest.Fault) bool { return s.inject(f) },
				Bodies: func() []string { // Date is of the attempt
					s.mu.Lock()
					defer s.mu.Unlock()
					var all []string
					for _, raw := range s.raws {
						begin := strings.Index(raw, "\r\nDate: ")
						all = append(all, raw[:begin]+raw[begin+2+strings.Index(raw[begin+2:], "\r\n"):])
					}
					return all
				},
				Secrets: []string{testPassword},
				FromFile: func(path string) (sinks.Sink, error) {
					c := s.config(reader)
					c.Password, c.PasswordFile = "", path
					return New(c, message.Wording{}, nil)
				},
				Wrong: wrong,
			}
		},
	})
}

// heldMail is a mailbox as threads.
func heldMail(box []*receivedMail, a *processor.Alert) (h sinktest.Held) {
	for _, m := range box {
		if a.Exposure != nil && m.header.Get("References") != "<exposure-"+digest(*a.Exposure)+"@example.net>" ||
			a.Exposure == nil && m.header.Get("X-Mfawatch-Alert") != a.ID {
			continue
		}
		h.Cases = 1
		h.Notes++
		h.State = sinktest.State(h.State, exposure.Step(m.header.Get("X-Mfawatch-Step")))
		h.Texts = append(h.Texts, m.subject, m.text, m.html)
	}
	return h
}

// wrong finds mark-up that is not ours, and links that are an attacker's.
func wrong(text string) string {
	if !strings.Contains(text, "<!doctype html>") {
		if strings.Contains(text, "https://evil.example") || strings.Contains(text, "www.evil") {
			return "a link of an attacker's"
		}
		return ""
	}
	body := text[strings.Index(text, "<body"):]
	for _, bad := range []string{"<script", "<img", "onerror=alert(1)>", `href="https://evil`, "https://evil.example", "<!--"} {
		if strings.Contains(body, bad) {
			return "mark-up: " + bad
		}
	}
	return ""
}

// port is the port of an address.
func port(address string) (port int) {
	_, text, _ := net.SplitHostPort(address)
	for _, c := range text {
		port = port*10 + int(c-'0')
	}
	return port
}
