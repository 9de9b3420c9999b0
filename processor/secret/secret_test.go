package secret

import (
	"os"
	"path/filepath"
	"testing"
)

// The marks that editors add to a file are no part of the secret; all else is.
func TestReadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	for text, want := range map[string]string{
		"xyzzy": "xyzzy", "xyzzy\n": "xyzzy", "xyzzy\r\n": "xyzzy", "\uFEFFxyzzy\r\n": "xyzzy", " xyzzy ": " xyzzy ", "xy\uFEFFzzy": "xy\uFEFFzzy",
		"": "", "\uFEFF\r\n": "", "\n": "",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadFile("password_file", path); got != want || (err != nil) != (want == "") {
			t.Errorf("%q: got %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestSecretsShown(t *testing.T) {
	for address, want := range map[URL]string{
		"https://hooks.example.net:8443/xyzzy?x=y": "https://hooks.example.net:8443/(hidden)",
		"https://mfawatch:xyzzy@hooks.example.net": "https://hooks.example.net/(hidden)",
		"https://hooks.example.net/":               "https://hooks.example.net",
		"xyzzy":                                    "(hidden)",
	} {
		if got, err := address.MarshalText(); string(got) != want || err != nil {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	}
}

// An error names the key that gives the secret.
func TestErrorsNameTheKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("xy\nzzy"), 0o600); err != nil {
		t.Fatal(err)
	}
	for given, want := range map[Text]string{
		{"token", "", path}:      "token_file: has characters that no header may have",
		{"token", "xy\nzzy", ""}: "token: has characters that no header may have",
		{"token", "", "missing"}: "token_file: open missing: no such file or directory",
		{"token", "x", path}:     "token_file: set beside token; want one of them",
	} {
		if _, err := given.Read(); err == nil || err.Error() != want {
			t.Errorf("%+v: %v, want %s", given, err, want)
		}
	}
}
