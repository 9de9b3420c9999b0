package sms

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/sinks/message"
)

// parts lists the parts that templates can write.
var parts = []string{"text"}

// Bounds of the parts of a message, in septets. The head is never cut for the parts
// after it; the advice is left out first.
const (
	minHead   = 60
	minAdvice = 20
)

// body is the message about an alert: how bad, who, what and where, when, then a
// link and, as there is room, what to do; where there is something to check, that
// comes before the link. It is a pure function of the alert and the configuration.
func (s *Sink) body(a *processor.Alert) string {
	m := s.wording.Message(a)
	if s.texts["text"] != nil {
		if text := gsm(strings.Join(strings.Fields(s.texts.Or("", "text", m, a, 4096)), " ")); text != "" {
			return gsmCut(text, gsmPart)
		}
	}
	at := ", " + gsm(s.wording.ShortTime(a.Time))
	if name := safetext.Unlink(a.AccountName); name != "" { // there is no room for its number, too
		m.Short = strings.Replace(m.Short, message.Account(name, a.Account), name, 1)
	}
	head, advice, link := gsm(m.Short), gsm(m.Advice), s.link(m)
	checks := len(a.Checks) > 0
	if checks {
		advice = gsm("Check: " + safetext.Line(a.Checks[0], message.MaxFact))
	}
	if room := gsmPart - gsmLength(at) - gsmLength(link); room < minHead || checks && room-minHead < min(gsmLength(advice), 2*minAdvice) {
		link = ""
	}
	room := gsmPart - gsmLength(at) - gsmLength(link)
	if link != "" && !checks && gsmLength(head)+gsmLength(advice)+2 > room { // the link leads to it
		advice = ""
	}
	if advice != "" {
		head = gsmCut(head, max(minHead, room-gsmLength(advice)-2))
	}
	body := gsmCut(head, room) + at
	if left := gsmPart - gsmLength(body+link) - 2; advice != "" && left >= min(minAdvice, gsmLength(advice)) {
		body += ". " + gsmCut(advice, left)
	}
	return body + link
}

// link returns the link to our own page, "" if there is none or the alphabet lacks
// a character of it.
func (s *Sink) link(m message.Message) string {
	for _, l := range m.Links {
		if s.wording.Page != "" && strings.HasPrefix(l.URL, s.wording.Page+"/") && gsm(l.URL) == l.URL {
			return " " + l.URL
		}
	}
	return ""
}

// again marks a message that may be a copy.
func again(body string) string { return gsmCut("(again?) "+body, gsmPart) }

// groupBody is the message about several alerts: how many, where, and as many of
// the users as there is room for.
func (s *Sink) groupBody(alerts []*processor.Alert) string {
	worst := message.Worst(alerts)
	var users, accounts []string
	for _, a := range alerts {
		if name := message.Account(a.AccountName, a.Account); !slices.Contains(accounts, name) {
			accounts = append(accounts, name)
		}
		who := "unknown"
		switch {
		case a.Users != nil:
			who = fmt.Sprintf("%d users", a.Users.Count)
		case a.Root:
			who = "root"
		case a.User != nil:
			who = *a.User
		}
		if who = safetext.Clean(who, 64); !slices.Contains(users, who) {
			users = append(users, who)
		}
	}
	where := accounts[0]
	if len(accounts) > 1 {
		where = fmt.Sprintf("%d accounts", len(accounts))
	}
	text := fmt.Sprintf("%s: %d more alerts in %s: %s", strings.ToUpper(string(worst.Severity)), len(alerts), safetext.Clean(where, 80), strings.Join(users, ", "))
	return gsmCut(gsm(safetext.Unlink(text)), gsmPart)
}
