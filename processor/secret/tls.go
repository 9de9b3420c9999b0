package secret

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// TLSConfig names the authorities to trust and our own certificate, which is read for
// each handshake, so that it can be renewed under its name.
type TLSConfig struct {
	CAFile     string `koanf:"ca_file"`     // PEM; the system's authorities if empty
	CertFile   string `koanf:"cert_file"`   // PEM, with key_file: our own certificate
	KeyFile    string `koanf:"key_file"`    // PEM
	ServerName string `koanf:"server_name"` // the name in the server's certificate, where it is not the host's
}

// Build returns the configuration of c, and reads every file that it names.
func (c TLSConfig) Build() (*tls.Config, error) {
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
			return nil, fmt.Errorf("tls.cert_file: %w", err)
		}
		return &cert, nil
	}
	if _, err := config.GetClientCertificate(nil); err != nil {
		return nil, err
	}
	return config, nil
}
