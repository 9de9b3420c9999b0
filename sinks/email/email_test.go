package email

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/message"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
)

// script is a mail server that answers as answers says: by command, or by
// "greeting" and "." (the end of a mail). Commands without an answer succeed.
// An answer of "" hangs up. Each of said is called with each answer.
func script(t *testing.T, answers map[string]string, said ...func(answer string)) Config {
	t.Helper()
	answer := func(command, usual string) string {
		if delivered, ok := answers[command]; ok {
			return delivered
		}
		return usual
	}
	url := sinktest.Raw(t, func(c *net.TCPConn) {
		in := bufio.NewReader(c)
		say := func(text string) bool {
			if text == "" {
				return false
			}
			_, err := c.Write([]byte(text + "\r\n"))
			for _, f := range said {
				f(text)
			}
			return err == nil
		}
		if !say(answer("greeting", "220 mail.example.net")) {
			return
		}
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			command, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
			usual := "250 2.0.0 fine"
			switch command {
			case "EHLO":
				usual = "250-mail.example.net\r\n250-AUTH PLAIN\r\n250 ENHANCEDSTATUSCODES"
			case "AUTH":
				usual = "235 2.7.0 welcome"
			case "RCPT":
				_, to, _ := strings.Cut(strings.TrimSuffix(rest, ">"), "<")
				command += " " + to
			case "DATA":
				usual = "354 go on"
			}
			if !say(answer(command, usual)) {
				return
			}
			if command == "DATA" && strings.HasPrefix(answer("DATA", "354"), "354") {
				for line != ".\r\n" {
					if line, err = in.ReadString('\n'); err != nil {
						return
					}
				}
				if !say(answer(".", "250 2.0.0 queued as 4711")) {
					return
				}
			}
			if command == "QUIT" {
				return
			}
		}
	})
	return Config{
		Host: "127.0.0.1", Port: port(strings.TrimPrefix(url, "http://")), TLS: TLSConfig{Mode: tlsNone}, Username: user, Password: testPassword,
		From: "mfawatch@example.net", To: []string{"a@example.net", "b@example.net"},
	}
}

