package email

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	htmltemplate "html/template"
	netmail "net/mail"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wneessen/go-mail"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/sinks/message"
)

// parts lists the parts that templates can write.
var parts = []string{"subject", "text", "html"}

// Bounds of a mail, in bytes.
const (
	maxSubject = 200
	maxPart    = 256 << 10
	width      = 76 // columns of the text part
)

//go:embed email.html
var html string

// htmlPage is our own HTML part. Its styles are in the tags, since that is all
// that some clients take; those in its head are for the dark and for telephones.
var htmlPage = sync.OnceValue(func() *htmltemplate.Template { return htmltemplate.Must(htmltemplate.New("email").Parse(html)) })

// A mailing is a mail before it is encoded: all but the time at which it is
// sent.
type mailing struct {
	from     *netmail.Address
	to       []*netmail.Address
	id       string // Message-ID, without its brackets
	thread   string // the ID that all mails of an exposure refer to; "" for one that stands alone
	reply    bool   // not the first of its thread
	subject  string
	severity exposure.Severity
	alert    string
	step     exposure.Step
	text     string
	html     string
}

// compose is the mail about an alert: a pure function of it and the
// configuration.
func (e *Sink) compose(a *processor.Alert) mailing {
	m := e.wording.Message(a)
	l := mailing{
		from: e.from, to: e.to,
		id:       "alert-" + digest(a.ID) + "@" + e.domain(),
		subject:  safetext.Clean(e.texts.Or(e.subject(m, a), "subject", m, a, maxPart), maxSubject),
		severity: a.Severity, alert: a.ID, step: a.Step,
		text: e.texts.Or(textPart(m, a), "text", m, a, maxPart),
	}
	if a.Exposure != nil {
		l.thread = "exposure-" + digest(*a.Exposure) + "@" + e.domain()
		l.reply = message.Follows(a.Step)
	}
	l.html = e.htmlPart(m, a)
	return l
}

// subject begins with how bad it is, in brackets; behind that, and the Re: of
// the mails that follow, it is the same for all mails of an exposure, which is
// what clients take for one conversation (RFC 5256, base subject).
func (e *Sink) subject(m message.Message, a *processor.Alert) string {
	word := strings.ToUpper(string(a.Severity))
	if m.Over {
		word = "RESOLVED"
	}
	tag := "[" + word + "] "
	if a.Exposure == nil {
		return tag + m.Title
	}
	who := "an unknown user"
	switch {
	case a.Users != nil: // how many changes from mail to mail
		who = "several users"
	case a.Root:
		who = "the root user"
	case a.User != nil:
		who = *a.User
	}
	if a.Test {
		tag += "Test: "
	}
	if message.Follows(a.Step) {
		tag = "Re: " + tag
	}
	return tag + "MFA of " + safetext.Line(who, 100) + " in " + safetext.Line(message.Account(a.AccountName, a.Account), 80)
}

// domain returns the domain of our message IDs.
func (e *Sink) domain() string {
	_, domain, _ := strings.Cut(e.from.Address[strings.LastIndexByte(e.from.Address, '@'):], "@")
	if domain == "" || strings.ContainsFunc(domain, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("<>()[],;:\\\"", r) }) {
		return "mfawatch.invalid"
	}
	return domain
}

// digest returns an ID that fits everywhere in a mail, and that the author of a
// record cannot predict.
func digest(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:16])
}

