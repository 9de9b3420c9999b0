package web

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/shard"
)

// dialTime bounds the connection to another replica.
const dialTime = 2 * time.Second

// client returns the client of another replica, which has limit to answer.
func (q *query) client(r shard.Replica, limit time.Duration) (*Client, error) {
	if r.Address == "" {
		return nil, errors.New("it has no address that others reach: set its http.address, or journal.advertise")
	}
	token := ""
	if q.service.Config().HTTP.TokenFile != "" {
		var err error
		if token, err = q.service.Config().HTTP.Token(); err != nil {
			return nil, err
		}
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{Timeout: dialTime}).DialContext, ResponseHeaderTimeout: limit}
	never := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{client: &http.Client{Transport: transport, CheckRedirect: never}, address: r.Address, at: r.Address, token: token, replica: r.Instance}, nil
}

// The scheme of a request that is signed, and how old it may be.
const (
	signedScheme = "Mfawatch-HMAC-SHA256 "
	signedAge    = time.Minute
)

// signature proves to a replica that another one sends a request, without the token
// itself: a member of the group chose the address.
func signature(token, replica, method, uri, at string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(token))
	fmt.Fprintf(mac, "%s\n%s\n%s\n%s\n%x", replica, at, method, uri, sha256.Sum256(body))
	return hex.EncodeToString(mac.Sum(nil))
}

// sign adds the signature of now.
func sign(r *http.Request, token, replica string, body []byte) {
	at := strconv.FormatInt(time.Now().Unix(), 10)
	r.Header.Set("Authorization", signedScheme+at+" "+signature(token, replica, r.Method, r.URL.RequestURI(), at, body))
}

// signed reports whether a request has a valid signature for the replica that it
// names. The body can be read afterwards.
func (a access) signed(r *http.Request) bool {
	shown, ok := strings.CutPrefix(r.Header.Get("Authorization"), signedScheme)
	at, sum, both := strings.Cut(shown, " ")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if !ok || !both || err != nil || time.Since(time.Unix(seconds, 0)).Abs() > signedAge || a.config().TokenFile == "" {
		return false
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxClosing))
	if err != nil {
		return false
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	token, err := a.config().Token()
	want := signature(token, r.Header.Get(replicaHeader), r.Method, r.URL.RequestURI(), at, body)
	return hmac.Equal([]byte(want), []byte(sum)) && err == nil && token != ""
}