func newTestSink(t *testing.T, c Config) *Sink {
	t.Helper()
	e, err := New(c, message.Wording{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// Each answer has its verdict, and its hint where it is about the configuration.
func TestVerdicts(t *testing.T) {
	const a, b = "RCPT a@example.net", "RCPT b@example.net"
	says := func(pairs ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	for _, tt := range []struct {
		name      string
		answers   map[string]string
		want      sinks.Verdict
		saying    string
		delivered string // recipients that the ref knows to have it
	}{
		{"all is well", nil, sinks.VerdictDelivered, "", ""},
		{"busy", says("greeting", "421 4.3.2 too many connections"), sinks.VerdictRetry, "greeting", ""},
		{"not served", says("greeting", "554 5.7.1 no mail from you"), sinks.VerdictMisconfigured, "check host and port", ""},
		{"hangs up at once", says("greeting", ""), sinks.VerdictRetry, "greeting", ""},
		{"not SMTP", says("greeting", "HTTP/1.1 400 Bad Request"), sinks.VerdictRetry, "greeting", ""},
		{"no AUTH offered", says("EHLO", "250 mail.example.net"), sinks.VerdictMisconfigured, "offers no AUTH", ""},
		{"another AUTH offered", says("EHLO", "250-mail.example.net\r\n250 AUTH XOAUTH2 NTLM"), sinks.VerdictMisconfigured, "offers AUTH XOAUTH2, NTLM alone", ""},
		{"wrong password", says("AUTH", "535 5.7.8 wrong: "+testPassword), sinks.VerdictMisconfigured, "check username, password and auth", ""},
		{"login fails for now", says("AUTH", "454 4.7.0 try later"), sinks.VerdictRetry, "login", ""},
		{"too weak a login", says("AUTH", "534 5.7.9 use an app password"), sinks.VerdictMisconfigured, "use an app password", ""},
		{"login cut", says("AUTH", ""), sinks.VerdictRetry, "login", ""},
		{"sender refused", says("MAIL", "550 5.1.8 sender unknown"), sinks.VerdictMisconfigured, "check from", ""},
		{"sender not yet", says("MAIL", "451 4.3.0 later"), sinks.VerdictRetry, "sender", ""},
		{"wants TLS", says("MAIL", "530 5.7.0 must issue a STARTTLS command first"), sinks.VerdictMisconfigured, "tls.mode", ""},
		{"greylisted", says(a, "450 4.7.1 greylisted", b, "450 4.7.1 greylisted"), sinks.VerdictRetry, "greylisted", ""},
		{"one greylisted", says(a, "450 4.7.1 greylisted"), sinks.VerdictRetry, "1 of 2 got it", "b@example.net"},
		{"one unknown", says(b, "550 5.1.1 no such user"), sinks.VerdictPermanent, "b@example.net", "a@example.net"},
		{"one unknown, one greylisted", says(a, "550 5.1.1 no such user", b, "450 4.2.0 later"), sinks.VerdictRetry, "no such user", ""},
		{"all unknown", says(a, "550 5.1.1 no such user", b, "553 5.1.3 no such name"), sinks.VerdictPermanent, "no such name", ""},
		{"no relaying", says(a, "550 5.7.1 relaying denied", b, "554 5.7.1 relaying denied"), sinks.VerdictMisconfigured, "relays for this machine", ""},
		{"no relaying to one", says(b, "550 5.7.1 relaying denied"), sinks.VerdictPermanent, "relaying denied", "a@example.net"},
		{"hangs up on a recipient", says(b, ""), sinks.VerdictRetry, "recipient", ""},
		{"closes on a recipient", says(b, "421 4.4.2 bye"), sinks.VerdictRetry, "bye", ""},
		{"no room for two", says(b, "452 4.5.3 too many recipients"), sinks.VerdictRetry, "too many recipients", "a@example.net"},
		{"data refused", says("DATA", "554 5.5.1 no valid recipients"), sinks.VerdictPermanent, "no valid recipients", ""},
		{"data not yet", says("DATA", "451 4.3.0 later"), sinks.VerdictRetry, "later", ""},
		{"too big", says(".", "552 5.3.4 too big"), sinks.VerdictPermanent, "too big", ""},
		{"content refused", says(".", "554 5.7.1 looks like spam"), sinks.VerdictPermanent, "spam", ""},
		{"content not yet", says(".", "451 4.7.1 scanner is down"), sinks.VerdictRetry, "scanner", ""},
		{"closes after the content", says(".", "421 4.3.2 shutting down"), sinks.VerdictRetry, "shutting down", ""},
		{"reply lost", says(".", ""), sinks.VerdictAmbiguous, "no answer to the mail", ""},
		{"QUIT fails", says("QUIT", "500 what"), sinks.VerdictDelivered, "", ""},
		{"QUIT hangs up", says("QUIT", ""), sinks.VerdictDelivered, "", ""},
		{"QUIT is not answered", says("QUIT", "221-and there is more"), sinks.VerdictDelivered, "", ""},
		{"an answer without end", says("EHLO", strings.Repeat("250-more\r\n", maxConversation/10)), sinks.VerdictRetry, "without end", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newTestSink(t, script(t, tt.answers))
			alert := message.SampleAlert()
			ref, err := e.Send(t.Context(), alert, "")
			if v, _ := sinks.VerdictOf(err); v != tt.want {
				t.Fatalf("%s, want %s: %v", v, tt.want, err)
			}
			if err == nil {
				if got, want := e.Receipt(ref), "127.0.0.1 took it for 2: 2.0.0 queued as 4711"; got != want {
					t.Errorf("receipt %q, want %q", got, want)
				}
				return
			}
			if !strings.Contains(err.Error(), tt.saying) || strings.Contains(err.Error(), testPassword) || len(err.Error()) > 1200 {
				t.Errorf("said %q, want %q in it", err, tt.saying)
			}
			var delivered []string
			for to := range message.ProgressOf(ref).Of(alert.ID) {
				delivered = append(delivered, to)
			}
			if strings.Join(delivered, " ") != tt.delivered {
				t.Errorf("known to have it: %q, want %q", delivered, tt.delivered)
			}
		})
	}
}

// Who got the mail does not get it again because of the others, over any number
// of attempts, and the next alert goes to all.
func TestPartialRecipients(t *testing.T) {
	s := newEmailServer(t)
	c := s.config("a@example.net", "b@example.net", "c@example.net")
	s.refuses("b@example.net", &smtp.SMTPError{Code: 450, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "greylisted"})
	s.refuses("c@example.net", &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"})
	opened, resolved := sinktest.Story("bob")[0], sinktest.Story("bob")[4]
	count := func(want ...int) {
		t.Helper()
		var got []int
		for _, to := range c.To {
			got = append(got, len(s.box(to)))
		}
		if !slices.Equal(got, want) {
			t.Errorf("mails %v, want %v", got, want)
		}
	}
	send := func(a *processor.Alert, ref string, want sinks.Verdict) string {
		t.Helper()
		ref, err := newTestSink(t, c).Send(t.Context(), a, ref)
		if v, _ := sinks.VerdictOf(err); v != want {
			t.Fatalf("%s, want %s: %v", v, want, err)
		}
		return ref
	}
	ref := send(opened, "", sinks.VerdictRetry)
	count(1, 0, 0)
	ref = send(opened, ref, sinks.VerdictRetry)
	s.refuses("b@example.net", nil)
	ref = send(opened, ref, sinks.VerdictPermanent) // c is left, and unknown
	count(1, 1, 0)
	ref = send(resolved, ref, sinks.VerdictPermanent)
	count(2, 2, 0)
	s.refuses("c@example.net", nil)
	ref = send(opened, ref, sinks.VerdictDelivered) // the dead letters are sent again
	count(2, 2, 1)
	ref = send(resolved, ref, sinks.VerdictDelivered)
	count(2, 2, 2)
	if s.sent != 5 {
		t.Errorf("%d transactions, want 5", s.sent)
	}
	if p := message.ProgressOf(ref); len(p.Open) != 0 {
		t.Errorf("left in the reference: %s", ref)
	}
	// A recipient that was taken out of the configuration is waited for no more.
	s.refuses("b@example.net", &smtp.SMTPError{Code: 450, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "greylisted"})
	ref = send(opened, "", sinks.VerdictRetry)
	c.To = []string{"a@example.net", "c@example.net"}
	send(opened, ref, sinks.VerdictDelivered)
	if s.sent != 6 {
		t.Errorf("%d transactions, want 6", s.sent)
	}
}

// A server with a limit of recipients is given them in parts.
func TestManyRecipients(t *testing.T) {
	s := newEmailServer(t)
	s.smtp.MaxRecipients = 3
	var to []string
	for i := range 10 {
		to = append(to, fmt.Sprintf("u%d@example.net", i))
	}
	if _, err := newTestSink(t, s.config(to...)).Send(t.Context(), message.SampleAlert(), ""); err != nil {
		t.Fatal(err)
	}
	for _, u := range to {
		if n := len(s.box(u)); n != 1 {
			t.Errorf("%s got %d mails", u, n)
		}
	}
	if s.sent != 4 {
		t.Errorf("%d transactions, want 4", s.sent)
	}
}

// Nothing is said in the clear where TLS is wanted.
func TestTLS(t *testing.T) {
	s := newEmailServer(t)
	trusted := s.config("a@example.net")
	change := func(f func(*Config)) Config {
		c := trusted
		f(&c)
		return c
	}
	stripped := script(t, map[string]string{"AUTH": "", "MAIL": ""})
	stripped.TLS.Mode = tlsStart
	for _, tt := range []struct {
		name   string
		config Config
		want   sinks.Verdict
		saying string
	}{
		{"starttls", trusted, sinks.VerdictDelivered, ""},
		{"STARTTLS stripped", stripped, sinks.VerdictMisconfigured, "offers no STARTTLS, so nothing was sent"},
		{"unknown authority", change(func(c *Config) { c.TLS.CAFile = "" }), sinks.VerdictMisconfigured, "certificate"},
		{"another name", change(func(c *Config) { c.TLS.ServerName = "mail.example.org" }), sinks.VerdictMisconfigured, "tls.server_name"},
		{"implicit where STARTTLS was due", change(func(c *Config) { c.TLS.Mode = tlsImplicit }), sinks.VerdictMisconfigured, "set tls.mode: starttls"},
		{"none where a login wants it", change(func(c *Config) { c.TLS.Mode = tlsNone }), sinks.VerdictMisconfigured, "offers no AUTH"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newTestSink(t, tt.config).Send(t.Context(), message.SampleAlert(), "")
			if v, _ := sinks.VerdictOf(err); v != tt.want {
				t.Fatalf("%s, want %s: %v", v, tt.want, err)
			}
			if err != nil && !strings.Contains(err.Error(), tt.saying) {
				t.Errorf("said %q, want %q in it", err, tt.saying)
			}
		})
	}
}

// An address outside of ASCII needs a server that knows them; where there is
// none, the others get their mail.
func TestSMTPUTF8(t *testing.T) {
	for _, able := range []bool{false, true} {
		s := newEmailServer(t)
		s.smtp.EnableSMTPUTF8 = able
		_, err := newTestSink(t, s.config("jürgen@example.net", "a@example.net")).Send(t.Context(), message.SampleAlert(), "")
		want := map[bool]sinks.Verdict{false: sinks.VerdictPermanent, true: sinks.VerdictDelivered}[able]
		if v, _ := sinks.VerdictOf(err); v != want || err != nil && !strings.Contains(err.Error(), "SMTPUTF8") {
			t.Errorf("able %t: %s, want %s: %v", able, v, want, err)
		}
		if n := len(s.box("a@example.net")); n != 1 {
			t.Errorf("able %t: the other got %d mails", able, n)
		}
	}
}

// A send ends with its context, whatever the server does, and says why.
func TestTimeout(t *testing.T) {
	for _, command := range []string{"greeting", "EHLO", "AUTH", "MAIL", "RCPT a@example.net", "DATA", "."} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			const hangs = "250-and there is more"
			c := script(t, map[string]string{command: hangs}, func(answer string) {
				if answer == hangs {
					cancel(errors.New("no answer within 2s"))
				}
			})
			_, err := newTestSink(t, c).Send(ctx, message.SampleAlert(), "")
			want := sinks.VerdictRetry
			if command == "." {
				want = sinks.VerdictAmbiguous
			}
			if v, _ := sinks.VerdictOf(err); v != want || !strings.Contains(err.Error(), "no answer within 2s") {
				t.Errorf("%s, want %s: %v", v, want, err)
			}
		})
	}
}

