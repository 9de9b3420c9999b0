package secret

import "testing"

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
