package webhook

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/secret"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/dispatch"
	"github.com/mfawatch/mfawatch/sinks/message"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
)

const (
	firstSecret  = "whsec_eHl6enktZmlyc3Qtc2lnbmluZy1zZWNyZXQh" // xyzzy-first-signing-secret!
	secondSecret = "whsec_eHl6enktb3RoZXItc2lnbmluZy1zZWNyZXQh"
)

// verified does as a receiver that knows one secret: it returns the alert's ID,
// once the signature is found good. It is written after the specification of
// Standard Webhooks, and shares nothing with the sink.
func verified(r *http.Request, body []byte, secret string, now time.Time) (id string, err error) {
	id, stamp := r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return "", err
	}
	if age := now.Sub(time.Unix(seconds, 0)); age < -5*time.Minute || age > 5*time.Minute {
		return "", fmt.Errorf("the timestamp is %s old", age)
	}
	encoded, ok := strings.CutPrefix(secret, "whsec_")
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil {
		return "", errors.New("not a secret")
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.%s", id, seconds, body)
	for field := range strings.FieldsSeq(r.Header.Get("webhook-signature")) {
		version, signature, _ := strings.Cut(field, ",")
		got, err := base64.StdEncoding.DecodeString(signature)
		if version == "v1" && err == nil && hmac.Equal(got, mac.Sum(nil)) {
			return id, nil
		}
	}
	return "", errors.New("no signature is good")
}

func alert() *processor.Alert {
	x, user := "0f3a", "bob <b>&\u202e"
	return &processor.Alert{Schema: exposure.Schema, ID: "5f2c90", Exposure: &x, Step: exposure.Opened, Severity: exposure.High,
		Reasons: []string{"other_actor"}, Title: "MFA removed", Time: time.Unix(1_800_000_000, 0).UTC(), Account: "111122223333", User: &user,
		Attack: []string{"T1556.006"}, Record: json.RawMessage(`{"eventID":"1"}`)}
}

