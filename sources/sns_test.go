package sources

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	testTopic   = "arn:aws:sns:us-east-1:111122223333:cloudtrail"
	testCertURL = "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0123abcd.pem"
)

// A fakeSNS is SNS, and the authority that its certificate names, on this
// machine, under SNS's own names.
type fakeSNS struct {
	t      *testing.T
	root   *testCA
	key    *rsa.PrivateKey
	server *httptest.Server

	mu    sync.Mutex
	files map[string][]byte // by host and path
	asked []string          // URLs
	down  bool
}

// snsKey takes its time to be made.
var snsKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func newFakeSNS(t *testing.T) *fakeSNS {
	f := &fakeSNS{t: t, root: newTestCA(t), files: map[string][]byte{}}
	var err error
	if f.key, err = snsKey(); err != nil {
		t.Fatal(err)
	}
	// As with the real one: the certificate alone, with the place of its issuer.
	issuer := newTestIssuer(t, f.root, nil)
	f.files["crt.r2m01.amazontrust.com/r2m01.cer"] = issuer.cert.Raw
	f.publish(issuer, testCertURL, nil, "sns.amazonaws.com")

	f.server = httptest.NewUnstartedServer(http.HandlerFunc(f.serve))
	der := f.root.issue(t, &f.key.PublicKey, nil, "sns.us-east-1.amazonaws.com", "sns.cn-north-1.amazonaws.com.cn", "sns.af-south-1.amazonaws.com")
	f.server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: f.key}}}
	f.server.StartTLS()
	t.Cleanup(f.server.Close)
	return f
}

// publish puts a signing certificate to where SNS has it.
func (f *fakeSNS) publish(issuer *testCA, at string, change func(*x509.Certificate), names ...string) {
	der := issuer.issue(f.t, &f.key.PublicKey, func(c *x509.Certificate) {
		c.IssuingCertificateURL = []string{"http://crt.r2m01.amazontrust.com/r2m01.cer"}
		if change != nil {
			change(c)
		}
	}, names...)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.files[strings.TrimPrefix(at, "https://")] = inPEM("CERTIFICATE", der)
}

func (f *fakeSNS) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, r.Host+r.URL.String())
	text, ok := f.files[r.Host+r.URL.Path]
	switch {
	case f.down:
		w.WriteHeader(http.StatusInternalServerError)
	case r.URL.Query().Get("Action") == "ConfirmSubscription":
		_, _ = w.Write([]byte("<ConfirmSubscriptionResponse/>"))
	case ok:
		_, _ = w.Write(text)
	default:
		http.NotFound(w, r)
	}
}

func (f *fakeSNS) requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.asked)
}

// prover asks the fake in the place of AWS; whom it trusts is the fake's root
// alone.
func (f *fakeSNS) prover(s *HTTP) {
	transport := s.sns.client.Transport.(*http.Transport)
	transport.Proxy = nil
	transport.TLSClientConfig = &tls.Config{RootCAs: f.root.pool()}
	plain := httptest.NewServer(http.HandlerFunc(f.serve))
	f.t.Cleanup(plain.Close)
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		to := f.server.Listener.Addr()
		if strings.HasSuffix(address, ":80") {
			to = plain.Listener.Addr()
		}
		return new(net.Dialer).DialContext(ctx, network, to.String())
	}
	s.sns.roots = f.root.pool()
	s.sns.asking.SetBurst(1000)
	s.sns.asking.SetLimit(1000)
}

// message is a signed one.
func (f *fakeSNS) message(kind, version string, change map[string]any) string {
	m := map[string]any{
		"Type": kind, "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324", "TopicArn": testTopic,
		"Message": "{\"eventName\":\"x\"}\nwith \"quotes\" and ünïcode <&>", "Timestamp": "2026-05-01T08:03:11.000Z",
		"SignatureVersion": version, "SigningCertURL": testCertURL,
		"UnsubscribeURL": "https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe",
	}
	if kind != snsNotification {
		m["Token"] = "2336412f37"
		m["SubscribeURL"] = "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=" + testTopic + "&Token=2336412f37"
	}
	maps.Copy(m, change)
	// The text that is signed, written out of AWS's description once more.
	names := []string{"Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"}
	if kind != snsNotification {
		names = []string{"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"}
	}
	text := ""
	for _, name := range names {
		if v, ok := m[name]; ok {
			text += name + "\n" + v.(string) + "\n"
		}
	}
	var signature []byte
	var err error
	if version == "1" {
		sum := sha1.Sum([]byte(text))
		signature, err = rsa.SignPKCS1v15(rand.Reader, f.key, crypto.SHA1, sum[:])
	} else {
		sum := sha256.Sum256([]byte(text))
		signature, err = rsa.SignPKCS1v15(rand.Reader, f.key, crypto.SHA256, sum[:])
	}
	if err != nil {
		f.t.Fatal(err)
	}
	if m["Signature"] == nil {
		m["Signature"] = base64.StdEncoding.EncodeToString(signature)
	}
	b, err := json.Marshal(m)
	if err != nil {
		f.t.Fatal(err)
	}
	return string(b)
}