// textPart returns the text part of the mail.
func textPart(m message.Message, a *processor.Alert) string {
	var b strings.Builder
	paragraph := func(text string) {
		if text != "" {
			b.WriteString(strings.Join(safetext.Wrap(text, width), "\n") + "\n\n")
		}
	}
	paragraph(m.Short)
	paragraph(m.Summary)
	if m.Advice != "" {
		b.WriteString("What to do now\n\n")
		for _, line := range safetext.Wrap(m.Advice, width-2) {
			b.WriteString("  " + line + "\n")
		}
		b.WriteString("\n")
	}
	for _, l := range m.Lists {
		b.WriteString(l.Name + "\n\n")
		for _, item := range l.Text() {
			b.WriteString("  " + strings.Join(safetext.Wrap(item, width-5), "\n     ") + "\n")
		}
		b.WriteString("\n")
	}
	width := 0
	for _, f := range m.Facts {
		width = max(width, len(f.Name))
	}
	for _, f := range m.Facts {
		fmt.Fprintf(&b, "%-*s  %s\n", width, f.Name, f.Value)
	}
	b.WriteString("\n")
	for _, l := range m.Links {
		b.WriteString(l.Text + ":\n  " + l.URL + "\n")
	}
	b.WriteString("\n-- \n" + footer(a) + "\n")
	return b.String()
}

// footer names mfawatch and the alert.
func footer(a *processor.Alert) string {
	text := "Sent by mfawatch, which watches AWS CloudTrail for MFA that is taken off. Alert " + safetext.Clean(a.ID, 80)
	if a.Exposure != nil {
		text += " of exposure " + safetext.Clean(*a.Exposure, 80)
	}
	return strings.Join(safetext.Wrap(text+", "+safetext.Clean(string(a.Step), 20)+".", width), "\n")
}

// sheet is the input of the HTML part.
type sheet struct {
	message.Message
	Word   string // how bad it is, or that it is over
	Colour string // of it
	Footer string
	List   []listed // of a group
}

// A listed is one alert of a group.
type listed struct{ Word, Colour, Title, Time string }

// colours of the severities, on white; white text is read on each.
var colours = map[exposure.Severity]string{
	exposure.Critical: "#b42318",
	exposure.High:     "#c4320a",
	exposure.Medium:   "#a15c07",
	exposure.Low:      "#175cd3",
	exposure.Info:     "#475467",
}

const colourOver = "#067647"

// word and colour of a step.
func badge(severity exposure.Severity, over bool) (word, colour string) {
	if over {
		return "RESOLVED", colourOver
	}
	return strings.ToUpper(safetext.Clean(string(severity), 20)), cmp.Or(colours[severity], colours[exposure.Info])
}

// htmlPart returns the HTML part of the mail.
func (e *Sink) htmlPart(m message.Message, a *processor.Alert) string {
	if e.page != nil {
		b := message.BoundedWriter{Left: maxPart}
		if err := e.page.Execute(&b, message.TemplateData{Message: m, Alert: a}); err == nil {
			return b.Text.String()
		}
	}
	s := sheet{Message: m, Footer: strings.ReplaceAll(footer(a), "\n", " ")}
	s.Word, s.Colour = badge(m.Severity, m.Over)
	return page(s)
}

func page(s sheet) string {
	var b strings.Builder
	if err := htmlPage().Execute(&b, s); err != nil {
		return ""
	}
	return b.String()
}

