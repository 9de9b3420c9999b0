package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/httpsend"
	"github.com/mfawatch/mfawatch/sinks/message"
)

// A Sink posts each alert to an address, as JSON.
type Sink struct {
	config Config
	http   *httpsend.Client
}

var _ sinks.Sink = (*Sink)(nil)

// New returns a sink that posts as c says. It makes no request.
// The caller closes it.
func New(c Config) (*Sink, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	p, err := httpsend.New(c.Config)
	if err != nil {
		return nil, err
	}
	return &Sink{config: c, http: p}, nil
}

// Close closes idle connections.
func (w *Sink) Close() error { return w.http.Close() }

// Send posts the alert. Any status of 2xx is an acceptance, whatever the reply says;
// httpsend.StatusError decides on the rest. Each attempt at an alert has the same body,
// and the same webhook-id and Idempotency-Key, which are the alert's ID, so that a
// receiver recognizes a copy. Only webhook-timestamp, the time of the attempt, and the
// signatures over it differ. The ref is not used.
func (w *Sink) Send(ctx context.Context, a *processor.Alert, ref string) (newRef string, err error) {
	body, err := message.JSON(a)
	if err != nil {
		return ref, sinks.Permanent(fmt.Errorf("encode alert %s: %w", a.ID, err))
	}
	r, err := w.request(a.ID, bytes.TrimSuffix(body, []byte("\n")), time.Now())
	if err != nil {
		return ref, sinks.Misconfigured(err)
	}
	_, err = w.http.Send(ctx, r)
	return ref, err
}

// request returns the request with the body, addressed and signed.
func (w *Sink) request(id string, body []byte, now time.Time) (httpsend.Request, error) {
	address, err := w.config.address()
	if err != nil {
		return httpsend.Request{}, err
	}
	keys, err := w.config.keys()
	if err != nil {
		return httpsend.Request{}, err
	}
	header, err := w.config.header()
	if err != nil {
		return httpsend.Request{}, err
	}
	r := httpsend.Request{URL: address, Header: header, Body: body}
	for _, values := range header {
		r.Secrets = append(r.Secrets, values...)
	}
	timestamp := strconv.FormatInt(now.Unix(), 10)
	header.Set("Content-Type", "application/json")
	header.Set("Idempotency-Key", id)
	header.Set("Webhook-Id", id)
	header.Set("Webhook-Timestamp", timestamp)
	var signatures []string
	for _, k := range keys {
		s := sign(k.bytes, id, timestamp, body)
		signatures = append(signatures, "v1,"+s)
		r.Secrets = append(r.Secrets, k.text, strings.TrimPrefix(k.text, "whsec_"), s)
	}
	if len(signatures) > 0 {
		header.Set("Webhook-Signature", strings.Join(signatures, " "))
	}
	return r, nil
}

// sign is the signature that Standard Webhooks calls v1.
func sign(key []byte, id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
