package safetext

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	for _, c := range []struct {
		in   string
		max  int
		want string
	}{
		{"alice", 10, "alice"},
		{"", 10, ""},
		{"alice", 5, "alice"},
		{"alice-b", 6, "ali…"},
		{"alice", 2, ""},
		{"alice", 3, "…"},
		{"alice", 0, ""},
		{"jörg.müller", 40, "jörg.müller"},
		{"日本語", 8, "日…"},
		{"日本語", 9, "日本語"},
		{"a\nb\r\tc\x00\x7f", 40, "a\uFFFDb\uFFFD\uFFFDc\uFFFD\uFFFD"},
		{"bob\u202Egnp.exe\u202C", 40, "bob\uFFFDgnp.exe\uFFFD"},
		{"al\u200Bice\uFEFF\u2066\u2028", 40, "al\uFFFDice\uFFFD\uFFFD\uFFFD"},
		{"\u3164\u115F\uFE0F\U000E0041", 40, "\uFFFD\uFFFD\uFFFD\uFFFD"},
		{"a\u2800b\u00A0\u3000\U0001D159\U00013441\U00013442", 40, "a\uFFFDb\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD"},
		{"a\xff\xc3", 40, "a\uFFFD\uFFFD"},
		{"\x1b[31mred", 40, "\uFFFD[31mred"},
		{strings.Repeat("\x00", 9), 10, "\uFFFD\uFFFD…"},
	} {
		if got := Clean(c.in, c.max); got != c.want {
			t.Errorf("Clean(%q, %d) = %q, want %q", c.in, c.max, got, c.want)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("bob\u202E\xff", 7)
	f.Fuzz(func(t *testing.T, s string, max int) {
		max &= 0xff
		got := Clean(s, max)
		if len(got) > max || !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) && r != utf8.RuneError }) {
			t.Errorf("Clean(%q, %d) = %q", s, max, got)
		}
		if Clean(got, max) != got {
			t.Errorf("Clean(%q, %d) is not clean", s, max)
		}
	})
}
