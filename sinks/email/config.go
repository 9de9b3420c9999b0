package email

import (
	"errors"
	"fmt"
	htmltemplate "html/template"
	"net"
	"net/mail"
	"slices"
	"strings"

	"github.com/mfawatch/mfawatch/processor/secret"
	"github.com/mfawatch/mfawatch/sinks/message"
)

// Config configures the mail server and the recipients. The
// password's file is read for each attempt, so that it may change under its name.
type Config struct {
	Host         string            `koanf:"host"`
	Port         int               `koanf:"port"` // default: 587, the submission port; with tls.mode implicit 465
	Username     string            `koanf:"username"`
	Password     string            `koanf:"password"`
	PasswordFile string            `koanf:"password_file"` // instead of password
	Auth         string            `koanf:"auth"`          // auto, plain, login, cram-md5, scram-sha-256 or xoauth2 (the password is the token). Default auto: the best of what the server offers
	From         string            `koanf:"from"`          // an address, or name <address>
	To           []string          `koanf:"to"`            // likewise; each is notified by itself, all are named in the mail
	TLS          TLSConfig         `koanf:"tls"`
	Templates    message.Templates `koanf:"templates"` // subject, text, and html, which is of html/template
}

// TLSConfig says how a connection is made safe.
type TLSConfig struct {
	// Mode is starttls: a connection that begins in the clear has to be made safe
	// before anything is said on it, or the mail is not sent; implicit: it is safe
	// from its first byte; or none: never, for a server on this machine alone.
	// Default starttls.
	Mode             string `koanf:"mode"`
	secret.TLSConfig `koanf:",squash"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{Auth: "auto", TLS: TLSConfig{Mode: tlsStart}}
}

// maxTo bounds the recipients of a mail: servers take a hundred.
const maxTo = 100

// Validate reports every mistake in c. The errors are joined, each of the form
// "field: problem"; none holds a secret. The files that c
// names must exist and be readable.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch {
	case c.Host == "":
		bad("host: missing; want the name of the mail server, such as smtp.example.net")
	case strings.ContainsAny(c.Host, "/@ \t\r\n") || strings.Contains(c.Host, ":") && net.ParseIP(c.Host) == nil:
		bad("host: want the name of the mail server alone, such as smtp.example.net (port is a key of its own), got %.100q", c.Host)
	}
	if c.Port < 0 || c.Port > 65535 {
		bad("port: want 1 to 65535, got %d", c.Port)
	}
	switch c.TLS.Mode {
	case "", tlsStart, tlsImplicit:
	case tlsNone:
		if c.Host != "" && !secret.Loopback(c.Host) {
			bad("tls.mode: none is for a server on this machine, such as localhost; want starttls or implicit for %.100q: others could read the password and the alerts on the way", c.Host)
		}
	default:
		bad("tls.mode: want starttls, implicit or none, got %.60q", c.TLS.Mode)
	}
	_, err := c.TLS.Build()
	errs = append(errs, err, c.validateLogin())
	if c.From == "" {
		bad("from: missing; want the address that mails come from, such as mfawatch@example.net")
	} else if _, err := parseAddress(c.From); err != nil {
		bad("from: %w", err)
	}
	if len(c.To) == 0 || len(c.To) > maxTo {
		bad("to: want 1 to %d addresses, such as security@example.net, got %d", maxTo, len(c.To))
	}
	var seen []string
	for i, to := range c.To {
		address, err := parseAddress(to)
		switch {
		case err != nil:
			bad("to[%d]: %w", i, err)
		case slices.Contains(seen, address.Address):
			bad("to[%d]: %s is there twice", i, address.Address)
		default:
			seen = append(seen, address.Address)
		}
	}
	_, err = c.Templates.Parse(parts...)
	if err == nil {
		_, err = c.page()
	}
	return errors.Join(append(errs, err)...)
}

func (c Config) validateLogin() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Auth != "" && c.Auth != "auto" && mechanisms[c.Auth] == "" {
		bad("auth: want auto, plain, login, cram-md5, scram-sha-256 or xoauth2, got %.60q", c.Auth)
	}
	switch {
	case c.Username == "" && (c.Password != "" || c.PasswordFile != ""):
		bad("username: missing; the password needs it")
	case c.Username == "" && c.Auth != "" && c.Auth != "auto":
		bad("username: missing; auth needs it")
	case c.Username == "":
	case c.Password == "" && c.PasswordFile == "":
		bad("password_file: missing; want the path of a file that holds the password of username")
	default:
		_, err := c.password()
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// password is the password as it is now.
func (c Config) password() (string, error) {
	return secret.Read("password", c.Password, c.PasswordFile)
}

// page is the operator's template for the HTML part, nil if there is none.
func (c Config) page() (*htmltemplate.Template, error) {
	text, ok := c.Templates["html"]
	if !ok {
		return nil, nil
	}
	page, err := htmltemplate.New("html").Funcs(htmltemplate.FuncMap(message.TemplateFuncs)).Option("missingkey=error").Parse(text)
	if err == nil {
		err = page.Execute(&message.BoundedWriter{Left: maxPart}, message.TemplateData{Message: message.Wording{}.Message(message.SampleAlert()), Alert: message.SampleAlert()})
	}
	if err != nil {
		return nil, fmt.Errorf("templates.html: %w", err)
	}
	return page, nil
}

// address is host and port.
func (c Config) address() string {
	port := c.Port
	switch {
	case port != 0:
	case c.TLS.Mode == tlsImplicit:
		port = 465
	case c.TLS.Mode == tlsNone:
		port = 25
	default:
		port = 587
	}
	return net.JoinHostPort(c.Host, fmt.Sprint(port))
}

// parseAddress is an address with or without a name.
func parseAddress(text string) (*mail.Address, error) {
	address, err := mail.ParseAddress(text)
	if err != nil || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) || len(text) > 320 {
		return nil, fmt.Errorf("want an address such as security@example.net, or Security <security@example.net>, got %.100q", text)
	}
	return address, nil
}

// The values of TLSConfig.Mode.
const (
	tlsStart    = "starttls"
	tlsImplicit = "implicit"
	tlsNone     = "none"
)
