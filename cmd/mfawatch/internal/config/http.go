package config

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"unicode"

	"github.com/mfawatch/mfawatch/processor/secret"
)

// HTTPOff is the address that turns a server off.
const HTTPOff = "off"

// HTTPConfig configures the servers of metrics, health, pages and the API.
type HTTPConfig struct {
	Address      string `koanf:"address"`       // host:port, or off
	URL          string `koanf:"url"`           // public URL of the pages; alerts link to it
	Admin        bool   `koanf:"admin"`         // allow other machines to use the API
	AdminAddress string `koanf:"admin_address"` // of a second server for this machine alone: see LocalAddress
	TokenFile    string `koanf:"token_file"`    // a token that opens the API to who shows it
}

// defaultAdminAddress is used where http.address can be reached from elsewhere.
const defaultAdminAddress = "127.0.0.1:9466"

// UnixPrefix marks an address that is the path of a Unix socket.
const UnixPrefix = "unix:"

// LocalAddress returns the address of the second server, or off: http.admin_address,
// by default a loopback address if http.address is not one.
func (c HTTPConfig) LocalAddress() string {
	switch {
	case c.AdminAddress != "":
		return c.AdminAddress
	case c.Address == HTTPOff || secret.Loopback(c.Address):
		return HTTPOff
	}
	return defaultAdminAddress
}

// Bounds of a token. A shorter one could be guessed.
const (
	minToken = 16
	maxToken = 4096
)

// Token returns the content of http.token_file, "" if it is not set. The file is
// read at each call.
func (c HTTPConfig) Token() (string, error) {
	if c.TokenFile == "" {
		return "", nil
	}
	return ReadToken("http.token_file", c.TokenFile)
}

// ReadToken returns the token in a file. Its errors name the field, and show
// nothing of the token.
func ReadToken(field, path string) (string, error) {
	token, err := secret.ReadFile(field, path)
	if err != nil {
		return "", err
	}
	return Token(field, token)
}

// Token returns a token if it is one, else an error as ReadToken does.
func Token(field, token string) (string, error) {
	if len(token) < minToken || len(token) > maxToken || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > unicode.MaxASCII || r == 0x7f }) {
		return "", fmt.Errorf("%s: want %d to %d ASCII characters without white space in the file (they are not shown, since they are a secret)", field, minToken, maxToken)
	}
	return token, nil
}

func (c HTTPConfig) mistakes(bad func(field, format string, args ...any)) {
	address := func(field, value, example string) {
		if _, port, err := net.SplitHostPort(value); err != nil {
			bad(field, "want host:port such as %s, or off, got %s", example, strconv.Quote(Bounded(value)))
		} else if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			bad(field, "want a port from 0 to 65535, got %s", strconv.Quote(Bounded(port)))
		}
	}
	if c.Address != HTTPOff {
		address("http.address", c.Address, "127.0.0.1:9464")
	}
	if c.Address == HTTPOff && c.Admin {
		bad("http.admin", "has no effect with http.address off; want an address, or remove it")
	}
	if c.Address == HTTPOff && c.LocalAddress() == HTTPOff && c.URL != "" {
		bad("http.url", "leads to no page with http.address off; want an address, or remove it")
	}
	path, unix := strings.CutPrefix(c.AdminAddress, UnixPrefix)
	switch {
	case c.AdminAddress == "" || c.AdminAddress == HTTPOff:
	case unix && path == "":
		bad("http.admin_address", "want a path behind %s, such as unix:/run/mfawatch/admin.sock", UnixPrefix)
	case unix:
	case !secret.Loopback(c.AdminAddress):
		bad("http.admin_address", "want an address of this machine alone, such as 127.0.0.1:9466 or unix:/run/mfawatch/admin.sock, or off, got %s;"+
			" http.token_file opens the API at http.address to others", strconv.Quote(Bounded(c.AdminAddress)))
	default:
		address("http.admin_address", c.AdminAddress, defaultAdminAddress)
	}
	if _, err := c.Token(); err != nil {
		for _, m := range MistakesOf("", err) {
			bad(m.Field, "%s", m.Problem)
		}
	}
}
