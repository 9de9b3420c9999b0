// Package kafka configures access to a Kafka cluster: brokers, TLS and SASL, the same
// for the source that reads from one and the sink that writes to one.
package kafka

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/mfawatch/mfawatch/processor/secret"
)

// A Config configures access to a cluster.
type Config struct {
	Brokers  []string   `koanf:"brokers"`   // host:port, one or more of the cluster's
	ClientID string     `koanf:"client_id"` // in the brokers' logs and quotas; default mfawatch
	TLS      TLSConfig  `koanf:"tls"`
	SASL     SASLConfig `koanf:"sasl"`
}

// A TLSConfig turns TLS on. Files are read for each connection, so that a
// certificate may be renewed in place.
type TLSConfig struct {
	Enabled          bool `koanf:"enabled"`
	secret.TLSConfig `koanf:",squash"`
}

// A SASLConfig holds our credentials. A file with a secret is read for each
// connection, so that a secret may be rotated in place.
type SASLConfig struct {
	Mechanism    string `koanf:"mechanism"` // one of Mechanisms; none if empty
	Username     string `koanf:"username"`
	Password     string `koanf:"password"`
	PasswordFile string `koanf:"password_file"` // instead of password
	Token        string `koanf:"token"`
	TokenFile    string `koanf:"token_file"` // instead of token
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

// Validate returns every mistake that can be found without calling a broker: joined
// errors, each "field: problem", none with a secret in it. Named files must be
// readable.
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
	errs = append(errs, c.TLS.validate(), c.SASL.validate(bad))
	if c.SASL.Mechanism == mechanismMSK && !c.TLS.Enabled {
		bad("tls.enabled", "want true with sasl.mechanism %s, which brokers offer over TLS alone", mechanismMSK)
	}
	return errors.Join(errs...)
}

func brokerProblem(broker string) string {
	host, port, err := net.SplitHostPort(broker)
	switch {
	case err != nil:
		if addr, ok := errors.AsType[*net.AddrError](err); ok {
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

func (c TLSConfig) validate() error {
	if c.Enabled {
		_, err := c.Build()
		return err
	}
	var errs []error
	for _, f := range []struct{ field, value string }{
		{"ca_file", c.CAFile}, {"cert_file", c.CertFile}, {"key_file", c.KeyFile}, {"server_name", c.ServerName},
	} {
		if f.value != "" {
			errs = append(errs, fmt.Errorf("tls.%s: has no effect without tls.enabled: true", f.field))
		}
	}
	return errors.Join(errs...)
}

func (c SASLConfig) validate(bad func(field, format string, args ...any)) error {
	users := []string{mechanismPlain, mechanismSCRAM256, mechanismSCRAM512}
	fields := []struct {
		name  string
		set   bool
		mechs []string // that use it
	}{
		{"username", c.Username != "", users},
		{"password", c.Password != "", users},
		{"password_file", c.PasswordFile != "", users},
		{"token", c.Token != "", []string{mechanismOAuth}},
		{"token_file", c.TokenFile != "", []string{mechanismOAuth}},
	}
	if c.Mechanism != "" && !slices.Contains(Mechanisms, c.Mechanism) {
		bad("sasl.mechanism", "unknown %q; known are %s", c.Mechanism, strings.Join(Mechanisms, ", "))
		return nil
	}
	for _, f := range fields {
		if f.set && !slices.Contains(f.mechs, c.Mechanism) {
			bad("sasl."+f.name, "has no effect with sasl.mechanism %q; it belongs to %s", c.Mechanism, strings.Join(f.mechs, ", "))
		}
	}
	switch c.Mechanism {
	case mechanismPlain, mechanismSCRAM256, mechanismSCRAM512:
		if c.Username == "" {
			bad("sasl.username", "missing; sasl.mechanism %s needs one", c.Mechanism)
		}
		return secretMistake("sasl.password", c.Password, c.PasswordFile)
	case mechanismOAuth:
		return secretMistake("sasl.token", c.Token, c.TokenFile)
	}
	return nil
}

func secretMistake(field, text, path string) error {
	if text == "" && path == "" {
		return fmt.Errorf("%s_file: missing; want the path of a file that holds the secret", field)
	}
	_, err := secret.Read(field, text, path)
	return err
}
