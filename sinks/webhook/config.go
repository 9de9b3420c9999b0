package webhook

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/mfawatch/mfawatch/processor/secret"
	"github.com/mfawatch/mfawatch/sinks/httpsend"
)

// A Config says which address alerts are posted to, and how they are
// signed. Files that hold a secret are read for each attempt, so that a secret
// may change under its name.
type Config struct {
	URL     secret.URL `koanf:"url"`
	URLFile string     `koanf:"url_file"` // instead of url
	// Secrets sign the alert as Standard Webhooks has it, each as it is written
	// there: whsec_ and the base64 of 24 to 64 bytes. There is one signature for
	// each, so that a receiver may move from one to the next. None: not signed.
	Secrets         []string    `koanf:"secrets"`
	SecretFiles     []string    `koanf:"secret_files"` // beside secrets, or in their place
	Headers         Headers     `koanf:"headers"`      // sent besides ours
	HeaderFiles     HeaderFiles `koanf:"header_files"` // the same, with the values in files
	httpsend.Config `koanf:",squash"`
}

// Headers are HTTP headers by name. Shown, they are their names.
type Headers map[string]string

// MarshalText hides the values.
func (h Headers) MarshalText() ([]byte, error) {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(h)) {
		names = append(names, name+": (hidden)")
	}
	return []byte(strings.Join(names, ", ")), nil
}

// HeaderFiles are the files, by the name of the header, that hold its value.
type HeaderFiles map[string]string

// MarshalText names the files.
func (h HeaderFiles) MarshalText() ([]byte, error) {
	var files []string
	for _, name := range slices.Sorted(maps.Keys(h)) {
		files = append(files, name+": "+h[name])
	}
	return []byte(strings.Join(files, ", ")), nil
}

// Validate reports every mistake in c. The errors are joined, each of the form
// "field: problem"; none holds a secret. The files that c
// names must exist and be readable.
func (c Config) Validate() error {
	errs := []error{c.Config.Validate()}
	_, err := c.address()
	if c.URL == "" && c.URLFile == "" {
		err = errors.New("url: missing; want the URL that alerts are posted to, or url_file")
	}
	errs = append(errs, err)
	_, err = c.keys()
	errs = append(errs, err)
	_, err = c.header()
	return errors.Join(append(errs, err)...)
}

// address is the URL as it is now.
func (c Config) address() (string, error) { return secret.Address(c.URL, c.URLFile) }

// A signingKey signs. The text is how it stands in the configuration.
type signingKey struct {
	text  string
	bytes []byte
}

// keys are the secrets as they are now.
func (c Config) keys() ([]signingKey, error) {
	var keys []signingKey
	var errs []error
	add := func(field, text string, err error) {
		encoded, ok := strings.CutPrefix(text, "whsec_")
		b, wrong := base64.StdEncoding.DecodeString(encoded)
		if err == nil && (wrong != nil || !ok || len(b) < 24 || len(b) > 64) {
			err = fmt.Errorf("%s: want whsec_ and the base64 of 24 to 64 bytes, as of: echo whsec_$(openssl rand -base64 32)", field)
		}
		if errs = append(errs, err); err == nil {
			keys = append(keys, signingKey{text, b})
		}
	}
	for i, text := range c.Secrets {
		add(fmt.Sprintf("secrets[%d]", i), text, nil)
	}
	for i, path := range c.SecretFiles {
		field := fmt.Sprintf("secret_files[%d]", i)
		text, err := secret.ReadFile(field, path)
		add(field, text, err)
	}
	return keys, errors.Join(errs...)
}

// header is the headers of the configuration as they are now.
func (c Config) header() (http.Header, error) {
	header := http.Header{}
	var errs []error
	add := func(field, name, value string) {
		canonical := http.CanonicalHeaderKey(name)
		problem := ""
		switch {
		case !headerName().MatchString(name):
			problem = "not the name of a header"
		case header[canonical] != nil:
			problem = "there twice"
		case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
			problem = "its value has characters that no header may have"
		case slices.Contains(ownHeaders, canonical):
			problem = "set by mfawatch itself"
		default:
			header[canonical] = []string{value}
			return
		}
		errs = append(errs, fmt.Errorf("%s: %.60q: %s", field, name, problem))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		add("headers", name, c.Headers[name])
	}
	for _, name := range slices.Sorted(maps.Keys(c.HeaderFiles)) {
		value, err := secret.ReadFile("header_files", c.HeaderFiles[name])
		if err != nil {
			errs = append(errs, err)
			continue
		}
		add("header_files", name, value)
	}
	return header, errors.Join(errs...)
}

// headerName matches the name of a header.
var headerName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$") })

// ownHeaders are those that a configuration may not set.
var ownHeaders = []string{
	"Connection", "Content-Encoding", "Content-Length", "Content-Type", "Expect", "Host", "Idempotency-Key", "Proxy-Authorization", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade", "Webhook-Id", "Webhook-Signature", "Webhook-Timestamp",
}
