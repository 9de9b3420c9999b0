package sms

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// gsmPart is how many septets one text message has.
const gsmPart = 160

// The default alphabet of 3GPP TS 23.038 and its extension, less what ends a
// line. One character of the extension takes two septets. One outside of both
// would turn the whole message to UCS-2, 70 characters a part.
const (
	gsmBasic = "@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmExtension = "^{}\\[~]|€"
)

// gsmInstead replaces characters outside the alphabet whose letter without its accents
// is no substitute.
var gsmInstead = strings.NewReplacer(
	"‘", "'", "’", "'", "‚", "'", "‛", "'", "′", "'", "`", "'", "´", "'",
	"“", "\"", "”", "\"", "„", "\"", "‟", "\"", "″", "\"", "«", "\"", "»", "\"",
	"‐", "-", "‑", "-", "‒", "-", "–", "-", "—", "-", "―", "-", "−", "-",
	"…", "...", "•", "*", "·", "*", "×", "x", "÷", "/", "\u00a0", " ", "\t", " ", "\n", " ", "\r", " ",
	"ł", "l", "Ł", "L", "đ", "d", "Đ", "D", "ð", "d", "Ð", "D", "þ", "th", "Þ", "Th", "ı", "i", "œ", "oe", "Œ", "OE", "ẞ", "SS",
	"©", "(c)", "®", "(r)", "™", "(tm)", "°", "o", "¢", "c",
)

// gsm writes text in the alphabet: a look-alike for what is not in it, or a
// question mark, one for several in a row.
func gsm(text string) string {
	var b strings.Builder
	lost := false
	for _, r := range gsmInstead.Replace(strings.ToValidUTF8(text, "\ufffd")) {
		letters := string(r)
		if gsmSeptets(r) == 0 {
			letters = gsmLetters(r)
		}
		if letters == "?" && lost {
			continue
		}
		b.WriteString(letters)
		lost = letters == "?" || lost && letters == ""
	}
	return b.String()
}

// gsmLetters are the letters of the alphabet that a character is made of, less
// its accents: "" for an accent, "?" for what is made of others.
func gsmLetters(r rune) string {
	var b strings.Builder
	for _, part := range norm.NFKD.String(string(r)) {
		switch {
		case unicode.Is(unicode.Mn, part):
		case part == '\u2044': // of a fraction
			b.WriteByte('/')
		case gsmSeptets(part) == 0:
			return "?"
		default:
			b.WriteRune(part)
		}
	}
	return b.String()
}

// gsmSeptets returns the septets of a character, 0 for one that is not in the alphabet.
func gsmSeptets(r rune) int {
	switch {
	case strings.ContainsRune(gsmBasic, r):
		return 1
	case strings.ContainsRune(gsmExtension, r):
		return 2
	}
	return 0
}

// gsmLength returns the septets of text in the alphabet.
func gsmLength(text string) (n int) {
	for _, r := range text {
		n += gsmSeptets(r)
	}
	return n
}

// gsmCut is text of the alphabet within max septets, with a mark where it was
// cut.
func gsmCut(text string, max int) string {
	const mark = "..."
	if gsmLength(text) <= max {
		return text
	}
	n := 0
	for i, r := range text {
		if n += gsmSeptets(r); n > max-len(mark) {
			return strings.TrimRight(text[:i], " ") + mark
		}
	}
	return text
}
