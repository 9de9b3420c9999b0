package aws

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// tokenHeader holds the session token, the one secret that goes over the line
// as it is: all else signs.
const tokenHeader = "X-Amz-Security-Token"

// maxErrorBody bounds what is read of an answer that is an error, in bytes.
const maxErrorBody = 1 << 20

// A quiet client takes the session token out of what a server says that repeats
// it, before the SDK makes an error of that. Answers that are none pass
// unchanged.
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

// broken ends a body as it ended.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) {
	if b.err == nil {
		return 0, io.EOF
	}
	return 0, b.err
}

// A quietError is another one without the token in its text. What it is remains
// to be asked with errors.As, but not said.
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
