package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/secret"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/httpsend"
	"github.com/mfawatch/mfawatch/sinks/message"
)

// A Config says which address alerts are posted to, and how they are
// signed. Files that hold a secret are read for each attempt, so that a secret
// may change under its name.
type Config struct {
	URL     secret.URL `koanf:"url"`
	URLFile string     `koanf:"url_file"` // in the place of url
	// Secrets sign the alert as Standard Webhooks has it, each as it is written
	// there: whsec_ and the base64 of 24 to 64 bytes. There is one signature for
	// each, so that a receiver may move from one to the next. None: not signed.
	Secrets         []string    `koanf:"secrets"`
	SecretFiles     []string    `koanf:"secret_files"` // beside secrets, or in their place
	Headers         Headers     `koanf:"headers"`      // sent besides ours
	HeaderFiles     HeaderFiles `koanf:"header_files"` // the same, with the values in files
	httpsend.Config `koanf:",squash"`
}

// DefaultConfig is what holds where nothing else is said.
func DefaultConfig() Config { return Config{Config: httpsend.DefaultConfig()} }

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

// Validate tells every mistake in c. The errors are joined, each of the form
// "field: problem"; none holds a secret. Files that are named have to be there
// and readable.
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
	add := func(field, text string) {
		b, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, "whsec_"))
		if err != nil || !strings.HasPrefix(text, "whsec_") || len(b) < 24 || len(b) > 64 {
			errs = append(errs, fmt.Errorf("%s: want whsec_ and the base64 of 24 to 64 bytes, as of: echo whsec_$(openssl rand -base64 32)", field))
			return
		}
		keys = append(keys, signingKey{text, b})
	}
	for i, text := range c.Secrets {
		add(fmt.Sprintf("secrets[%d]", i), text)
	}
	for i, path := range c.SecretFiles {
		field := fmt.Sprintf("secret_files[%d]", i)
		text, err := secret.ReadFile(field, path)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		add(field, text)
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
		case !headerName.MatchString(name):
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

// headerName is what the name of a header may be.
var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

// ownHeaders are those that a configuration may not set.
var ownHeaders = []string{
	"Connection", "Content-Encoding", "Content-Length", "Content-Type", "Expect", "Host", "Idempotency-Key", "Proxy-Authorization", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade", "Webhook-Id", "Webhook-Signature", "Webhook-Timestamp",
}

// A Sink posts each alert to an address, as JSON.
type Sink struct {
	config Config
	http   *httpsend.Client
}

var _ sinks.Sink = (*Sink)(nil)

// New returns a sink that posts as c says. It asks nobody on the network.
// The caller closes it.
func New(c Config) (*Sink, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	p, err := httpsend.New(c.Config)
	if err != nil {
		return nil, err
	}
	return &Sink{config: c, http: p}, nil
}

// Close closes the connections that nobody uses.
func (w *Sink) Close() error { return w.http.Close() }

// Send posts the alert. Any status of 2xx is an acceptance, whatever the reply
// says; httpsend.StatusError and post tell the rest. The body is the same each time that
// an alert is sent, and so are webhook-id and Idempotency-Key, the alert's ID,
// by which a receiver knows a copy. Only webhook-timestamp, the time of the
// attempt, and the signatures over it differ. It has no use for a ref.
func (w *Sink) Send(ctx context.Context, a *processor.Alert, ref string) (newRef string, err error) {
	body, err := message.JSON(a)
	if err != nil {
		return ref, sinks.Permanent(fmt.Errorf("encode alert %s: %w", a.ID, err))
	}
	r, err := w.request(a.ID, bytes.TrimSuffix(body, []byte("\n")), time.Now())
	if err != nil {
		return ref, sinks.Misconfigured(err)
	}
	_, err = w.http.Send(ctx, r)
	return ref, err
}

// httpsend.Request is the body, addressed and signed.
func (w *Sink) request(id string, body []byte, now time.Time) (httpsend.Request, error) {
	address, err := w.config.address()
	if err != nil {
		return httpsend.Request{}, err
	}
	keys, err := w.config.keys()
	if err != nil {
		return httpsend.Request{}, err
	}
	header, err := w.config.header()
	if err != nil {
		return httpsend.Request{}, err
	}
	r := httpsend.Request{URL: address, Header: header, Body: body}
	for _, values := range header {
		r.Secrets = append(r.Secrets, values...)
	}
	timestamp := strconv.FormatInt(now.Unix(), 10)
	header.Set("Content-Type", "application/json")
	header.Set("Idempotency-Key", id)
	header.Set("Webhook-Id", id)
	header.Set("Webhook-Timestamp", timestamp)
	var signatures []string
	for _, k := range keys {
		s := sign(k.bytes, id, timestamp, body)
		signatures = append(signatures, "v1,"+s)
		r.Secrets = append(r.Secrets, k.text, strings.TrimPrefix(k.text, "whsec_"), s)
	}
	if len(signatures) > 0 {
		header.Set("Webhook-Signature", strings.Join(signatures, " "))
	}
	return r, nil
}

// sign is the signature that Standard Webhooks calls v1.
func sign(key []byte, id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
