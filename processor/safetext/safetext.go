// Package safetext makes text that an attacker may have chosen fit to show.
package safetext

import (
	"strings"
	"unicode/utf8"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// Unlink keeps mail programs from making links of what an attacker wrote: they
// do that to whatever looks like an address.
var Unlink = strings.NewReplacer("://", "[:]//", "www.", "www[.]", "WWW.", "WWW[.]").Replace

// CutRunes makes text fit to be shown in a line, as exposure.Clean does, and
// cuts it to a number of characters.
func CutRunes(text string, max int) string {
	text = strings.TrimSpace(exposure.Clean(text, 4*max+len("…")))
	if runes := []rune(text); len(runes) > max {
		return string(runes[:max-1]) + "…"
	}
	return text
}

// Wrap breaks text into lines of at most width characters, between words where
// it can.
func Wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
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
