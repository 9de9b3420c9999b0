package httpsend

import (
	"encoding/base64"

	"github.com/mfawatch/mfawatch/processor/secret"
)

// Credentials are a header that authenticates us, and its secret parts.
type Credentials struct {
	Name, Value string
	Secrets     []string
}

// BasicCredentials returns the header of a user and a password.
func BasicCredentials(user string, password secret.Text) (Credentials, error) {
	secret, err := password.Read()
	encoded := base64.StdEncoding.EncodeToString([]byte(user + ":" + secret))
	return Credentials{"Authorization", "Basic " + encoded, []string{secret, encoded}}, err
}

// BearerCredentials returns the header of a token.
func BearerCredentials(token secret.Text) (Credentials, error) {
	secret, err := token.Read()
	return Credentials{"Authorization", "Bearer " + secret, []string{secret}}, err
}
