package httpsend

import (
	"github.com/mfawatch/mfawatch/processor/secret"
)

// Config configures how the server of an HTTP channel is reached. The
// environment names the proxy: HTTPS_PROXY, HTTP_PROXY, NO_PROXY.
type Config struct {
	AllowLinkLocal bool             `koanf:"allow_link_local"` // 169.254.0.0/16 and fe80::/10, where clouds hand out credentials
	TLS            secret.TLSConfig `koanf:"tls"`
}

// Validate reports a mistake in c in the form "field: problem". The files that c
// names must exist and be readable.
func (c Config) Validate() error {
	_, err := c.TLS.Build()
	return err
}