// What mail programs go by: the thread, the subject, who wrote it.
func TestThread(t *testing.T) {
	s := newEmailServer(t)
	e := newTestSink(t, s.config("a@example.net"))
	for _, a := range sinktest.Story("bob") {
		if _, err := e.Send(t.Context(), a, ""); err != nil {
			t.Fatal(err)
		}
	}
	box := s.box("a@example.net")
	if len(box) != 5 {
		t.Fatalf("%d mails", len(box))
	}
	ids := map[string]bool{}
	for i, m := range box {
		id, thread := m.header.Get("Message-Id"), m.header.Get("References")
		if ids[id] || id == thread || thread != box[0].header.Get("References") {
			t.Errorf("mail %d: ID %s, thread %s", i, id, thread)
		}
		ids[id] = true
		if reply := m.header.Get("In-Reply-To"); (i == 0) != (reply == "") || i > 0 && reply != thread {
			t.Errorf("mail %d: in reply to %q", i, reply)
		}
		if m.header.Get("Auto-Submitted") != "auto-generated" || m.header.Get("To") != "<a@example.net>" {
			t.Errorf("mail %d: header %v", i, m.header)
		}
		if at, err := m.header.Date(); err != nil || time.Since(at) > time.Hour {
			t.Errorf("mail %d: date %s, %v", i, at, err)
		}
		if got, want := base(m.subject), "MFA of bob in 000000000000"; got != want {
			t.Errorf("mail %d: subject %q, base %q, want %q", i, m.subject, got, want)
		}
	}
	for i, want := range []string{"[HIGH] MFA", "Re: [HIGH] MFA", "Re: [CRITICAL] MFA", "Re: [CRITICAL] MFA", "Re: [RESOLVED] MFA"} {
		if !strings.HasPrefix(box[i].subject, want) {
			t.Errorf("subject %q, want %s…", box[i].subject, want)
		}
	}
}

