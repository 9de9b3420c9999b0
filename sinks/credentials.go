package sinks

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// A secretText is a secret that stands in text, or in a file, which is read for
// each attempt.
type secretText struct{ field, text, file string }

func (s secretText) given() bool { return s.text != "" || s.file != "" }

// read is the secret as it is now: what a header may have.
func (s secretText) read() (string, error) {
	secret, err := oneSecret(s.field, s.text, s.file)
	if err == nil && strings.ContainsFunc(secret, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		err = fmt.Errorf("%s: has characters that no header may have", s.field)
	}
	return secret, err
}

// credentials are a header that proves who we are, and what of it is secret.
type credentials struct {
	name, value string
	secrets     []string
}

func basicCredentials(user string, password secretText) (credentials, error) {
	secret, err := password.read()
	encoded := base64.StdEncoding.EncodeToString([]byte(user + ":" + secret))
	return credentials{"Authorization", "Basic " + encoded, []string{secret, encoded}}, err
}

func bearerCredentials(token secretText) (credentials, error) {
	secret, err := token.read()
	return credentials{"Authorization", "Bearer " + secret, []string{secret}}, err
}
