package httpin

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/mfawatch/mfawatch/processor/secret"
)

// TLS names the certificate of the server and the authorities of its clients. The
// files are read for each connection, so that they may be renewed in place.
type TLS struct {
	CertFile     string `koanf:"cert_file"`      // PEM, followed by intermediate certificates
	KeyFile      string `koanf:"key_file"`       // PEM
	ClientCAFile string `koanf:"client_ca_file"` // PEM: clients need a certificate of these authorities
}

func (c TLS) validate() error {
	switch {
	case c == TLS{}:
		return nil
	case c.CertFile == "":
		return errors.New("tls.cert_file: missing; want the certificate to be shown, in PEM")
	case c.KeyFile == "":
		return errors.New("tls.key_file: missing; want the key of tls.cert_file, in PEM")
	}
	_, err := c.load()
	return err
}

func (c TLS) load() (*tls.Config, error) {
	cert, err := secret.KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*cert}, NextProtos: []string{"h2", "http/1.1"}}
	if c.ClientCAFile == "" {
		return config, nil
	}
	config.ClientAuth = tls.RequireAndVerifyClientCert
	if config.ClientCAs, err = secret.Authorities("tls.client_ca_file", c.ClientCAFile); err != nil {
		return nil, err
	}
	return config, nil
}

// serving returns the configuration of the server, nil without TLS.
func (c TLS) serving() *tls.Config {
	if c == (TLS{}) {
		return nil
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		NextProtos:         []string{"h2", "http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.load() },
	}
}

// tokens returns the hashes of the tokens that authenticate a sender.
func (c Config) tokens() (all [][sha256.Size]byte, err error) {
	var errs []error
	add := func(field, token string, err error) {
		if err == nil && (len(token) < minToken || len(token) > maxToken || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r == 0x7f })) {
			err = fmt.Errorf("%s: want %d to %d characters without white space (it is not shown, since it is a secret)", field, minToken, maxToken)
		}
		if errs = append(errs, err); err == nil {
			all = append(all, sha256.Sum256([]byte(token)))
		}
	}
	for i, token := range c.Tokens {
		add(fmt.Sprintf("tokens[%d]", i), token, nil)
	}
	for i, path := range c.TokenFiles {
		field := fmt.Sprintf("token_files[%d]", i)
		token, err := secret.ReadFile(field, path)
		add(field, token, err)
	}
	return all, errors.Join(errs...)
}

// authenticated reports whether the sender of r may post. Its time does not depend
// on the credentials.
func (c Config) authenticated(r *http.Request) (bool, error) {
	if len(c.Tokens) == 0 && len(c.TokenFiles) == 0 {
		return true, nil
	}
	tokens, err := c.tokens()
	if len(tokens) == 0 {
		return false, err // other tokens count although a file is missing
	}
	found := 0
	for shown := range credentialsIn(r.Header) {
		hash := sha256.Sum256([]byte(shown))
		for i := range tokens {
			found |= subtle.ConstantTimeCompare(hash[:], tokens[i][:])
		}
	}
	return found == 1, nil
}

// credentialsIn yields values that may be a token, of every header: API
// destinations of EventBridge use a header of their owner's choice.
func credentialsIn(h http.Header) func(func(string) bool) {
	return func(yield func(string) bool) {
		for _, values := range h {
			for _, v := range values {
				scheme, rest, ok := strings.Cut(v, " ")
				rest = strings.TrimLeft(rest, " ")
				switch {
				case ok && strings.EqualFold(scheme, "Bearer"):
					v = rest
				case ok && strings.EqualFold(scheme, "Basic"):
					if text, err := base64.StdEncoding.DecodeString(rest); err == nil {
						_, v, _ = strings.Cut(string(text), ":")
					}
				}
				if len(v) <= maxToken && !yield(v) {
					return
				}
			}
		}
	}
}

var crossOrigin = http.NewCrossOriginProtection()

// fromWebPage reports whether a foreign web page in a browser on this machine may
// have sent r: its fetch metadata or Origin says so, or its Host is a name, which
// DNS rebinding may have pointed at this machine. It matters without tokens.
func fromWebPage(r *http.Request) bool {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return crossOrigin.Check(r) != nil || err != nil && host != "localhost"
}