// base is the base subject of RFC 5256, section 2.1, for what occurs here.
func base(subject string) string {
	subject = strings.TrimPrefix(subject, "Re: ")
	if _, rest, ok := strings.Cut(subject, "] "); ok && strings.HasPrefix(subject, "[") {
		return rest
	}
	return subject
}

// Both parts say it all.
func TestText(t *testing.T) {
	w := message.Wording{Zone: sinktest.Vienna(t), Page: "https://mfawatch.example.net"}
	e, err := New(Config{Host: "smtp.example.net", From: "m@example.net", To: []string{"a@example.net"}}, w, nil)
	if err != nil {
		t.Fatal(err)
	}
	a := sinktest.Named("payments", message.SampleAlert())[0]
	l := e.compose(a)
	for _, part := range []string{l.text, l.html} {
		for _, want := range []string{
			"HIGH", "MFA removed from mfawatch-test in payments (000000000000) by tester", "This is a test of mfawatch: nothing happened.",
			"What to do now", "2026-01-02 03:04:05 UTC (04:04:05 CET)", "without MFA", "198.51.100.7", "https://us-east-1.console.aws.amazon.com/cloudtrailv2/",
			"https://mfawatch.example.net/exposures/" + *a.Exposure, a.ID,
		} {
			if !strings.Contains(strings.Join(strings.Fields(part), " "), want) {
				t.Errorf("%q is not in\n%s", want, part)
			}
		}
	}
	for line := range strings.Lines(l.text) {
		if len(line) > 200 {
			t.Errorf("a line of %d bytes: %s", len(line), line)
		}
	}
	one, err := l.bytes(a.Time)
	if err != nil {
		t.Fatal(err)
	}
	two, _ := e.compose(sinktest.Named("payments", message.SampleAlert())[0]).bytes(a.Time)
	if string(one) != string(two) {
		t.Error("the same alert makes another mail")
	}
	shown, err := e.Render(a)
	if err != nil || !strings.Contains(shown, "Subject: [HIGH] Test: MFA of mfawatch-test in payments (000000000000)\n") || !strings.Contains(shown, l.text) {
		t.Errorf("rendered %s, %v", shown, err)
	}
}

