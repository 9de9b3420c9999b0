package sinks

import (
	"fmt"
	"os"
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

// oneSecret is the secret that stands in text, or in the file of that name, as
// it is now; "" if there is neither.
func oneSecret(field, text, path string) (string, error) {
	switch {
	case path == "":
		return text, nil
	case text != "":
		return "", fmt.Errorf("%s_file: set beside %s; want one of them", field, field)
	}
	return readSecret(field+"_file", path)
}

// readSecret is the secret that a file holds, without the line end that editors
// leave.
func readSecret(field, path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", field, err)
	}
	secret := strings.TrimRight(string(text), "\r\n")
	if secret == "" {
		return "", fmt.Errorf("%s: %s is empty", field, path)
	}
	return secret, nil
}
