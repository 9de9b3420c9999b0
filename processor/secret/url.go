package secret

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
)

// URL is an address that is a secret: its holder may post there. It is shown as its
// scheme and host.
type URL string

// MarshalText hides the secret parts.
func (u URL) MarshalText() ([]byte, error) {
	parsed, err := url.Parse(string(u))
	if err != nil || parsed.Host == "" {
		return []byte("(hidden)"), nil
	}
	shown := parsed.Scheme + "://" + parsed.Host
	if parsed.User != nil || parsed.RequestURI() != "/" {
		shown += "/(hidden)"
	}
	return []byte(shown), nil
}

// Problem returns the problem with the address, "" if there is none.
func (u URL) Problem() string {
	parsed, err := url.Parse(string(u))
	switch {
	case err != nil, parsed.Host == "", parsed.Hostname() == "":
		return "want a URL such as https://alerts.example.net/hook (it is not shown, since it may hold a secret)"
	case parsed.Scheme != "https" && parsed.Scheme != "http":
		return "want a URL that begins with https:// or http://"
	case parsed.Fragment != "":
		return "want a URL without a fragment (#)"
	}
	return ""
}

// Address returns the URL in text, or else in the file at path.
func Address(text URL, path string) (string, error) {
	given := Text{"url", string(text), path}
	address, err := Read(given.Field, given.Text, given.File)
	if err != nil {
		return "", err
	}
	if problem := URL(address).Problem(); problem != "" {
		return "", fmt.Errorf("%s: %s", given.Key(), problem)
	}
	return address, nil
}

// Redactor returns a replacer that hides the secret parts of an address and the other
// secrets: as they are, as a URL writes them, and their words of 8 bytes and more.
func Redactor(u *url.URL, secrets []string) *strings.Replacer {
	all := append([]string{u.String(), u.RequestURI(), u.Path, u.EscapedPath(), u.RawQuery}, secrets...)
	if u.User != nil {
		password, _ := u.User.Password()
		basic := base64.StdEncoding.EncodeToString([]byte(u.User.Username() + ":" + password))
		all = append(all, u.User.String(), basic, password)
		secrets = append(secrets, u.User.Username())
	}
	for _, values := range u.Query() {
		secrets = append(secrets, values...)
	}
	for _, s := range secrets {
		for word := range strings.FieldsSeq(s) {
			if len(word) >= 8 {
				all = append(all, word)
			}
		}
	}
	var pairs []string
	for _, s := range all {
		if s == "" || s == "/" {
			continue
		}
		for _, form := range []string{s, url.QueryEscape(s), url.PathEscape(s)} {
			pairs = append(pairs, form, "(hidden)")
		}
	}
	return strings.NewReplacer(pairs...)
}