func (f *fakeSNS) post(at, body string, more ...string) (int, string) {
	f.t.Helper()
	answer, text := post(f.t, "http://"+at, strings.NewReader(body), append(more, "X-Amz-Sns-Message-Type: Notification", "Content-Type: text/plain; charset=UTF-8")...)
	return answer.StatusCode, text
}

func TestSNSNotification(t *testing.T) {
	sns := newFakeSNS(t)
	x := newTaken()
	_, at := openDoor(t, HTTPConfig{Tokens: []string{doorToken}, SNSTopics: []string{testTopic}}, x.handle, sns.prover)
	const want = "sns://" + testTopic + "/22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324 {\"eventName\":\"x\"}\nwith \"quotes\" and ünïcode <&>"
	for _, body := range []string{
		sns.message(snsNotification, "1", nil),
		sns.message(snsNotification, "2", nil),
		sns.message(snsNotification, "2", map[string]any{"Subject": "a \"subject\"\n"}),
		// What is not signed is not read, though it stands in a signed message.
		sns.message(snsNotification, "2", map[string]any{"MessageAttributes": map[string]string{"a": "{\"eventName\":\"DeactivateMFADevice\"}"}, "detail": "{}"}),
	} {
		x.parts = nil
		if status, text := sns.post(at, body); status != 200 || !slices.Equal(x.all(), []string{want}) {
			t.Errorf("%d %s, got %q", status, text, x.all())
		}
	}
	// The certificate and its issuer are asked for once.
	if got := sns.requests(); !slices.Equal(got, []string{strings.TrimPrefix(testCertURL, "https://"), "crt.r2m01.amazontrust.com/r2m01.cer"}) {
		t.Errorf("asked for %q", got)
	}
	// Raw delivery has no signature, and so needs a token.
	x.parts = nil
	if status, _ := sns.post(at, "{}", "X-Amz-Sns-Rawdelivery: true"); status != 401 {
		t.Errorf("raw: %d", status)
	}
	if status, _ := sns.post(at, "{}", "X-Amz-Sns-Rawdelivery: true", "X-Api-Key: "+doorToken); status != 200 || len(x.parts) != 1 {
		t.Errorf("raw with a token: %d", status)
	}
}

