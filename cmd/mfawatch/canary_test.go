package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/aws"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/processor/secret"
	"github.com/mfawatch/mfawatch/sinks/webhook"
	"github.com/mfawatch/mfawatch/sources/sourcetest"
)

// Canaries are unique values, one for each secret field of a
// configuration: where one is seen, it names the field that it got out of.
type canaries struct {
	t      *testing.T
	dir    string            // of the files that hold secrets
	fields map[string]string // by what is looked for
	set    map[string]bool   // fields that have one
}

func newCanaries(t *testing.T) *canaries {
	return &canaries{t: t, dir: t.TempDir(), fields: map[string]string{}, set: map[string]bool{}}
}

// value is the canary of a field: 32 letters and digits, as they stand
// unchanged in URLs, JSON and HTML.
func (k *canaries) value(field string) string {
	sum := sha256.Sum256([]byte(field))
	value := hex.EncodeToString(sum[:16])
	k.watch(field, value)
	return value
}

// watch looks for a value, a part of it, since texts are cut, and its base64,
// whatever stands before it.
func (k *canaries) watch(field, value string) {
	k.set[field] = true
	for i := 0; i+12 <= len(value); i += 4 {
		k.fields[strings.ToLower(value[i:i+12])] = field
	}
	for shift := range 3 {
		coded := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + value))
		k.fields[strings.ToLower(coded[4:20])] = field
	}
}

// file holds text, and is named after the field.
func (k *canaries) file(field, text string) string {
	path := filepath.Join(k.dir, strings.ReplaceAll(field, ".", "-"))
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		k.t.Fatal(err)
	}
	return path
}

// keyPair writes a certificate and its key, which is watched.
func (k *canaries) keyPair(field string) (cert, key string) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		k.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mfawatch"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		k.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		k.t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
	// Behind what every key begins with, and before the public half.
	k.set[field] = true
	k.fields[strings.ToLower(base64.StdEncoding.EncodeToString(secret)[52:72])] = field
	return k.file(field+".cert", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))), k.file(field, text)
}

// found fails the test for each canary that is in text.
func (k *canaries) found(where, text string, but ...string) {
	k.t.Helper()
	lower := strings.ToLower(text)
	seen := map[string]bool{}
	for value, field := range k.fields {
		if at := strings.Index(lower, value); at >= 0 && !seen[field] && !slices.Contains(but, field) {
			seen[field] = true
			k.t.Errorf("%s: shows the secret %s: …%s…", where, field, text[max(0, at-200):min(len(text), at+60)])
		}
	}
}

// secretsOf adds the keys of a struct that hold a secret, or name the file that
// does.
func secretsOf(all map[string]bool, prefix string, t reflect.Type) {
	for name, field := range config.Keys(t) {
		path := prefix + name
		if field.Kind() == reflect.Pointer {
			field = field.Elem()
		}
		switch base, isFile := cutFile(path); {
		case field == reflect.TypeFor[secret.URL](), field == reflect.TypeFor[aws.Secret](),
			field == reflect.TypeFor[webhook.Headers](), field == reflect.TypeFor[webhook.HeaderFiles](),
			config.Secret(path), isFile && (config.Secret(base) || strings.HasSuffix(base, ".url")):
			all[path] = true
		case field.Kind() == reflect.Struct && len(config.Keys(field)) > 0:
			secretsOf(all, path+".", field)
		}
	}
}

func cutFile(path string) (base string, ok bool) {
	if base, ok = strings.CutSuffix(path, "_files"); ok {
		return base, true
	}
	return strings.CutSuffix(path, "_file")
}

// everySecret is each secret field that there is, by kind.
func everySecret() map[string]bool {
	all := map[string]bool{}
	for kind, make := range config.SourceKinds {
		secretsOf(all, "sources."+kind+".", reflect.TypeOf(make()).Elem())
	}
	for kind, make := range config.SinkKinds {
		secretsOf(all, "sinks."+kind+".", reflect.TypeOf(make()).Elem())
	}
	return all
}

type object = map[string]any

// A canaryConfig is a configuration with a canary in every secret field, in as
// many entries of a kind as it takes.
type canaryConfig struct {
	*canaries
	site             string // of the server that everything over HTTP goes to
	mail             int    // the port of the mail server
	broker, door     string // host:port
	sources, sinks   object
	path, trail, log string
}

