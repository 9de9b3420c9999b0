package sinks

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
)

const (
	emailUser     = "mfawatch"
	emailPassword = "xyzzy letters, not for you"
)

// An emailServer is a mail server on the loopback, and the mailboxes behind it:
// it wants STARTTLS and a login, and keeps of each mailbox what came, once per
// Message-ID, as mailboxes do.
type emailServer struct {
	addr   string
	caFile string
	smtp   *smtp.Server

	mu      sync.Mutex
	refuse  map[string]*smtp.SMTPError // recipients
	faults  []fault
	raws    []string
	boxes   map[string][]*emailSeen // by recipient
	sent    int                     // transactions that were accepted
	stopped chan struct{}
}

// An emailSeen is a mail as its reader has it.
type emailSeen struct {
	header     mail.Header
	subject    string
	text, html string
}

func newEmailServer(t *testing.T) *emailServer {
	t.Helper()
	s := &emailServer{refuse: map[string]*smtp.SMTPError{}, boxes: map[string][]*emailSeen{}, stopped: make(chan struct{})}
	lender := httptest.NewTLSServer(http.NotFoundHandler()) // of a certificate
	defer lender.Close()
	s.caFile = writePEM(t, lender)
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
		<-served
	})
	return s
}

func (s *emailServer) config(to ...string) EmailConfig {
	return EmailConfig{
		Host: "127.0.0.1", Port: emailPort(s.addr), Username: emailUser, Password: emailPassword,
		From: "mfawatch <mfawatch@example.net>", To: to, TLS: EmailTLS{TLSConfig: TLSConfig{CAFile: s.caFile}},
	}
}

// NewSession implements smtp.Backend.
func (s *emailServer) NewSession(c *smtp.Conn) (smtp.Session, error) {
	return &emailSession{server: s, conn: c}, nil
}

type emailSession struct {
	server *emailServer
	conn   *smtp.Conn
	user   string
	to     []string
}

func (s *emailSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *emailSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, username, password string) error {
		if username != emailUser || password != emailPassword {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "no such user, or not the password " + password}
		}
		s.user = username
		return nil
	}), nil
}

func (s *emailSession) Mail(string, *smtp.MailOptions) error {
	if s.user == "" {
		return smtp.ErrAuthRequired
	}
	s.to = nil
	return nil
}

func (s *emailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	if err := s.server.refuse[to]; err != nil {
		return err
	}
	s.to = append(s.to, to)
	return nil
}

func (s *emailSession) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.raws = append(s.server.raws, string(text))
	var f fault
	if len(s.server.faults) > 0 {
		f, s.server.faults = s.server.faults[0], s.server.faults[1:]
	}
	switch {
	case f.hang != nil:
		close(f.hang)
		s.server.mu.Unlock()
		_, _ = bufio.NewReader(s.conn.Conn()).ReadByte() // until the client hangs up
		s.server.mu.Lock()
		return errors.New("gone")
	case f.status != 0:
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 2}, Message: "not now"}
	case f.reset:
		s.hangUp("")
		return errors.New("gone")
	}
	if err := s.server.keep(text, s.to); err != nil {
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: err.Error()}
	}
	switch {
	case f.after:
		s.hangUp("")
	case f.cut:
		s.hangUp("250-2.0.0 OK: qu")
	}
	return nil
}

func (s *emailSession) hangUp(text string) {
	_, _ = io.WriteString(s.conn.Conn(), text)
	_ = s.conn.Conn().Close()
}

func (s *emailSession) Reset()        { s.to = nil }
func (s *emailSession) Logout() error { return nil }

// keep puts the mail into the boxes.
func (s *emailServer) keep(text []byte, to []string) error {
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

func (s *emailServer) box(of string) []*emailSeen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*emailSeen(nil), s.boxes[of]...)
}

func (s *emailServer) refuses(to string, err *smtp.SMTPError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse[to] = err
}

func (s *emailServer) inject(f fault) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, f)
	return true
}

// readEmail reads a mail as a mail program does, and refuses what the standards
// do: bare line feeds, lines that are too long, bytes that are not ASCII.
func readEmail(text string) (*emailSeen, error) {
	for _, line := range strings.Split(text, "\r\n") {
		if len(line) > 998 || strings.ContainsAny(line, "\r\n\x00") || strings.ContainsFunc(line, func(r rune) bool { return r >= 0x80 }) {
			return nil, errors.New("not a line of a mail")
		}
	}
	m, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	seen := &emailSeen{header: m.Header}
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

func TestEmailConforms(t *testing.T) {
	conforms(t, conformant{
		people: true,
		start: func(t *testing.T) *conformServer {
			s := newEmailServer(t)
			const reader = "security@example.net"
			return &conformServer{
				sink:   func() (Sink, error) { return NewEmail(s.config(reader), Wording{}, nil) },
				holds:  func(a *processor.Alert) held { return emailHeld(s.box(reader), a) },
				inject: func(f fault) bool { return s.inject(f) },
				bodies: func() []string { // Date is of the attempt
					s.mu.Lock()
					defer s.mu.Unlock()
					var all []string
					for _, raw := range s.raws {
						begin := strings.Index(raw, "\r\nDate: ")
						all = append(all, raw[:begin]+raw[begin+2+strings.Index(raw[begin+2:], "\r\n"):])
					}
					return all
				},
				secrets: []string{emailPassword},
				wrong:   emailWrong,
			}
		},
	})
}

// emailHeld is a mailbox as threads.
func emailHeld(box []*emailSeen, a *processor.Alert) (h held) {
	for _, m := range box {
		if a.Exposure != nil && m.header.Get("References") != "<exposure-"+digest(*a.Exposure)+"@example.net>" ||
			a.Exposure == nil && m.header.Get("X-Mfawatch-Alert") != a.ID {
			continue
		}
		h.cases = 1
		h.notes++
		h.state = conformState(h.state, exposure.Step(m.header.Get("X-Mfawatch-Step")))
		h.texts = append(h.texts, m.subject, m.text, m.html)
	}
	return h
}

// emailWrong finds mark-up that is not ours, and links that are an attacker's.
func emailWrong(text string) string {
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

// emailPort is the port of an address.
func emailPort(address string) (port int) {
	_, text, _ := net.SplitHostPort(address)
	for _, c := range text {
		port = port*10 + int(c-'0')
	}
	return port
}
