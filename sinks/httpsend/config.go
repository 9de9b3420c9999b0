package httpsend

import (
	"errors"
	"fmt"
	"time"

	"github.com/mfawatch/mfawatch/processor/secret"
)

// An Config says how the server of an HTTP channel is reached. The proxy is
// that of the environment: HTTPS_PROXY, HTTP_PROXY, NO_PROXY. Redirects are not
// followed.
type Config struct {
	ConnectTimeout time.Duration    `koanf:"connect_timeout"`  // of the connection, and of the TLS handshake; default 5s
	ReplyTimeout   time.Duration    `koanf:"reply_timeout"`    // of the answer, once the request is sent; default 15s
	AllowLinkLocal bool             `koanf:"allow_link_local"` // 169.254.0.0/16 and fe80::/10, where clouds hand out credentials
	TLS            secret.TLSConfig `koanf:"tls"`
}

// DefaultConfig is what holds where nothing else is said.
func DefaultConfig() Config {
	return Config{ConnectTimeout: 5 * time.Second, ReplyTimeout: 15 * time.Second}
}

const maxHTTPTimeout = 5 * time.Minute

// Validate tells every mistake in c. The errors are joined, each of the form
// "field: problem". Files that are named have to be there and readable.
func (c Config) Validate() error {
	var errs []error
	for _, t := range []struct {
		field string
		value time.Duration
	}{{"connect_timeout", c.ConnectTimeout}, {"reply_timeout", c.ReplyTimeout}} {
		if t.value < 0 || t.value > maxHTTPTimeout {
			errs = append(errs, fmt.Errorf("%s: want more than no time and at most %s, got %s", t.field, maxHTTPTimeout, t.value))
		}
	}
	_, err := c.TLS.Build()
	return errors.Join(append(errs, err)...)
}
