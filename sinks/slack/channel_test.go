package slack

import (
	"strings"
	"testing"
)

func TestChannelNames(t *testing.T) {
	for s, want := range map[string]bool{
		"C0123456789": true, "G012345": true, "U0123456789": true, "#security": true, "security": true, "sécurité-é": true, "日本": true,
		strings.Repeat("a", 80): true, "#" + strings.Repeat("a", 80): true,
		"": false, "#": false, "##a": false, strings.Repeat("a", 81): false, "Security": false, "C0123": false, "X0123456789": false,
		"a b": false, "a\nb": false, "a,b": false, "<a>": false, "a@b": false, "C" + strings.Repeat("0", 21): false,
	} {
		if isChannel(s) != want {
			t.Errorf("isChannel(%q) = %v, want %v", s, !want, want)
		}
	}
}
