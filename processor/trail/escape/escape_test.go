package escape

import (
	"encoding/json"
	"strconv"
	"testing"
)

var texts = []string{"", "plain", `a "quote"`, `back\slash`, "\b\f\n\r\t", "é \u2028 \U0001F511", `\u0041`, `\\`}

// Append agrees with encoding/json, however a string is spelt.
func TestAppend(t *testing.T) {
	for _, text := range texts {
		b, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(Append(nil, b[1:len(b)-1])); got != text {
			t.Errorf("%s: %q, want %q", b, got, text)
		}
		if ascii := strconv.QuoteToASCII(text); json.Unmarshal([]byte(ascii), new(string)) == nil {
			if got := string(Append(nil, []byte(ascii[1:len(ascii)-1]))); got != text {
				t.Errorf("%s: %q, want %q", ascii, got, text)
			}
		}
	}
	for src, want := range map[string]string{`\ud83d\udd11`: "🔑", `\ud83d`: "\uFFFD", `\ud83dx`: "\uFFFDx", `\u12`: "\uFFFD", `a\`: `a\`, `\/\x`: "/x"} {
		if got := string(Append(nil, []byte(src))); got != want {
			t.Errorf("%s: %q, want %q", src, got, want)
		}
	}
}

func TestSpell(t *testing.T) {
	for src, want := range map[string]string{
		`eventName`: "eventName", `\u0065ventName`: "eventName", `event\u004eam\u0065`: "eventName", `\\\\u0065v`: "ev",
		`\u00e`: `\u00e`, `\n\u0041`: `\nA`, `\u0100`: `\u0100`, `\\`: `\\`,
	} {
		if got := string(Spell(nil, []byte(src))); got != want {
			t.Errorf("%s: %s, want %s", src, got, want)
		}
	}
}

// Value reads a member's value whose quotes are escaped, however often.
func TestValue(t *testing.T) {
	for _, tt := range []struct {
		b, value string
		sure     bool
	}{
		{`\": \"CheckMfa\"`, "CheckMfa", true},
		{`\\\":\\\"CheckMfa\\\"`, "CheckMfa", true},
		{`\u0022\n:\t\u0022CheckMfa\u0022`, "CheckMfa", true},
		{`\": \"Check\u004dfa\"`, "Check", false},
		{`\": \"Check`, "Check", false},
		{`\": 7`, "", true},
		{`, \"CheckMfa\"`, "", true},
		{`\": \"CheckMfa"`, "", true},
		{`\": \u1234`, "", false},
		{`\":`, "", false},
	} {
		if value, sure := Value([]byte(tt.b)); string(value) != tt.value || sure != tt.sure {
			t.Errorf("%s: %q, sure %v; want %q, %v", tt.b, value, sure, tt.value, tt.sure)
		}
	}
}