// The operator's words, escaped where they are HTML; one that fails on an alert
// gives way to ours.
func TestTemplates(t *testing.T) {
	c := Config{Host: "smtp.example.net", From: "m@example.net", To: []string{"a@example.net"}, Templates: message.Templates{
		"subject": "{{.Severity | upper}}\r\nBcc: x@evil.example {{.Alert.Account}}",
		"text":    "It was {{.Alert.Actor.Name}}.",
		"html":    "<p title='{{.Alert.Actor.Name}}'>{{.Title}}</p>{{if not .Alert.User}}{{index .Facts 99}}{{end}}",
	}}
	e := newTestSink(t, c)
	a := message.SampleAlert()
	a.Actor.Name, a.Title = "<b>'mallory'", "<script>alert(1)</script>"
	l := e.compose(a)
	if l.subject != "HIGH\ufffd\ufffdBcc: x@evil.example 000000000000" || l.text != "It was <b>'mallory'." ||
		l.html != "<p title='&lt;b&gt;&#39;mallory&#39;'>&lt;script&gt;alert(1)&lt;/script&gt;</p>" {
		t.Errorf("got %q, %q, %q", l.subject, l.text, l.html)
	}
	a.User = nil
	if l := e.compose(a); !strings.HasPrefix(l.html, "<!doctype html>") || strings.Contains(l.html, "<script>") {
		t.Errorf("a template that fails: %.200s", l.html)
	}
}

// Several alerts go in one mail, to no recipient twice, and to those that can
// get it.
func TestGroup(t *testing.T) {
	s := newEmailServer(t)
	var log strings.Builder
	e, err := New(s.config("a@example.net", "b@example.net"), message.Wording{Page: "https://mfawatch.example.net"},
		slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	alerts := []*processor.Alert{sinktest.Story("bob")[0], sinktest.Story("eve")[2], sinktest.Story("<b>www.evil.example")[0]}
	sinktest.Named("payments", alerts...)
	s.refuses("b@example.net", &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"})
	if err := e.SendGroup(t.Context(), alerts); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "b@example.net") {
		t.Errorf("log %q, want who did not get it", log.String())
	}
	box := s.box("a@example.net")
	if len(box) != 1 || box[0].subject != "[CRITICAL] 3 more alerts in payments (000000000000)" {
		t.Fatalf("got %d mails, %v", len(box), box)
	}
	for _, part := range []string{box[0].text, box[0].html} {
		for _, name := range []string{"bob", "eve", "2026-05-01 08:03:11 UTC", "www[.]evil.example", "https://mfawatch.example.net/"} {
			if !strings.Contains(part, name) {
				t.Errorf("no %s in\n%s", name, part)
			}
		}
	}
	s.refuses("a@example.net", &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 2}, Message: "later"})
	if v, _ := sinks.VerdictOf(e.SendGroup(t.Context(), alerts)); v != sinks.VerdictRetry {
		t.Errorf("nobody got it: %s", v)
	}
}

