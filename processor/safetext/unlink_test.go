package safetext

import (
	"fmt"
	"strings"
	"testing"
)

func TestUnlink(t *testing.T) {
	for in, want := range map[string]string{
		"https://evil.com/x":       "https[:]//evil[.]com/x",
		"evil.com":                 "evil[.]com",
		"see evil.com.":            "see evil[.]com.",
		"login.evil.co.uk/aws":     "login.evil[.]co[.]uk/aws",
		"EVIL.COM":                 "EVIL[.]COM",
		"evil.com_x":               "evil[.]com_x",
		"evil.com-":                "evil[.]com-",
		"evil.com用户":               "evil[.]com用户",
		"пример.рф":                "пример[.]рф",
		"evil。com":                 "evil[。]com",
		"Www.evil.example":         "Www[.]evil.example",
		"wWw.evil.com":             "wWw[.]evil[.]com",
		"arn:aws:iam::1:mfa/x.dev": "arn:aws:iam::1:mfa/x[.]dev",
		"alice@evil.com/login":     "alice@evil[.]com/login",
		"alice@evil.com:8443":      "alice@evil[.]com:8443",
		"@evil.com":                "@evil[.]com",
		"evil.com@":                "evil[.]com@",
		"evil.com@bob":             "evil[.]com@bob",
		"www.evil.com@x.com":       "www[.]evil.com@x.com",
		"evil.com@x.com/":          "evil[.]com@x[.]com/",
		"evil.com@x.com:8443":      "evil[.]com@x[.]com:8443",
		"evil.com.@x.com":          "evil[.]com.@x[.]com",

		"alice@example.com":                "alice@example.com",
		"a.com@example.com":                "a.com@example.com",
		"alice.smith":                      "alice.smith",
		"aws-cli/2.15.0 Python/3.11.6":     "aws-cli/2.15.0 Python/3.11.6",
		"198.51.100.7":                     "198.51.100.7",
		"removed. Ask bob, at 15:04.":      "removed. Ask bob, at 15:04.",
		"com":                              "com",
		".com":                             ".com",
		"www.":                             "www.",
		"...":                              "...",
		"":                                 "",
		"2026-05-01 08:03:11 UTC":          "2026-05-01 08:03:11 UTC",
		"payments (111122223333), aws-cn.": "payments (111122223333), aws-cn.",
	} {
		if got := Unlink(in); got != want {
			t.Errorf("Unlink(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzUnlink(f *testing.F) {
	f.Add("bob https://www.evil.com@x.com 用户.com")
	f.Fuzz(func(t *testing.T, s string) {
		got := Unlink(s)
		if again := Unlink(got); again != got {
			t.Errorf("Unlink(%q) = %q, and of that %q", s, got, again)
		}
		if strings.NewReplacer("[", "", "]", "").Replace(got) != strings.NewReplacer("[", "", "]", "").Replace(s) {
			t.Errorf("Unlink(%q) = %q: more than brackets changed", s, got)
		}
	})
}

func ExampleClean() {
	fmt.Println(Clean("bob\u202Egnp.exe\nadmin", 40))
	fmt.Println(Clean("a-very-long-name", 8))
	// Output:
	// bob�gnp.exe�admin
	// a-ver…
}

func ExampleUnlink() {
	fmt.Println(Unlink("see https://evil.com, alice.smith"))
	// Output: see https[:]//evil[.]com, alice.smith
}
