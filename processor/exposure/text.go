package exposure

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const ellipsis = "…"

// Clean makes text that an attacker may have chosen fit to be shown in a line:
// invalid UTF-8 and whatever is invisible or turns the line around (control,
// bidirectional, zero-width, line separators) each become U+FFFD, so that names
// that differ still look different. The result has at most max bytes; what is
// too long is cut between runes and ends in an ellipsis.
func Clean(s string, max int) string {
	if len(s) <= max && plain(s) {
		return s
	}
	var b strings.Builder
	fits := 0 // how much leaves room for the ellipsis
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

// visible is r, or U+FFFD if r cannot be seen or is no character.
func visible(r rune) rune {
	if !unicode.IsPrint(r) || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
		return utf8.RuneError
	}
	return r
}
