package safetext

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const ellipsis = "…"

// Clean makes text of an attacker's choice fit for display in one line: invalid
// UTF-8 and every character that is invisible or reorders the line (control,
// bidirectional, zero-width, line separators) becomes U+FFFD, so that different
// names still look different. The result has at most max bytes; longer text is
// cut between runes and ends in an ellipsis.
func Clean(s string, max int) string {
	if len(s) <= max && plain(s) {
		return s
	}
	var b strings.Builder
	fits := 0 // the length that leaves room for the ellipsis
	for _, r := range s {
		r = visible(r)
		if b.Len()+utf8.RuneLen(r) > max {
			if max < len(ellipsis) {
				return ""
			}
			return b.String()[:fits] + ellipsis
		}
		b.WriteRune(r)
		if b.Len()+len(ellipsis) <= max {
			fits = b.Len()
		}
	}
	return b.String()
}

// plain reports whether s is printable ASCII.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// blanks are symbols and letters without a mark, which look like a space.
const blanks = "\u2800\U0001D159\U00013441\U00013442"

// visible returns r, or U+FFFD if r is invisible or no character.
func visible(r rune) rune {
	if !unicode.IsPrint(r) || strings.ContainsRune(blanks, r) || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
		return utf8.RuneError
	}
	return r
}

// CutRunes cleans text as Clean does, without white space around it, and cuts it
// to at most max characters.
func CutRunes(text string, max int) string {
	text = strings.TrimSpace(Clean(text, 4*max+len("…")))
	if runes := []rune(text); len(runes) > max {
		return string(runes[:max-1]) + "…"
	}
	return text
}

// Wrap breaks text between words into lines of at most width characters. A longer
// word has a line of its own.
func Wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
