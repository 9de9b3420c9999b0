package sources

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// snsBytes bounds an SNS message: 256 KB of text, escaped, and what is around it.
const snsBytes = 2 << 20

// The kinds of message that SNS posts.
const (
	snsNotification = "Notification"
	snsSubscribe    = "SubscriptionConfirmation"
	snsUnsubscribe  = "UnsubscribeConfirmation"
)

// fromSNS reports whether a request says that it is an SNS message. One that is
// delivered raw has no signature, and so is a request as any other.
func fromSNS(h http.Header) bool {
	return h.Get("X-Amz-Sns-Message-Type") != "" && !strings.EqualFold(h.Get("X-Amz-Sns-Rawdelivery"), "true")
}

// An snsMessage is what SNS posts.
// (docs.aws.amazon.com/sns/latest/dg/http-notification-json.html)
type snsMessage struct {
	Type, MessageID, TopicArn, Message, Timestamp string
	Subject                                       *string // signed if it is there
	Token, SubscribeURL                           string  // of a confirmation
	SignatureVersion, Signature, SigningCertURL   string
}

// Errors of an SNS message, which say what is to be done about it.
var (
	errSNSFormat = errors.New("no SNS message")           // never any good
	errSNSProof  = errors.New("SNS message not proven")   // never any good
	errSNSLater  = errors.New("cannot be proven for now") // AWS could not be asked
)

// parseSNS reads a message. Only what it returns is signed: whatever else the
// body holds must not be read.
func parseSNS(b []byte) (*snsMessage, error) {
	m := new(snsMessage)
	if err := json.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("%w: not JSON as SNS sends it", errSNSFormat)
	}
	switch {
	case m.Type != snsNotification && m.Type != snsSubscribe && m.Type != snsUnsubscribe:
		return nil, fmt.Errorf("%w: unknown Type %q", errSNSFormat, exposure.Clean(m.Type, 40))
	case m.MessageID == "", m.Timestamp == "", m.Signature == "":
		return nil, fmt.Errorf("%w: MessageId, Timestamp or Signature is missing", errSNSFormat)
	case m.SignatureVersion != "1" && m.SignatureVersion != "2":
		return nil, fmt.Errorf("%w: SignatureVersion %q; want 1 or 2", errSNSFormat, exposure.Clean(m.SignatureVersion, 10))
	}
	return m, nil
}

// signedText is what SNS signs: names and values, a line each.
func (m *snsMessage) signedText() []byte {
	fields := []string{"Message", m.Message, "MessageId", m.MessageID}
	if m.Type == snsNotification {
		if m.Subject != nil {
			fields = append(fields, "Subject", *m.Subject)
		}
		fields = append(fields, "Timestamp", m.Timestamp)
	} else {
		fields = append(fields, "SubscribeURL", m.SubscribeURL, "Timestamp", m.Timestamp, "Token", m.Token)
	}
	fields = append(fields, "TopicArn", m.TopicArn, "Type", m.Type)
	return []byte(strings.Join(fields, "\n") + "\n")
}

// verify checks the signature with the key of a proven certificate: version 1
// has SHA-1, 2 has SHA-256.
func (m *snsMessage) verify(cert *x509.Certificate) error {
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok {
		return fmt.Errorf("%w: the signing certificate has no RSA key", errSNSProof)
	}
	signature, err := base64.StdEncoding.DecodeString(m.Signature)
	if err != nil {
		return fmt.Errorf("%w: the signature is no base64", errSNSProof)
	}
	if m.SignatureVersion == "1" {
		sum := sha1.Sum(m.signedText())
		err = rsa.VerifyPKCS1v15(key, crypto.SHA1, sum[:], signature)
	} else {
		sum := sha256.Sum256(m.signedText())
		err = rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature)
	}
	if err != nil {
		return fmt.Errorf("%w: the signature is not of this message", errSNSProof)
	}
	return nil
}

// subscription is the URL that confirms the subscription, if it can be nothing
// else.
func (m *snsMessage) subscription() (*url.URL, error) {
	u, err := snsURL(m.SubscribeURL)
	if err != nil {
		return nil, fmt.Errorf("SubscribeURL: %w", err)
	}
	q := u.Query()
	if q.Get("Action") != "ConfirmSubscription" || q.Get("TopicArn") != m.TopicArn {
		return nil, fmt.Errorf("%w: SubscribeURL does not confirm a subscription of the topic", errSNSProof)
	}
	return u, nil
}

// signed takes an SNS message: its text, once it is proven to be of a topic that
// is wanted, or a subscription.
func (d *door) signed(ctx context.Context, b *body) reply {
	text, err := io.ReadAll(io.LimitReader(b, snsBytes+1))
	switch {
	case err != nil:
		return d.outcome(ctx, err, b.err)
	case len(text) > snsBytes:
		return reply{http.StatusRequestEntityTooLarge, httpTooLarge, "larger than an SNS message can be", 0}
	}
	m, err := parseSNS(text)
	if err == nil && !slices.Contains(d.config.SNSTopics, m.TopicArn) {
		err = fmt.Errorf("%w: topic %q is not among sns_topics", errSNSProof, exposure.Clean(m.TopicArn, 300))
	}
	if err == nil {
		err = d.sns.prove(ctx, m)
	}
	if err == nil && m.Type == snsSubscribe {
		err = d.sns.confirm(ctx, m)
	}
	switch {
	case errors.Is(err, errSNSFormat):
		return reply{http.StatusBadRequest, httpUnreadable, err.Error(), 0}
	case errors.Is(err, errSNSProof):
		return reply{http.StatusForbidden, httpForbidden, err.Error(), 0}
	case err != nil:
		d.trouble.Do(func() {
			d.log.Warn("an SNS message could not be proven; SNS sends it again", "topic", m.TopicArn, "err", err)
		})
		return later("it cannot be proven at the moment; send it again")
	}
	switch m.Type {
	case snsSubscribe:
		d.log.Info("the subscription of an SNS topic was confirmed", "topic", m.TopicArn)
		return reply{status: http.StatusOK, result: httpConfirmed}
	case snsUnsubscribe:
		d.log.Warn("an SNS topic is no longer subscribed: nothing more comes of it", "topic", m.TopicArn)
		return taken200
	}
	where := trail.Place("sns://" + m.TopicArn + "/" + exposure.Clean(m.MessageID, 64))
	return d.deliver(ctx, processor.Part{Origin: where, Bytes: []byte(m.Message)}, b)
}
