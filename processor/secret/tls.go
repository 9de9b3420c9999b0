package secret

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/mfawatch/mfawatch/processor/ownfile"
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
		var err error
		config.RootCAs, err = Authorities("tls.ca_file", c.CAFile)
		errs = append(errs, err)
	}
	switch {
	case c.CertFile == "" && c.KeyFile == "":
	case c.CertFile == "":
		errs = append(errs, errors.New("tls.cert_file: missing; tls.key_file needs its certificate"))
	case c.KeyFile == "":
		errs = append(errs, errors.New("tls.key_file: missing; tls.cert_file needs its key"))
	default:
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return KeyPair(c.CertFile, c.KeyFile)
		}
		_, err := KeyPair(c.CertFile, c.KeyFile)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return config, nil
}

// Authorities returns the certificates in a file, that of a field.
func Authorities(field, path string) (*x509.CertPool, error) {
	pem, err := ownfile.ReadRegular(path, maxFile)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", field, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: no certificate in PEM in %s", field, path)
	}
	return pool, nil
}

// KeyPair returns our own certificate as it is on disk now. Its errors name
// tls.cert_file or tls.key_file.
func KeyPair(certFile, keyFile string) (*tls.Certificate, error) {
	cert, err := ownfile.ReadRegular(certFile, maxFile)
	if err != nil {
		return nil, fmt.Errorf("tls.cert_file: %w", err)
	}
	key, err := ownfile.ReadRegular(keyFile, maxFile)
	if err != nil {
		return nil, fmt.Errorf("tls.key_file: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("tls.cert_file: %w", err)
	}
	return &pair, nil
}