// composeGroup is the mail about several alerts.
func (e *Sink) composeGroup(alerts []*processor.Alert) mailing {
	worst := message.Worst(alerts)
	var ids, accounts []string
	for _, a := range alerts {
		ids = append(ids, a.ID)
		if name := safetext.Line(message.Account(a.AccountName, a.Account), 80); !slices.Contains(accounts, name) {
			accounts = append(accounts, name)
		}
	}
	title := fmt.Sprintf("%d more alerts in %s", len(alerts), accounts[0])
	if len(accounts) > 1 {
		title = fmt.Sprintf("%d more alerts in %d accounts", len(alerts), len(accounts))
	}
	s := sheet{
		Message: message.Message{Severity: worst.Severity, Title: title, Summary: "They came right after one that you were sent by itself."},
		Footer:  "Sent by mfawatch, which watches AWS CloudTrail for MFA that is taken off.",
	}
	s.Word, s.Colour = badge(worst.Severity, false)
	s.Short = s.Word + ": " + title
	if e.wording.Page != "" {
		s.Links = []message.Link{{Text: "mfawatch", URL: e.wording.Page + "/"}}
	}
	var text strings.Builder
	text.WriteString(s.Short + "\n\n" + s.Summary + "\n\n")
	for _, a := range alerts {
		m := e.wording.Message(a)
		item := listed{Title: m.Title, Time: e.wording.Time(a.Time)}
		item.Word, item.Colour = badge(a.Severity, m.Over)
		s.List = append(s.List, item)
		lines := safetext.Wrap(item.Title, width-10)
		fmt.Fprintf(&text, "%-8s  %s\n          %s\n", item.Word, strings.Join(lines, "\n          "), item.Time)
	}
	for _, l := range s.Links {
		text.WriteString("\n" + l.Text + ":\n  " + l.URL + "\n")
	}
	text.WriteString("\n-- \n" + s.Footer + "\n")
	return mailing{
		from: e.from, to: e.to, id: "group-" + digest(strings.Join(ids, " ")) + "@" + e.domain(),
		subject:  safetext.Clean("["+s.Word+"] "+title, maxSubject),
		severity: worst.Severity, text: text.String(), html: page(s),
	}
}

// bytes is the mail as it is sent, at the time given.
func (l mailing) bytes(at time.Time) ([]byte, error) {
	m := mail.NewMsg(mail.WithNoDefaultUserAgent(), mail.WithBoundary("mfawatch-"+digest("boundary "+l.id)))
	m.FromMailAddress(l.from)
	m.ToMailAddress(named(l.to)...)
	m.Subject(l.subject)
	m.SetMessageIDWithValue(l.id)
	m.SetDateWithValue(at)
	for name, value := range l.headers() {
		m.SetGenHeader(mail.Header(name), value)
	}
	m.SetBodyString(mail.TypeTextPlain, l.text)
	m.AddAlternativeString(mail.TypeTextHTML, l.html)
	var b bytes.Buffer
	_, err := m.WriteTo(&b)
	return b.Bytes(), err
}

// named are the recipients that stand in the mail. One outside of ASCII stands
// only in a mail that no other is in: else those would not get it either from a
// server that cannot write such a name.
func named(to []*netmail.Address) []*netmail.Address {
	var plain []*netmail.Address
	for _, address := range to {
		if !wideAddress(address.Address) {
			plain = append(plain, address)
		}
	}
	if plain == nil {
		return to
	}
	return plain
}

// headers are those that programs go by.
func (l mailing) headers() map[string]string {
	h := map[string]string{
		"Auto-Submitted":           "auto-generated", // RFC 3834: no vacation notes, please
		"X-Auto-Response-Suppress": "All",            // the same for Exchange
		"X-Mfawatch-Severity":      safetext.Clean(string(l.severity), 20),
	}
	if l.alert != "" {
		h["X-Mfawatch-Alert"] = safetext.Clean(l.alert, 100)
		h["X-Mfawatch-Step"] = safetext.Clean(string(l.step), 20)
	}
	if l.thread != "" {
		h["References"] = "<" + l.thread + ">"
		if l.reply {
			h["In-Reply-To"] = "<" + l.thread + ">"
		}
	}
	if l.severity == exposure.Critical || l.severity == exposure.High {
		h["Importance"] = "high"
	}
	return h
}

// show renders the mail for the operator.
func (l mailing) show() string {
	var b strings.Builder
	var to []string
	for _, address := range l.to {
		to = append(to, address.String())
	}
	fmt.Fprintf(&b, "From: %s\nTo: %s\nSubject: %s\nMessage-ID: <%s>\n", l.from, strings.Join(to, ", "), l.subject, l.id)
	h := l.headers()
	for _, name := range []string{"References", "In-Reply-To", "Importance"} {
		if h[name] != "" {
			b.WriteString(name + ": " + h[name] + "\n")
		}
	}
	b.WriteString("\n" + l.text + "\n----- the same in HTML -----\n\n" + l.html)
	return b.String()
}
