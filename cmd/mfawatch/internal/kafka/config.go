// Package kafka is how a Kafka cluster is reached: brokers, TLS and SASL, the
// same for the source that reads from one and the sink that writes to one.
package kafka

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// A Config says how to reach a cluster.
type Config struct {
	Brokers  []string   `koanf:"brokers"`   // host:port, one or more of the cluster's
	ClientID string     `koanf:"client_id"` // what the brokers' logs and quotas call us; "mfawatch" if empty
	TLS      TLSConfig  `koanf:"tls"`
	SASL     SASLConfig `koanf:"sasl"`
}

// A TLSConfig says whom to trust and what to show. Files are read when a
// connection is made, so that a certificate may be renewed under its name.
type TLSConfig struct {
	Enabled    bool   `koanf:"enabled"`
	CAFile     string `koanf:"ca_file"`     // PEM; the system's authorities if empty
	CertFile   string `koanf:"cert_file"`   // PEM, with key_file: our own certificate
	KeyFile    string `koanf:"key_file"`    // PEM
	ServerName string `koanf:"server_name"` // the name in the brokers' certificates, where it is not the host's
}

// A SASLConfig says who we are. A file that holds a secret is read again for
// each connection, so that a secret may change under its name.
type SASLConfig struct {
	Mechanism    string `koanf:"mechanism"` // one of Mechanisms; none if empty
	Username     string `koanf:"username"`
	Password     string `koanf:"password"`
	PasswordFile string `koanf:"password_file"` // in the place of password
	Token        string `koanf:"token"`
	TokenFile    string `koanf:"token_file"` // in the place of token
}

// Mechanisms lists the SASL mechanisms.
var Mechanisms = []string{mechanismPlain, mechanismSCRAM256, mechanismSCRAM512, mechanismOAuth, mechanismMSK}

const (
	mechanismPlain    = "plain"
	mechanismSCRAM256 = "scram-sha-256"
	mechanismSCRAM512 = "scram-sha-512"
	mechanismOAuth    = "oauthbearer"
	mechanismMSK      = "aws-msk-iam"
)

// Validate tells every mistake in c that can be told without asking a broker.
// The errors are joined, each of the form "field: problem"; none holds a
// secret. Files that are named have to be there and readable.
func (c Config) Validate() error {
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", field, fmt.Sprintf(format, args...)))
	}
	if len(c.Brokers) == 0 {
		bad("brokers", "missing; want at least one host:port, such as kafka-1.example.net:9092")
	}
	for i, b := range c.Brokers {
		if problem := brokerProblem(b); problem != "" {
			bad(fmt.Sprintf("brokers[%d]", i), "want host:port such as kafka-1.example.net:9092, got %q: %s", b, problem)
		}
	}
	c.TLS.validate(bad)
	c.SASL.validate(bad)
	if c.SASL.Mechanism == mechanismMSK && !c.TLS.Enabled {
		bad("tls.enabled", "want true with sasl.mechanism %s, which brokers offer over TLS alone", mechanismMSK)
	}
	return errors.Join(errs...)
}

func brokerProblem(broker string) string {
	host, port, err := net.SplitHostPort(broker)
	switch {
	case err != nil:
		var addr *net.AddrError
		if errors.As(err, &addr) {
			return addr.Err
		}
		return err.Error()
	case host == "":
		return "missing host"
	case strings.ContainsAny(host, "/ "):
		return "not a host"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "port not from 1 to 65535"
	}
	return ""
}

func (c TLSConfig) validate(bad func(field, format string, args ...any)) {
	files := [...]struct{ field, path string }{
		{"tls.ca_file", c.CAFile}, {"tls.cert_file", c.CertFile}, {"tls.key_file", c.KeyFile},
	}
	if !c.Enabled {
		for _, f := range append(files[:], struct{ field, path string }{"tls.server_name", c.ServerName}) {
			if f.path != "" {
				bad(f.field, "has no effect without tls.enabled: true")
			}
		}
		return
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		if c.CertFile == "" {
			bad("tls.cert_file", "missing; tls.key_file needs its certificate")
		} else {
			bad("tls.key_file", "missing; tls.cert_file needs its key")
		}
		return
	}
	// What lies in the files is looked at only if all are given soundly.
	if _, err := c.build(); err != nil {
		errs := []error{err}
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			errs = joined.Unwrap()
		}
		for _, err := range errs {
			var f *fileError
			if errors.As(err, &f) {
				bad(f.field, "%v", f.err)
			}
		}
	}
}

func (c SASLConfig) validate(bad func(field, format string, args ...any)) {
	fields := []struct {
		name  string
		set   bool
		mechs []string // that use it
	}{
		{"username", c.Username != "", []string{mechanismPlain, mechanismSCRAM256, mechanismSCRAM512}},
		{"password", c.Password != "", []string{mechanismPlain, mechanismSCRAM256, mechanismSCRAM512}},
		{"password_file", c.PasswordFile != "", []string{mechanismPlain, mechanismSCRAM256, mechanismSCRAM512}},
		{"token", c.Token != "", []string{mechanismOAuth}},
		{"token_file", c.TokenFile != "", []string{mechanismOAuth}},
	}
	known := c.Mechanism == ""
	for _, m := range Mechanisms {
		known = known || m == c.Mechanism
	}
	if !known {
		bad("sasl.mechanism", "unknown %q; known are %s", c.Mechanism, strings.Join(Mechanisms, ", "))
		return
	}
	for _, f := range fields {
		if !f.set {
			continue
		}
		used := false
		for _, m := range f.mechs {
			used = used || m == c.Mechanism
		}
		if !used {
			bad("sasl."+f.name, "has no effect with sasl.mechanism %q; it belongs to %s", c.Mechanism, strings.Join(f.mechs, ", "))
		}
	}
	switch c.Mechanism {
	case mechanismPlain, mechanismSCRAM256, mechanismSCRAM512:
		if c.Username == "" {
			bad("sasl.username", "missing; sasl.mechanism %s needs one", c.Mechanism)
		}
		secret{"sasl.password", c.Password, "sasl.password_file", c.PasswordFile}.validate(bad)
	case mechanismOAuth:
		secret{"sasl.token", c.Token, "sasl.token_file", c.TokenFile}.validate(bad)
	}
}

// A secret stands in the configuration itself or, better, in a file.
type secret struct{ field, value, fileField, file string }

func (s secret) validate(bad func(field, format string, args ...any)) {
	switch {
	case s.value == "" && s.file == "":
		bad(s.fileField, "missing; want the path of a file that holds the secret")
	case s.value != "" && s.file != "":
		bad(s.fileField, "set beside %s; want one of them", s.field)
	case s.file != "":
		if _, err := s.read(); err != nil {
			var f *fileError
			if errors.As(err, &f) {
				bad(f.field, "%v", f.err)
			}
		}
	}
}

// read is the secret as it is now, without the line end that editors leave.
func (s secret) read() (string, error) {
	if s.file == "" {
		return s.value, nil
	}
	text, err := os.ReadFile(s.file)
	if err != nil {
		return "", &fileError{s.fileField, err}
	}
	value := strings.TrimRight(string(text), "\r\n")
	if value == "" {
		return "", &fileError{s.fileField, fmt.Errorf("%s is empty", s.file)}
	}
	return value, nil
}

// A fileError is about a file that a field names.
type fileError struct {
	field string
	err   error
}

func (e *fileError) Error() string { return e.field + ": " + e.err.Error() }
func (e *fileError) Unwrap() error { return e.err }
