package sinks

import (
	"encoding/base64"
)

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
