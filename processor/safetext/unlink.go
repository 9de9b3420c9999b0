package safetext

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// Line makes text of a record fit for one line that people read: without links (see
// Unlink), clean and within max bytes (see Clean).
func Line(s string, max int) string { return Clean(Unlink(s), max) }

// Unlink returns s with no text that a mail or chat client turns into a link to a
// page: "://", a dot behind "www", and the dot before the last label of a bare
// domain are put in brackets, so that evil.com reads evil[.]com. A domain is known
// by a public suffix of the root zone: alice.smith and 2.15.0 stay as they are. So
// does a mail address, which links to no page.
func Unlink(s string) string {
	s = strings.ReplaceAll(s, "://", "[:]//")
	var b strings.Builder
	for s != "" {
		n := strings.IndexFunc(s, inDomain)
		if n < 0 {
			n = len(s)
		}
		b.WriteString(s[:n])
		if s = s[n:]; s == "" {
			break
		}
		mailbox := mailboxBefore(b.String())
		if n = strings.IndexFunc(s, func(r rune) bool { return !inDomain(r) }); n < 0 {
			n = len(s)
		}
		run, after := s[:n], s[n:]
		if mailbox && !inPage(after) {
			b.WriteString(run)
		} else {
			breakDots(&b, run, endsMailbox(run) && mailDomain(after))
		}
		s = after
	}
	return b.String()
}

// inDomain reports whether r may stand in a domain: letters, digits, hyphens and
// what browsers take for a dot.
func inDomain(r rune) bool {
	return r == '-' || isDot(r) || unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)
}

// isDot reports whether r separates labels (UTS 46).
func isDot(r rune) bool { return r == '.' || r == '\u3002' || r == '\uff0e' || r == '\uff61' }

// mailboxBefore reports whether text ends in the local part of a mail address and
// its @.
func mailboxBefore(text string) bool {
	local, at := strings.CutSuffix(text, "@")
	return at && endsMailbox(local)
}

// endsMailbox reports whether text may be, or end, the local part of a mail address.
func endsMailbox(text string) bool {
	if text == "" {
		return false
	}
	last := text[len(text)-1]
	return last < utf8.RuneSelf && (unicode.IsLetter(rune(last)) || unicode.IsDigit(rune(last)) || strings.IndexByte("_+=-", last) >= 0)
}

// inPage reports whether what follows a domain makes it that of a page.
func inPage(after string) bool { return strings.HasPrefix(after, "/") || strings.HasPrefix(after, ":") }

// mailDomain reports whether text begins with the @ and the domain of a mail
// address.
func mailDomain(text string) bool {
	domain, at := strings.CutPrefix(text, "@")
	if end := strings.IndexFunc(domain, func(r rune) bool { return !inDomain(r) }); end >= 0 {
		if inPage(domain[end:]) {
			return false
		}
		domain = domain[:end]
	}
	dot := strings.LastIndexByte(domain, '.')
	return at && dot > 0 && topLevel(domain[dot+1:])
}

// breakDots writes run, a stretch of labels and dots, and breaks the dots that make
// a domain of it. local says that it is the local part of a mail address.
func breakDots(b *strings.Builder, run string, local bool) {
	for run != "" {
		n := strings.IndexFunc(run, isDot)
		if n < 0 {
			b.WriteString(run)
			return
		}
		label := run[:n]
		dot, size := utf8.DecodeRuneInString(run[n:])
		b.WriteString(label)
		run = run[n+size:]
		next := run
		if end := strings.IndexFunc(run, isDot); end >= 0 {
			next = run[:end]
		}
		www := len(label) >= 3 && strings.EqualFold(label[len(label)-3:], "www")
		if next != "" && (www || label != "" && !local && topLevel(next)) {
			b.WriteString("[" + string(dot) + "]")
		} else {
			b.WriteRune(dot)
		}
	}
}

// maxLabel is the length of the longest label of a domain, in bytes.
const maxLabel = 63

// topLevel reports whether label, or its part in ASCII, after which some clients
// end a link, is a domain of the root zone.
func topLevel(label string) bool {
	label = strings.TrimRight(label, "-")
	if wide := strings.IndexFunc(label, func(r rune) bool { return r >= utf8.RuneSelf }); wide > 0 && topLevel(label[:wide]) {
		return true
	}
	if len(label) < 2 || len(label) > maxLabel {
		return false
	}
	ascii, err := idna.Lookup.ToASCII(label)
	if err != nil {
		return false
	}
	_, icann := publicsuffix.PublicSuffix(ascii)
	return icann
}
