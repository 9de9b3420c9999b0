package sms

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/sinks/message"
)

// parts lists the parts that templates can write.
var parts = []string{"text"}

// body is the message about an alert: how bad, who, what and where, when, and
// then as there is room a link, or else what to do. It is a pure function of the
// alert and the configuration.
func (s *Sink) body(a *processor.Alert) string {
	m := s.wording.Message(a)
	if s.texts["text"] != nil {
		if text := gsm(strings.Join(strings.Fields(s.texts.Or("", "text", m, a, 4096)), " ")); text != "" {
			return gsmCut(text, gsmPart)
		}
	}
	at := ", " + a.Time.UTC().Format("2 Jan 15:04 UTC")
	if name := safetext.Unlink(a.AccountName); name != "" { // there is no room for its number, too
		m.Short = strings.Replace(m.Short, message.Account(name, a.Account), name, 1)
	}
	head := gsm(m.Short)
	body := gsmCut(head, gsmPart-gsmLength(at)) + at
	var more []string
	for _, l := range m.Links {
		if s.wording.Page != "" && strings.HasPrefix(l.URL, s.wording.Page+"/") {
			more = append(more, " "+l.URL)
		}
	}
	if m.Advice != "" {
		more = append(more, ". "+gsm(m.Advice))
	}
	for _, text := range more {
		if gsmLength(gsm(text)) == gsmLength(text) && gsmLength(body+text) <= gsmPart {
			return body + text
		}
	}
	return body
}

// again marks a message that may be a copy.
func again(body string) string { return gsmCut("(again?) "+body, gsmPart) }

// groupBody is the message about several alerts: how many, where, and as many of
// the users as there is room for.
func (s *Sink) groupBody(alerts []*processor.Alert) string {
	worst := slices.MaxFunc(alerts, func(a, b *processor.Alert) int {
		return cmp.Compare(slices.Index(exposure.Severities, a.Severity), slices.Index(exposure.Severities, b.Severity))
	})
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