func TestTo(t *testing.T) {
	s := newEmailServer(t)
	other, err := newTestSink(t, s.config("a@example.net")).To([]string{"b@example.net"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Send(t.Context(), message.SampleAlert(), ""); err != nil {
		t.Fatal(err)
	}
	if len(s.box("a@example.net")) != 0 || len(s.box("b@example.net")) != 1 {
		t.Error("it did not go to the other")
	}
	if _, err := newTestSink(t, s.config("a@example.net")).To([]string{"nobody"}); err == nil {
		t.Error("nobody is no address")
	}
}

func TestConfig(t *testing.T) {
	good := Config{Host: "smtp.example.net", From: "mfawatch@example.net", To: []string{"a@example.net"}}
	sinktest.Mistakes(t, good, func(c Config) error {
		_, err := New(c, message.Wording{}, nil)
		return err
	}, map[string][]func(c *Config){
		"host: missing": {func(c *Config) { c.Host = "" }},
		"host: want the name of the mail server alone": {
			func(c *Config) { c.Host = "smtp://x" },
			func(c *Config) { c.Host = "smtp.example.net:587" },
		},
		"port: want 1 to 65535":                                       {func(c *Config) { c.Port = 70000 }},
		"tls.mode: want starttls, implicit or none":                   {func(c *Config) { c.TLS.Mode = "ssl" }},
		"tls.mode: none is for a server on this machine":              {func(c *Config) { c.TLS.Mode = "none" }},
		"tls.ca_file: open /nowhere":                                  {func(c *Config) { c.TLS.CAFile = "/nowhere" }},
		"auth: want auto, plain":                                      {func(c *Config) { c.Auth = "ntlm" }},
		"username: missing; auth needs it":                            {func(c *Config) { c.Auth = "plain" }},
		"username: missing; the password needs it":                    {func(c *Config) { c.Password = "xyzzy" }},
		"password_file: missing":                                      {func(c *Config) { c.Username = "u" }},
		"password_file: set beside password":                          {func(c *Config) { c.Username, c.Password, c.PasswordFile = "u", "xyzzy", "/dev/null" }},
		"password_file: open /nowhere":                                {func(c *Config) { c.Username, c.PasswordFile = "u", "/nowhere" }},
		"from: missing":                                               {func(c *Config) { c.From = "" }},
		"from: want an address":                                       {func(c *Config) { c.From = "mfawatch" }},
		"to: want 1 to 100 addresses":                                 {func(c *Config) { c.To = nil }},
		"to[0]: want an address":                                      {func(c *Config) { c.To = []string{"a@example.net\r\nBcc: b@example.net"} }},
		"to[1]: a@example.net is there twice":                         {func(c *Config) { c.To = []string{"a@example.net", "A <a@example.net>"} }},
		"templates.body: no such part; known are subject, text, html": {func(c *Config) { c.Templates = message.Templates{"body": ""} }},
		"templates.html:": {
			func(c *Config) { c.Templates = message.Templates{"html": "<p>{{.Titel}}</p>"} },
			func(c *Config) { c.Templates = message.Templates{"html": "<a href={{.Title}}{{if .Over}}'{{end}}>"} },
		},
	})
}

// Whatever stands in an alert, it makes a mail that is one: FuzzEmail holds the
// parser above, which is strict, against it.
func FuzzEmail(f *testing.F) {
	for _, text := range sinktest.HostileTexts {
		f.Add(text, "bob")
	}
	e, err := New(Config{Host: "h", From: "m@example.net", To: []string{"a@example.net"}}, message.Wording{}, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text, other string) {
		a := message.SampleAlert()
		sinktest.Spoil(a, text)
		a.User, a.ID, a.Step, a.Severity = &other, other, exposure.Step(text), exposure.Severity(other)
		raw, err := e.compose(a).bytes(a.Time)
		if err != nil {
			t.Fatal(err)
		}
		m, err := readEmail(string(raw))
		if err != nil {
			t.Fatalf("%v:\n%s", err, raw)
		}
		if len(m.header["Bcc"]) > 0 || len(m.header["Subject"]) != 1 || len(m.header["To"]) != 1 {
			t.Errorf("header %v", m.header)
		}
		if problem := wrong(m.html); problem != "" {
			t.Errorf("%s in\n%s", problem, m.html)
		}
	})
}