func newTestWebhook(t *testing.T, c Config) *Sink {
	t.Helper()
	w, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

func TestRequest(t *testing.T) {
	a := alert()
	want, err := message.JSON(a)
	if err != nil {
		t.Fatal(err)
	}
	want = bytes.TrimSuffix(want, []byte("\n"))
	requests := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		body, err := io.ReadAll(r.Body)
		if err != nil || !bytes.Equal(body, want) {
			t.Errorf("body %s, %v; want %s", body, err, want)
		}
		for _, secret := range []string{firstSecret, secondSecret} {
			if id, err := verified(r, body, secret, time.Now()); err != nil || id != a.ID {
				t.Errorf("ID %q, %v", id, err)
			}
			if _, err := verified(r, append(body, ' '), secret, time.Now()); err == nil {
				t.Error("a body that was changed is found good")
			}
		}
		if _, err := verified(r, body, "whsec_"+base64.StdEncoding.EncodeToString(make([]byte, 32)), time.Now()); err == nil {
			t.Error("the signature is good under any secret")
		}
		for name, want := range map[string]string{
			"Content-Type": "application/json", "Idempotency-Key": a.ID, "Webhook-Id": a.ID,
			"Authorization": sinktest.HushValue, "X-Team": "security", "X-Other": "from a file",
		} {
			if got := r.Header.Values(name); len(got) != 1 || got[0] != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if got := r.Header.Get("User-Agent"); !strings.HasPrefix(got, "mfawatch/") {
			t.Errorf("User-Agent: %q", got)
		}
		if r.Method != http.MethodPost || r.RequestURI != sinktest.HushPath+sinktest.HushQuery || r.ContentLength != int64(len(want)) {
			t.Errorf("%s %s of %d bytes", r.Method, r.RequestURI, r.ContentLength)
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	defer s.Close()
	w := newTestWebhook(t, Config{
		URLFile:     sinktest.SecretFile(t, s.URL+sinktest.HushPath+sinktest.HushQuery+"\n"),
		Secrets:     []string{firstSecret},
		SecretFiles: []string{sinktest.SecretFile(t, secondSecret+"\r\n")},
		Headers:     Headers{"authorization": sinktest.HushValue, "X-Team": "security"},
		HeaderFiles: HeaderFiles{"X-Other": sinktest.SecretFile(t, "from a file\n")},
	})
	for range 2 {
		if ref, err := w.Send(t.Context(), a, "kept"); err != nil || ref != "kept" {
			t.Errorf("%q, %v", ref, err)
		}
	}
	if requests != 2 {
		t.Errorf("%d requests", requests)
	}
}

// The example of the specification.
func TestSignature(t *testing.T) {
	key, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	got := sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`))
	if want := "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// Two attempts differ in their time and the signature over it.
func TestSendsTheSameAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, err := New(Config{URL: "https://hooks.example.net/x", Secrets: []string{firstSecret}})
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		first, err1 := w.request("5f2c90", []byte("{}"), time.Now())
		time.Sleep(48 * time.Hour)
		second, err2 := w.request("5f2c90", []byte("{}"), time.Now())
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		for name := range first.Header {
			same := first.Header.Get(name) == second.Header.Get(name)
			if timed := name == "Webhook-Timestamp" || name == "Webhook-Signature"; same == timed {
				t.Errorf("%s: %q, then %q", name, first.Header.Get(name), second.Header.Get(name))
			}
		}
		if got, want := second.Header.Get("Webhook-Timestamp"), strconv.FormatInt(begin.Add(48*time.Hour).Unix(), 10); got != want {
			t.Errorf("timestamp %s, want %s", got, want)
		}
		if len(first.Header) != len(second.Header) || !bytes.Equal(first.Body, second.Body) || first.URL != second.URL {
			t.Error("the second request differs")
		}
	})
}

// A secret that changes under its name is used immediately; one that is missing
// for a while costs no alert.
func TestRotation(t *testing.T) {
	signed := firstSecret
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if _, err := verified(r, body, signed, time.Now()); err != nil {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer s.Close()
	path := sinktest.SecretFile(t, firstSecret)
	w := newTestWebhook(t, Config{URL: secret.URL(s.URL), SecretFiles: []string{path}})
	send := func(want sinks.Verdict) {
		t.Helper()
		_, err := w.Send(t.Context(), alert(), "")
		if v, _ := sinks.VerdictOf(err); v != want {
			t.Errorf("%s, want %s: %v", v, want, err)
		}
		if err != nil {
			sinktest.Hushed(t, err.Error())
		}
	}
	send(sinks.VerdictDelivered)
	signed = secondSecret
	send(sinks.VerdictMisconfigured)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	send(sinks.VerdictMisconfigured)
	if err := os.WriteFile(path, []byte(secondSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	send(sinks.VerdictDelivered)
}

// Neither the dispatcher's log nor its dead letter shows what the configuration
// keeps secret, even if the receiver repeats all of it.
func TestSecretsInDispatcher(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, "%s %s %s %v", firstSecret, firstSecret[6:], sinktest.HushValue, r.Header)
	}))
	defer s.Close()
	w := newTestWebhook(t, Config{
		URL: secret.URL(s.URL + sinktest.HushPath + sinktest.HushQuery), Secrets: []string{firstSecret}, Headers: Headers{"Authorization": sinktest.HushValue},
	})
	r := sinktest.NewRig(t, filepath.Join(t.TempDir(), "mfawatch.db"), w, dispatch.DeliveryConfig{})
	sinktest.Journal(t, r.Journal, sinktest.BareAlert("x", "x-1"))
	r.Idle()
	letters, err := r.Journal.DeadLetters("a")
	r.Stop()
	if err != nil || len(letters) != 1 {
		t.Fatalf("%d dead letters, %v", len(letters), err)
	}
	for _, text := range []string{r.Log.String(), letters[0].Cause} {
		if !strings.Contains(text, "400 Bad Request") {
			t.Errorf("it does not say what happened: %s", text)
		}
		sinktest.Hushed(t, text)
		if strings.Contains(text, firstSecret[6:]) {
			t.Errorf("a signing secret is shown: %s", text)
		}
	}
}

func TestMistakes(t *testing.T) {
	missing, empty := filepath.Join(t.TempDir(), "missing"), sinktest.SecretFile(t, "\n")
	sinktest.Mistakes(t, Config{URL: "https://hooks.example.net/x"}, func(c Config) error {
		_, err := New(c)
		return err
	}, map[string][]func(c *Config){
		"url: missing":                     {func(c *Config) { c.URL = "" }},
		"url_file: set beside url":         {func(c *Config) { c.URLFile = missing }},
		"url_file: open ":                  {func(c *Config) { c.URL, c.URLFile = "", missing }},
		"url_file: " + empty + " is empty": {func(c *Config) { c.URL, c.URLFile = "", empty }},
		"url: want a URL such as": {
			func(c *Config) { c.URL = "hooks.example.net/xyzzy" },
			func(c *Config) { c.URL = "https://xyzzy\x7f" },
			func(c *Config) { c.URL = "https://:443/xyzzy" },
		},
		"url: want a URL that begins with":   {func(c *Config) { c.URL = "ftp://hooks.example.net/xyzzy" }},
		"url: want a URL without a fragment": {func(c *Config) { c.URL += "#xyzzy" }},
		"secrets[1]: want whsec_":            {func(c *Config) { c.Secrets = []string{firstSecret, "xyzzy"} }},
		"secrets[0]: want whsec_": {
			func(c *Config) { c.Secrets = []string{"whsec_eHl6enk="} },
			func(c *Config) { c.Secrets = []string{"whsec_" + strings.Repeat("-_", 16)} },
		},
		"secret_files[0]: want whsec_":                  {func(c *Config) { c.SecretFiles = []string{sinktest.SecretFile(t, firstSecret[6:])} }},
		"secret_files[0]: open ":                        {func(c *Config) { c.SecretFiles = []string{missing} }},
		`headers: "webhook-id": set by mfawatch itself`: {func(c *Config) { c.Headers = Headers{"webhook-id": "xyzzy"} }},
		`headers: "a b": not the name of a header`:      {func(c *Config) { c.Headers = Headers{"a b": "xyzzy"} }},
		`headers: "X": its value has characters`:        {func(c *Config) { c.Headers = Headers{"X": "xyzzy\r\nHost: y"} }},
		`headers: "x": there twice`:                     {func(c *Config) { c.Headers = Headers{"x": "1", "X": "xyzzy"} }},
		"header_files: open ":                           {func(c *Config) { c.HeaderFiles = HeaderFiles{"X": missing} }},
		"tls.ca_file: open ":                            {func(c *Config) { c.TLS.CAFile = missing }},
		"tls.ca_file: no certificate":                   {func(c *Config) { c.TLS.CAFile = sinktest.SecretFile(t, "x") }},
		"tls.key_file: missing":                         {func(c *Config) { c.TLS.CertFile = missing }},
		"tls.cert_file: missing":                        {func(c *Config) { c.TLS.KeyFile = missing }},
		"tls.cert_file: open ":                          {func(c *Config) { c.TLS.CertFile, c.TLS.KeyFile = missing, missing }},
	})
}

func TestHeadersShown(t *testing.T) {
	if got, err := (Headers{"X-B": "xyzzy", "X-A": "xyzzy"}).MarshalText(); string(got) != "X-A: (hidden), X-B: (hidden)" || err != nil {
		t.Errorf("%s, %v", got, err)
	}
}
