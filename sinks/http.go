package sinks

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"
)

// An HTTPConfig says how the server of an HTTP channel is reached. The proxy is
// that of the environment: HTTPS_PROXY, HTTP_PROXY, NO_PROXY. Redirects are not
// followed.
type HTTPConfig struct {
	ConnectTimeout time.Duration `koanf:"connect_timeout"`  // of the connection, and of the TLS handshake; default 5s
	ReplyTimeout   time.Duration `koanf:"reply_timeout"`    // of the answer, once the request is sent; default 15s
	AllowLinkLocal bool          `koanf:"allow_link_local"` // 169.254.0.0/16 and fe80::/10, where clouds hand out credentials
	TLS            TLSConfig     `koanf:"tls"`
}

// A TLSConfig says whom to trust and what to show. Our own certificate is read
// for each handshake, so that it may be renewed under its name.
type TLSConfig struct {
	CAFile     string `koanf:"ca_file"`     // PEM; the system's authorities if empty
	CertFile   string `koanf:"cert_file"`   // PEM, with key_file: our own certificate
	KeyFile    string `koanf:"key_file"`    // PEM
	ServerName string `koanf:"server_name"` // the name in the server's certificate, where it is not the host's
}

// DefaultHTTPConfig is what holds where nothing else is said.
func DefaultHTTPConfig() HTTPConfig {
	return HTTPConfig{ConnectTimeout: 5 * time.Second, ReplyTimeout: 15 * time.Second}
}

const maxHTTPTimeout = 5 * time.Minute

// Validate tells every mistake in c. The errors are joined, each of the form
// "field: problem". Files that are named have to be there and readable.
func (c HTTPConfig) Validate() error {
	var errs []error
	for _, t := range []struct {
		field string
		value time.Duration
	}{{"connect_timeout", c.ConnectTimeout}, {"reply_timeout", c.ReplyTimeout}} {
		if t.value < 0 || t.value > maxHTTPTimeout {
			errs = append(errs, fmt.Errorf("%s: want more than no time and at most %s, got %s", t.field, maxHTTPTimeout, t.value))
		}
	}
	_, err := c.TLS.build()
	return errors.Join(append(errs, err)...)
}

func (c TLSConfig) build() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("tls.ca_file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca_file: no certificate in PEM in %s", c.CAFile)
		}
	}
	switch {
	case c.CertFile == "" && c.KeyFile == "":
		return config, nil
	case c.CertFile == "":
		return nil, errors.New("tls.cert_file: missing; tls.key_file needs its certificate")
	case c.KeyFile == "":
		return nil, errors.New("tls.key_file: missing; tls.cert_file needs its key")
	}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		cert, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, Misconfigured(fmt.Errorf("tls.cert_file: %w", err))
		}
		return &cert, nil
	}
	if _, err := config.GetClientCertificate(nil); err != nil {
		return nil, err
	}
	return config, nil
}

// A SecretURL is an address that gives whoever knows it the right to post there.
// Shown, it is its scheme and host.
type SecretURL string

// MarshalText hides what is secret.
func (u SecretURL) MarshalText() ([]byte, error) {
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

// problem is what is wrong with the address, "" if nothing.
func (u SecretURL) problem() string {
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

// oneSecret is the secret that stands in text, or in the file of that name, as
// it is now; "" if there is neither.
func oneSecret(field, text, path string) (string, error) {
	switch {
	case path == "":
		return text, nil
	case text != "":
		return "", fmt.Errorf("%s_file: set beside %s; want one of them", field, field)
	}
	return readSecret(field+"_file", path)
}

// secretAddress is the URL that stands in text, or in the file of that name, as it
// is now.
func secretAddress(text SecretURL, path string) (string, error) {
	address, err := oneSecret("url", string(text), path)
	if err != nil {
		return "", err
	}
	field := "url"
	if path != "" {
		field = "url_file"
	}
	if problem := SecretURL(address).problem(); problem != "" {
		return "", fmt.Errorf("%s: %s", field, problem)
	}
	return address, nil
}

// readSecret is the secret that a file holds, without the line end that editors
// leave.
func readSecret(field, path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", field, err)
	}
	secret := strings.TrimRight(string(text), "\r\n")
	if secret == "" {
		return "", fmt.Errorf("%s: %s is empty", field, path)
	}
	return secret, nil
}