// is makes an entry. A value that is text and begins with ! is a form, with %s
// for the canary; one that begins with @ is the form of what its file holds.
func (c *canaryConfig) is(into object, section, name, kind string, fields object) {
	entry := object{"type": kind}
	for key, form := range fields {
		field := section + "." + kind + "." + key
		var value any = form
		if text, ok := form.(string); ok && strings.HasPrefix(text, "!") {
			value = strings.ReplaceAll(text[1:], "%s", c.value(field))
		} else if ok && strings.HasPrefix(text, "@") {
			value = c.file(field, strings.ReplaceAll(text[1:], "%s", c.value(field)))
		}
		switch {
		case key == "tls.key_file":
			put(entry, "tls.cert_file", "")
			cert, secret := c.keyPair(field)
			put(entry, "tls.cert_file", cert)
			value = secret
		case strings.HasSuffix(key, "secrets") || strings.HasSuffix(key, "tokens") || strings.HasSuffix(key, "_files") && key != "header_files":
			value = []any{value}
		case strings.HasPrefix(key, "header"):
			value = object{"X-Key": value}
		}
		put(entry, key, value)
	}
	if section == "sinks" {
		put(entry, "timeout", "1s")
		if kind == "kafka" { // which tries until then
			put(entry, "timeout", "200ms")
		}
		put(entry, "retry", object{"min": "10ms", "max": "20ms", "age": "500ms"})
		put(entry, "rate", 0)
		put(entry, "group.wait", "0s")
	}
	into[name] = entry
}

// put sets a key with dots in it.
func put(into object, key string, value any) {
	for {
		first, rest, below := strings.Cut(key, ".")
		if !below {
			into[first] = value
			return
		}
		next, ok := into[first].(object)
		if !ok {
			next = object{}
			into[first] = next
		}
		into, key = next, rest
	}
}

// signing is a key of Standard Webhooks: what is looked for is its text.
func (c *canaryConfig) signing(field string) string {
	return "whsec_" + base64.StdEncoding.EncodeToString([]byte(c.value("sinks.webhook."+field)))
}

func (c *canaryConfig) fill() {
	c.sources, c.sinks = object{}, object{}
	source := func(name, kind string, fields object) { c.is(c.sources, "sources", name, kind, fields) }
	sink := func(name, kind string, fields object) { c.is(c.sinks, "sinks", name, kind, fields) }
	brokers, queue := []any{c.broker}, c.site+"/111122223333/trail"

	source("trail", "files", object{"paths": []any{c.trail}, "follow": true})
	source("door", "http", object{"address": c.door, "tokens": "!%s", "token_files": "@%s"})
	source("door-tls", "http", object{"address": "127.0.0.1:0", "tls.key_file": ""})
	for name, login := range kafkaLogins {
		source("kafka-"+name, "kafka", merged(login, object{"brokers": brokers, "topics": []any{"trail"}}))
	}
	awsKeys := object{"region": "us-east-1", "endpoint": c.site, "access_key_id": "AKIAIOSFODNN7EXAMPLE"}
	source("queue", "s3", merged(awsKeys, object{"queue_url": queue, "secret_access_key": "!%s", "session_token": "!%s", "retry.min": "1s", "retry.max": "1s"}))
	source("queue-file", "s3", merged(awsKeys, object{"queue_url": queue, "secret_access_key_file": "@%s"}))

	sink("file", "file", object{"path": c.log})
	for name, login := range kafkaLogins {
		sink("kafka-"+name, "kafka", merged(login, object{"brokers": brokers, "topic": "alerts"}))
	}
	post := c.site + "/%s?key=%s"
	sink("hook", "webhook", object{"url": "!" + post, "secrets": c.signing("secrets"), "headers": "!Key %s", "tls.key_file": ""})
	sink("hook-file", "webhook", object{"url_file": "@" + post, "secret_files": c.file("sinks.webhook.secret_files", c.signing("secret_files")), "header_files": c.file("sinks.webhook.header_files", "Key "+c.value("sinks.webhook.header_files"))})
	sink("pager", "pagerduty", object{"url": "!" + post, "routing_key": "!%s", "escalation_routing_key": "!%s", "tls.key_file": ""})
	sink("pager-file", "pagerduty", object{"url": c.site, "routing_key_file": "@%s", "escalation_routing_key_file": "@%s"})
	sink("now", "servicenow", object{"url": c.site, "username": "mfawatch", "password": "!%s", "tls.key_file": ""})
	sink("now-file", "servicenow", object{"url": c.site, "username": "mfawatch", "password_file": "@%s", "mode": "events"})
	sink("now-token", "servicenow", object{"url": c.site, "token": "!%s"})
	sink("now-token-file", "servicenow", object{"url": c.site, "token_file": "@%s"})
	sink("now-key", "servicenow", object{"url": c.site, "api_key": "!%s"})
	sink("now-key-file", "servicenow", object{"url": c.site, "api_key_file": "@%s", "mode": "events"})
	sink("chat", "slack", object{"api_url": c.site, "token": "!xoxb-%s", "channel": "C0123456789", "tls.key_file": ""})
	sink("chat-file", "slack", object{"api_url": c.site, "token_file": "@xoxb-%s", "channel": "mfa"})
	sink("chat-hook", "slack", object{"url": "!" + post})
	sink("chat-hook-file", "slack", object{"url_file": "@" + post})
	twilio := object{"provider": "twilio", "url": c.site, "account_sid": "AC" + strings.Repeat("0", 32), "from": "+15557654321", "to": []any{"+15551234567"}}
	sink("text", "sms", merged(twilio, object{"auth_token": "!%s", "api_key": "!SK%s", "tls.key_file": ""}))
	sink("text-file", "sms", merged(twilio, object{"auth_token_file": "@%s"}))
	sns := merged(awsKeys, object{"provider": "sns", "to": []any{"+15551234567"}})
	sink("text-sns", "sms", merged(sns, object{"secret_access_key": "!%s", "session_token": "!%s"}))
	sink("text-voice", "sms", merged(sns, object{"secret_access_key_file": "@%s", "provider": "aws-sms-voice-v2"}))
	mail := object{"host": "127.0.0.1", "port": c.mail, "tls.mode": "none", "username": "mfawatch", "from": "mfawatch@example.net", "to": []any{"soc@example.net"}}
	for _, auth := range []string{"plain", "login", "cram-md5", "xoauth2", "auto"} {
		sink("mail-"+auth, "email", merged(mail, object{"auth": auth, "password": "!%s"}))
	}
	sink("mail-file", "email", merged(mail, object{"auth": "plain", "password_file": "@%s", "tls.key_file": ""}))
	sink("desk", "zendesk", object{"url": c.site, "email": "mfawatch@example.net", "token": "!%s", "tls.key_file": ""})
	sink("desk-file", "zendesk", object{"url": c.site, "token_file": "@%s"})
}

