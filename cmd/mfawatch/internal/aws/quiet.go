package aws

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// tokenHeader holds the session token, the only secret that is sent: the others
// sign.
const tokenHeader = "X-Amz-Security-Token"

// maxErrorBody bounds the body of an error answer, in bytes.
const maxErrorBody = 1 << 20

// A quiet client removes the session token from error answers that repeat it,
// before the SDK makes errors of them. Other answers pass unchanged.
type quiet struct{ aws.HTTPClient }

func (q quiet) Do(r *http.Request) (*http.Response, error) {
	token := r.Header.Get(tokenHeader)
	answer, err := q.HTTPClient.Do(r)
	switch {
	case token == "":
	case err != nil:
		err = quietError{err, token}
	case answer.StatusCode >= 300:
		body, read := io.ReadAll(io.LimitReader(answer.Body, maxErrorBody))
		if closed := answer.Body.Close(); read == nil {
			read = closed
		}
		body = bytes.ReplaceAll(body, []byte(token), []byte(Secret(token).String()))
		answer.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), broken{read}))
		answer.ContentLength = -1
		answer.Header.Del("Content-Length")
		for _, values := range answer.Header {
			for i, v := range values {
				values[i] = strings.ReplaceAll(v, token, Secret(token).String())
			}
		}
		answer.Status = strings.ReplaceAll(answer.Status, token, Secret(token).String())
	}
	return answer, err
}

// broken is a reader that returns the error that ended a body.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) {
	if b.err == nil {
		return 0, io.EOF
	}
	return 0, b.err
}

// A quietError is an error without the token in its text. errors.Is and errors.As
// still see the error.
type quietError struct {
	err   error
	token string
}

func (e quietError) Error() string {
	return strings.ReplaceAll(e.err.Error(), e.token, Secret(e.token).String())
}

func (e quietError) Is(target error) bool { return errors.Is(e.err, target) }
func (e quietError) As(target any) bool   { return errors.As(e.err, target) }
func (e quietError) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(e.err, &t) && t.Timeout()
}
