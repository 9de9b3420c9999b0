package secret

import (
	"fmt"
	"strings"

	"github.com/mfawatch/mfawatch/processor/ownfile"
)

// Text is a secret given as text or as the name of a file. Field is the key of
// the configuration that holds the text; the file's key is Field with "_file".
type Text struct{ Field, Text, File string }

// Given reports whether there is a secret.
func (s Text) Given() bool { return s.Text != "" || s.File != "" }

// Key returns the key that gives the secret, which errors about it name.
func (s Text) Key() string {
	if s.File != "" {
		return s.Field + "_file"
	}
	return s.Field
}

// Read returns the secret for use in a header. A file is read at each call.
func (s Text) Read() (string, error) {
	secret, err := Read(s.Field, s.Text, s.File)
	if err == nil && strings.ContainsFunc(secret, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		err = fmt.Errorf("%s: has characters that no header may have", s.Key())
	}
	return secret, err
}

// Read returns text, or else the content of the file at path; "" if both are empty.
func Read(field, text, path string) (string, error) {
	switch {
	case path == "":
		return text, nil
	case text != "":
		return "", fmt.Errorf("%s_file: set beside %s; want one of them", field, field)
	}
	return ReadFile(Text{Field: field, File: path}.Key(), path)
}

// maxFile bounds a file with a secret or with certificates, in bytes.
const maxFile = 4 << 20

// ReadFile returns the secret in a file, without what editors leave (see Trim).
func ReadFile(field, path string) (string, error) {
	text, err := ownfile.ReadRegular(path, maxFile)
	if err != nil {
		return "", fmt.Errorf("%s: %w", field, err)
	}
	secret := Trim(text)
	if secret == "" {
		return "", fmt.Errorf("%s: %s is empty", field, path)
	}
	return secret, nil
}

// Trim returns the text of a file without the byte order mark and the line ends that
// editors leave.
func Trim(text []byte) string {
	return strings.TrimRight(strings.TrimPrefix(string(text), "\uFEFF"), "\r\n")
}