// kafkaLogins are ways to show a broker who we are.
var kafkaLogins = map[string]object{
	"plain":      {"sasl.mechanism": "plain", "sasl.username": "mfawatch", "sasl.password": "!%s"},
	"scram-file": {"sasl.mechanism": "scram-sha-256", "sasl.username": "mfawatch", "sasl.password_file": "@%s"},
	"token":      {"sasl.mechanism": "oauthbearer", "sasl.token": "!%s"},
	"token-file": {"sasl.mechanism": "oauthbearer", "sasl.token_file": "@%s", "tls.enabled": true, "tls.key_file": ""},
}

func merged(all ...object) object {
	into := object{}
	for _, fields := range all {
		maps.Copy(into, fields)
	}
	return into
}

// text is the configuration as YAML.
func (c *canaryConfig) text(http string) []byte {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	err := e.Encode(object{
		"sources": c.sources, "sinks": c.sinks, "http": object{"address": http}, "shutdown_timeout": "100ms", "escalate_after": []any{"1s"}, "log": object{"level": "debug"},
		"journal": object{"path": filepath.Join(filepath.Dir(c.path), "mfawatch.db")},
		"routes": []any{object{"match": object{"user": "bob"}, "continue": true, "recipients": object{
			"pager":      []any{c.value(recipients)},
			"pager-file": []any{"file:" + c.file(recipients, c.value(recipients))},
		}}},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return b.Bytes()
}

// recipients are kept in the journal as they are: the rest of a case goes to
// whom its beginning went.
const recipients = "routes.recipients"

func newCanaryConfig(t *testing.T, k *canaries, site, broker string, mail int) *canaryConfig {
	dir := t.TempDir()
	c := &canaryConfig{canaries: k, site: site, mail: mail, broker: broker, door: sourcetest.FreeAddress(),
		path: filepath.Join(dir, "mfawatch.yaml"), trail: filepath.Join(dir, "trail.jsonl"), log: filepath.Join(dir, "alerts.jsonl")}
	c.fill()
	c.write(c.text("127.0.0.1:0"))
	return c
}

// withoutKafka writes the configuration without what waits for brokers.
func (c *canaryConfig) withoutKafka() {
	maps.DeleteFunc(c.sinks, func(name string, _ any) bool { return strings.HasPrefix(name, "kafka") })
	c.write(c.text("127.0.0.1:0"))
}

func (c *canaryConfig) write(text []byte) {
	if err := os.WriteFile(c.path, text, 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// A new secret field is set above, so that the tests below look for it.
func TestCanaryInEverySecret(t *testing.T) {
	k := newCanaries(t)
	newCanaryConfig(t, k, "http://127.0.0.1:1", "127.0.0.1:1", 1)
	want := everySecret()
	for _, field := range slices.Sorted(maps.Keys(want)) {
		if !k.set[field] {
			t.Errorf("no canary is in %s: set it in canaryConfig.fill", field)
		}
	}
	for field := range k.set {
		if !want[field] && field != recipients {
			t.Errorf("%s has a canary and is no secret field", field)
		}
	}
	if len(want) < 30 {
		t.Errorf("only %d secret fields were found", len(want))
	}
}

// runs runs a command within the process, and looks at what it says.
func (c *canaryConfig) runs(code int, args ...string) string {
	c.t.Helper()
	var stdout, stderr bytes.Buffer
	got := run(c.t.Context(), args, strings.NewReader(""), &stdout, &stderr, nil)
	said := stdout.String() + stderr.String()
	c.found(fmt.Sprintf("mfawatch %.60s", strings.Join(args, " ")), said)
	if got != code {
		c.t.Errorf("mfawatch %.60s: exit code %d, want %d\n%.2000s", strings.Join(args, " "), got, code, said)
	}
	return said
}
