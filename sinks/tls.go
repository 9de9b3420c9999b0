package sinks

import (
	"crypto/tls"

	"github.com/mfawatch/mfawatch/processor/secret"
)

// ClientTLS returns the TLS configuration of c for a channel. A certificate of
// our own that a handshake cannot read is Misconfigured.
func ClientTLS(c secret.TLSConfig) (*tls.Config, error) {
	config, err := c.Build()
	if err != nil || config.GetClientCertificate == nil {
		return config, err
	}
	read := config.GetClientCertificate
	config.GetClientCertificate = func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		cert, err := read(r)
		return cert, Misconfigured(err)
	}
	return config, nil
}