// A message that is not proven to be of a wanted topic is refused, token or not.
func TestSNSRefused(t *testing.T) {
	sns := newFakeSNS(t)
	stranger := newTestCA(t)
	at := func(name string) string { return strings.Replace(testCertURL, "0123abcd", name, 1) }
	sns.publish(stranger, at("stranger"), func(c *x509.Certificate) { c.IssuingCertificateURL = nil }, "sns.amazonaws.com")
	sns.publish(stranger, at("stranger-too"), nil, "sns.amazonaws.com")
	sns.publish(sns.root, at("other-name"), nil, "s3.amazonaws.com")
	sns.publish(sns.root, at("expired"), func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }, "sns.amazonaws.com")
	x := newTaken()
	_, door := openDoor(t, HTTPConfig{Tokens: []string{doorToken}, SNSTopics: []string{testTopic}}, x.handle, sns.prover)
	good := sns.message(snsNotification, "2", nil)
	with := func(change map[string]any) string { return sns.message(snsNotification, "2", change) }
	for name, tt := range map[string]struct {
		body   string
		status int
		text   string
	}{
		"another text":           {strings.Replace(good, "eventName", "eventname", 1), 403, "the signature is not of this message"},
		"another time":           {strings.Replace(good, "2026-05", "2026-06", 1), 403, "the signature is not of this message"},
		"signature of another":   {with(map[string]any{"Signature": "aGVsbG8="}), 403, "the signature is not of this message"},
		"signature no base64":    {with(map[string]any{"Signature": "!"}), 403, "the signature is no base64"},
		"version 1 said to be 2": {strings.Replace(sns.message(snsNotification, "1", nil), `"SignatureVersion":"1"`, `"SignatureVersion":"2"`, 1), 403, "the signature is not of this message"},
		"another topic":          {with(map[string]any{"TopicArn": testTopic + "2"}), 403, "is not among sns_topics"},
		"a stranger's":           {with(map[string]any{"SigningCertURL": at("stranger")}), 403, "unknown authority"},
		"another stranger's":     {with(map[string]any{"SigningCertURL": at("stranger-too")}), 403, "unknown authority"},
		"not SNS's":              {with(map[string]any{"SigningCertURL": at("other-name")}), 403, "it is not SNS's"},
		"expired":                {with(map[string]any{"SigningCertURL": at("expired")}), 403, "expired"},
		"another host":           {with(map[string]any{"SigningCertURL": "https://sns.us-east-1.amazonaws.com.evil.example/SimpleNotificationService-1.pem"}), 403, "SigningCertURL is not one of SNS's"},
		"a bucket":               {with(map[string]any{"SigningCertURL": "https://s3.us-east-1.amazonaws.com/SimpleNotificationService-1.pem"}), 403, "SigningCertURL is not one of SNS's"},
		"another path":           {with(map[string]any{"SigningCertURL": "https://sns.us-east-1.amazonaws.com/?Action=x&/SimpleNotificationService-1.pem"}), 403, "SigningCertURL is not one of SNS's"},
		"a user in front":        {with(map[string]any{"SigningCertURL": strings.Replace(testCertURL, "https://", "https://sns@", 1)}), 403, "SigningCertURL is not one of SNS's"},
		"no TLS":                 {with(map[string]any{"SigningCertURL": strings.Replace(testCertURL, "https", "http", 1)}), 403, "SigningCertURL is not one of SNS's"},
		"certificate away":       {with(map[string]any{"SigningCertURL": at("away")}), 503, "cannot be proven at the moment"},
		"version 3":              {with(map[string]any{"SignatureVersion": "3"}), 400, `SignatureVersion "3"; want 1 or 2`},
		"unknown type":           {with(map[string]any{"Type": "Else"}), 400, `unknown Type "Else"`},
		"no signature":           {`{"Type":"Notification"}`, 400, "Signature is missing"},
		"not JSON":               {`{"Type":`, 400, "not JSON as SNS sends it"},
		"too large":              {with(map[string]any{"Message": strings.Repeat("x", snsBytes)}), 413, "larger than an SNS message can be"},
	} {
		status, text := sns.post(door, tt.body, "X-Api-Key: "+doorToken)
		if status != tt.status || !strings.Contains(text, tt.text) {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
	if len(x.all()) > 0 {
		t.Errorf("taken: %q", x.all())
	}
	if status, _ := sns.post(door, good); status != 200 { // the same, untouched
		t.Errorf("the good one: %d", status)
	}
}

func TestSNSSubscription(t *testing.T) {
	sns := newFakeSNS(t)
	x := newTaken()
	_, at := openDoor(t, HTTPConfig{SNSTopics: []string{testTopic}}, x.handle, sns.prover)
	confirms := func() (n int) {
		for _, url := range sns.requests() {
			if strings.Contains(url, "ConfirmSubscription") {
				n++
			}
		}
		return n
	}
	elsewhere := func(url string) string { return sns.message(snsSubscribe, "2", map[string]any{"SubscribeURL": url}) }
	for name, body := range map[string]string{
		"another topic":     sns.message(snsSubscribe, "2", map[string]any{"TopicArn": testTopic + "2"}),
		"not SNS":           elsewhere("https://evil.example/?Action=ConfirmSubscription&TopicArn=" + testTopic),
		"another action":    elsewhere("https://sns.us-east-1.amazonaws.com/?Action=DeleteTopic&TopicArn=" + testTopic),
		"for another topic": elsewhere("https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=" + testTopic + "2"),
		"not signed":        strings.Replace(sns.message(snsSubscribe, "2", nil), "2336412f37", "2336412f38", 2),
	} {
		if status, text := sns.post(at, body); status != 403 || confirms() != 0 {
			t.Errorf("%s: %d %s, confirmed %d times", name, status, text, confirms())
		}
	}
	for n, version := range []string{"1", "2"} {
		if status, text := sns.post(at, sns.message(snsSubscribe, version, nil)); status != 200 || confirms() != n+1 {
			t.Errorf("version %s: %d %s, confirmed %d times", version, status, text, confirms())
		}
	}
	if status, text := sns.post(at, sns.message(snsUnsubscribe, "2", nil)); status != 200 || confirms() != 2 {
		t.Errorf("unsubscribed: %d %s, confirmed %d times", status, text, confirms())
	}
	// SNS is asked to come again while it cannot be confirmed.
	sns.mu.Lock()
	sns.down = true
	sns.mu.Unlock()
	if status, text := sns.post(at, sns.message(snsSubscribe, "2", nil)); status != 503 {
		t.Errorf("while AWS is down: %d %s", status, text)
	}
	if len(x.all()) > 0 {
		t.Errorf("taken: %q", x.all())
	}
}

// The names in the certificates of other regions, as AWS's own library has them.
func TestSNSNames(t *testing.T) {
	for host, name := range map[string]string{
		"sns.us-east-1.amazonaws.com":     "sns.amazonaws.com",
		"sns.us-gov-east-1.amazonaws.com": "sns-us-gov-west-1.amazonaws.com",
		"sns.cn-north-1.amazonaws.com.cn": "sns-cn-north-1.amazonaws.com.cn",
		"sns.af-south-1.amazonaws.com":    "sns-signing.af-south-1.amazonaws.com",
	} {
		if _, err := snsURL("https://" + host + "/x"); err != nil || !slices.Contains(snsNames(host), name) {
			t.Errorf("%s: %v, %q", host, err, snsNames(host))
		}
	}
}

// Whatever strangers say, AWS is not asked about it without a bound, and no more
// is remembered than there is room for.
func TestSNSBounds(t *testing.T) {
	sns := newFakeSNS(t)
	s, at := openDoor(t, HTTPConfig{SNSTopics: []string{testTopic}}, newTaken().handle, sns.prover)
	for i := range 2 * maxCertificates {
		url := strings.Replace(testCertURL, "0123abcd", strings.Repeat("a", i+1), 1)
		sns.publish(sns.root, url, nil, "sns.amazonaws.com")
		if status, text := sns.post(at, sns.message(snsNotification, "2", map[string]any{"SigningCertURL": url})); status != 200 {
			t.Fatalf("%d %s", status, text)
		}
	}
	if n := len(s.sns.known); n > maxCertificates {
		t.Errorf("%d certificates remembered", n)
	}
	s.sns.asking.SetLimit(0)
	s.sns.asking.SetBurst(0)
	before := len(sns.requests())
	if status, _ := sns.post(at, sns.message(snsNotification, "2", map[string]any{"SigningCertURL": strings.Replace(testCertURL, "0123", "x", 1)})); status != 503 || len(sns.requests()) != before {
		t.Errorf("over the bound: %d, asked %d times", status, len(sns.requests())-before)
	}
}

func FuzzSNSMessage(f *testing.F) {
	f.Add([]byte(`{"Type":"Notification","MessageId":"1","TopicArn":"` + testTopic + `","Message":"x","Timestamp":"t","SignatureVersion":"1","Signature":"eA==","SigningCertURL":"` + testCertURL + `"}`))
	f.Add([]byte(`{"Type":"SubscriptionConfirmation","MessageId":"1","Timestamp":"t","SignatureVersion":"2","Signature":"eA==","SubscribeURL":"https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn="}`))
	f.Add([]byte(`{"type":"Notification","Type":null,"Subject":null}`))
	key, err := snsKey()
	if err != nil {
		f.Fatal(err)
	}
	cert := &x509.Certificate{PublicKey: &key.PublicKey}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseSNS(b)
		if err != nil {
			if !errors.Is(err, errSNSFormat) {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		if err := m.verify(cert); !errors.Is(err, errSNSProof) {
			t.Fatalf("proven by nobody: %v", err)
		}
		for _, text := range []string{m.SigningCertURL, m.SubscribeURL} {
			if u, err := snsURL(text); err == nil && (u.Scheme != "https" || !strings.HasPrefix(u.Hostname(), "sns.") ||
				!strings.HasSuffix(u.Hostname(), ".amazonaws.com") && !strings.HasSuffix(u.Hostname(), ".amazonaws.com.cn")) {
				t.Fatalf("%q leads to %s", text, u.Hostname())
			}
		}
		if u, err := m.subscription(); err == nil && u.Query().Get("Action") != "ConfirmSubscription" {
			t.Fatalf("%q confirms", m.SubscribeURL)
		}
	})
}
