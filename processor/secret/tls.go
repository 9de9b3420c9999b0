package secret

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// A TLSConfig holds the trusted authorities and our own certificate. The
// certificate is read for each handshake, so that it may be renewed in place.
type TLSConfig struct {
	CAFile     string `koanf:"ca_file"`     // PEM; the system's authorities if empty
	CertFile   string `koanf:"cert_file"`   // PEM, with key_file: our own certificate
	KeyFile    string `koanf:"key_file"`    // PEM
	ServerName string `koanf:"server_name"` // the name in the server's certificate, where it is not the host's
}

// Build returns the configuration of c. It reads every file that c names, and
// returns every mistake: joined errors, each "tls.key: problem".
func (c TLSConfig) Build() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	var errs []error
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		config.RootCAs = x509.NewCertPool()
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("tls.ca_file: %w", err))
		case !config.RootCAs.AppendCertsFromPEM(pem):
			errs = append(errs, fmt.Errorf("tls.ca_file: no certificate in PEM in %s", c.CAFile))
		}
	}
	switch {
	case c.CertFile == "" && c.KeyFile == "":
	case c.CertFile == "":
		errs = append(errs, errors.New("tls.cert_file: missing; tls.key_file needs its certificate"))
	case c.KeyFile == "":
		errs = append(errs, errors.New("tls.key_file: missing; tls.cert_file needs its key"))
	default:
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c.keyPair() }
		if _, err := c.keyPair(); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return config, nil
}

// keyPair returns our own certificate as it is on disk now.
func (c TLSConfig) keyPair() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	var unread *os.PathError
	switch {
	case err == nil:
		return &pair, nil
	case errors.As(err, &unread) && unread.Path == c.KeyFile && c.KeyFile != c.CertFile:
		return nil, fmt.Errorf("tls.key_file: %w", err)
	}
	return nil, fmt.Errorf("tls.cert_file: %w", err)
}
