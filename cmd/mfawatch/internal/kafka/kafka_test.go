package kafka

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/mfawatch/mfawatch/processor/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secretWord = "correct-horse-battery"

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// ask reaches the cluster with c and does a thing that needs to be let in.
func ask(t *testing.T, c Config) error {
	t.Helper()
	opts, err := c.Options()
	if err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(append(opts, kgo.RetryTimeout(time.Second))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err = kadm.NewClient(client).ListTopics(ctx)
	return err
}

func TestSASL(t *testing.T) {
	users := map[string]string{mechanismPlain: "PLAIN", mechanismSCRAM256: "SCRAM-SHA-256", mechanismSCRAM512: "SCRAM-SHA-512"}
	for mechanism, method := range users {
		t.Run(mechanism, func(t *testing.T) {
			cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser(method, "watcher", secretWord))
			if err != nil {
				t.Fatal(err)
			}
			defer cluster.Close()
			c := Config{Brokers: cluster.ListenAddrs()}
			c.SASL = SASLConfig{Mechanism: mechanism, Username: "watcher", Password: secretWord}
			if err := ask(t, c); err != nil {
				t.Errorf("password: %v", err)
			}
			file := write(t, "password", secretWord+"\n")
			c.SASL.Password, c.SASL.PasswordFile = "", file
			if err := ask(t, c); err != nil {
				t.Errorf("password_file: %v", err)
			}
			const wrong = "wrong-horse-battery"
			if err := os.WriteFile(file, []byte(wrong), 0o600); err != nil {
				t.Fatal(err)
			}
			err = ask(t, c)
			if err == nil {
				t.Error("let in with a wrong password")
			}
			if strings.Contains(fmt.Sprintf("%v %+v", err, err), wrong) {
				t.Errorf("the password is shown: %v", err)
			}
		})
	}
}

// A secret is read again for each connection, so that it may change under its
// name.
func TestSASLPasswordFileChanges(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser("PLAIN", "watcher", secretWord))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	file := write(t, "password", "old")
	opts, err := Config{Brokers: cluster.ListenAddrs(), SASL: SASLConfig{Mechanism: "plain", Username: "watcher", PasswordFile: file}}.Options()
	if err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(append(opts, kgo.RetryTimeout(time.Second))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if client.Ping(t.Context()) == nil {
		t.Fatal("let in with the old one")
	}
	if err := os.WriteFile(file, []byte(secretWord), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := client.Ping(t.Context()); err != nil {
		t.Errorf("with the new one: %v", err)
	}
}

// kfake hangs up on a wrong password; Kafka says why.
func TestSASLRefused(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser("PLAIN", "watcher", "other"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	cluster.ControlKey(int16(kmsg.SASLAuthenticate), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		resp := r.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		resp.ErrorCode = kerr.SaslAuthenticationFailed.Code
		resp.ErrorMessage = new("Authentication failed: Invalid username or password")
		return resp, nil, true
	})
	err = ask(t, Config{Brokers: cluster.ListenAddrs(), SASL: SASLConfig{Mechanism: "plain", Username: "watcher", Password: secretWord}})
	if !errors.Is(err, kerr.SaslAuthenticationFailed) || !strings.Contains(err.Error(), "Invalid username or password") || strings.Contains(err.Error(), secretWord) {
		t.Errorf("error %v", err)
	}
}

// shown returns the bytes that authenticate with the mechanism at a broker.
func shown(t *testing.T, c Config, mechanism string) chan []byte {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	got := make(chan []byte, 10)
	cluster.ControlKey(int16(kmsg.SASLHandshake), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		resp := r.ResponseKind().(*kmsg.SASLHandshakeResponse)
		resp.SupportedMechanisms = []string{mechanism}
		if asked := r.(*kmsg.SASLHandshakeRequest).Mechanism; asked != mechanism {
			resp.ErrorCode = kerr.UnsupportedSaslMechanism.Code
		}
		return resp, nil, true
	})
	cluster.ControlKey(int16(kmsg.SASLAuthenticate), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		got <- r.(*kmsg.SASLAuthenticateRequest).SASLAuthBytes
		resp := r.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		resp.SASLAuthBytes = []byte("{}")
		return resp, nil, true
	})
	c.Brokers = cluster.ListenAddrs()
	opts, err := c.SASL.options()
	if err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(c.Brokers...), kgo.RetryTimeout(time.Second))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_ = client.Ping(ctx) // only the bytes shown count
	return got
}

func TestOAuthBearer(t *testing.T) {
	file := write(t, "token", "header.payload.signature\n")
	got := string(<-shown(t, Config{SASL: SASLConfig{Mechanism: mechanismOAuth, TokenFile: file}}, "OAUTHBEARER"))
	if !strings.Contains(got, "auth=Bearer header.payload.signature\x01") {
		t.Errorf("shown %q", got)
	}
}

func TestAWSMSKIAM(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", secretWord)
	t.Setenv("AWS_SESSION_TOKEN", "session")
	t.Setenv("AWS_REGION", "eu-west-1")
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	got := string(<-shown(t, Config{SASL: SASLConfig{Mechanism: mechanismMSK}}, "AWS_MSK_IAM"))
	for _, want := range []string{`"x-amz-credential":"AKIAEXAMPLE/`, "/eu-west-1/kafka-cluster/aws4_request", `"x-amz-security-token":"session"`, `"action":"kafka-cluster:Connect"`} {
		if !strings.Contains(got, want) {
			t.Errorf("shown %s\nlacks %s", got, want)
		}
	}
	if strings.Contains(got, secretWord) {
		t.Error("the secret itself is shown")
	}
}

// certificate makes one that is its own authority, and writes it down.
func certificate(t *testing.T, host string) (cert tls.Certificate, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	cert, err = tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	return cert, write(t, "cert.pem", string(certPEM)), write(t, "key.pem", string(keyPEM))
}

func TestTLS(t *testing.T) {
	server, serverFile, _ := certificate(t, "broker.test")
	_, clientFile, clientKey := certificate(t, "client.test")
	_, otherFile, otherKey := certificate(t, "other.test")
	clients := x509.NewCertPool()
	pemBytes, err := os.ReadFile(clientFile)
	if err != nil {
		t.Fatal(err)
	}
	clients.AppendCertsFromPEM(pemBytes)
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.TLS(&tls.Config{
		Certificates: []tls.Certificate{server}, ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert,
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	for _, tt := range []struct {
		name string
		tls  TLSConfig
		ok   bool
	}{
		{"both sides", TLSConfig{true, secret.TLSConfig{CAFile: serverFile, CertFile: clientFile, KeyFile: clientKey, ServerName: "broker.test"}}, true},
		{"another authority", TLSConfig{true, secret.TLSConfig{CAFile: otherFile, CertFile: clientFile, KeyFile: clientKey, ServerName: "broker.test"}}, false},
		{"the system's authorities", TLSConfig{true, secret.TLSConfig{CAFile: "", CertFile: clientFile, KeyFile: clientKey, ServerName: "broker.test"}}, false},
		{"another host", TLSConfig{true, secret.TLSConfig{CAFile: serverFile, CertFile: clientFile, KeyFile: clientKey, ServerName: ""}}, false},
		{"no certificate of ours", TLSConfig{true, secret.TLSConfig{CAFile: serverFile, CertFile: "", KeyFile: "", ServerName: "broker.test"}}, false},
		{"a certificate that is not trusted", TLSConfig{true, secret.TLSConfig{CAFile: serverFile, CertFile: otherFile, KeyFile: otherKey, ServerName: "broker.test"}}, false},
		{"none", TLSConfig{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := ask(t, Config{Brokers: cluster.ListenAddrs(), TLS: tt.tls})
			if (err == nil) != tt.ok {
				t.Errorf("error %v", err)
			}
		})
	}
}

// A broker that takes the connection and says nothing does not hold us for ever.
func TestTLSSilentBroker(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := (TLSConfig{Enabled: true}).dial(ctx, "tcp", listener.Addr().String()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func TestValidate(t *testing.T) {
	password, empty, junk := write(t, "password", secretWord), write(t, "empty", "\n"), write(t, "junk", "not PEM")
	_, certFile, keyFile := certificate(t, "a")
	_, _, otherKey := certificate(t, "b")
	brokers := []string{"kafka:9092"}
	with := func(s SASLConfig) Config { return Config{Brokers: brokers, SASL: s} }
	withTLS := func(c TLSConfig) Config { return Config{Brokers: brokers, TLS: c} }
	for _, tt := range []struct {
		config Config
		want   []string // how each error begins
	}{
		{Config{Brokers: []string{"kafka:9092", "[::1]:9092"}}, nil},
		{Config{}, []string{"brokers: missing; want at least one host:port"}},
		{Config{Brokers: []string{"kafka", "ok:1", ":9092", "a:b", "a:0", "http://a:80"}}, []string{
			`brokers[0]: want host:port such as kafka-1.example.net:9092, got "kafka": missing port in address`,
			`brokers[2]: want host:port such as kafka-1.example.net:9092, got ":9092": missing host`,
			`brokers[3]: want host:port such as kafka-1.example.net:9092, got "a:b": port not from 1 to 65535`,
			`brokers[4]: want host:port`,
			`brokers[5]: want host:port such as kafka-1.example.net:9092, got "http://a:80": too many colons in address`,
		}},
		{with(SASLConfig{Mechanism: "PLAIN", Password: secretWord}), []string{`sasl.mechanism: unknown "PLAIN"; known are plain, scram-sha-256`}},
		{with(SASLConfig{Mechanism: "plain"}), []string{"sasl.username: missing", "sasl.password_file: missing; want the path of a file"}},
		{with(SASLConfig{Mechanism: "plain", Username: "u", Password: secretWord, PasswordFile: password}), []string{"sasl.password_file: set beside sasl.password"}},
		{with(SASLConfig{Mechanism: "plain", Username: "u", PasswordFile: "/does/not/exist"}), []string{"sasl.password_file: open /does/not/exist: no such file"}},
		{with(SASLConfig{Mechanism: "plain", Username: "u", PasswordFile: empty}), []string{"sasl.password_file: " + empty + " is empty"}},
		{with(SASLConfig{Mechanism: "scram-sha-512", Username: "u", PasswordFile: password}), nil},
		{with(SASLConfig{Mechanism: "oauthbearer", Password: secretWord}), []string{`sasl.password: has no effect with sasl.mechanism "oauthbearer"; it belongs to plain`, "sasl.token_file: missing"}},
		{with(SASLConfig{Password: secretWord}), []string{`sasl.password: has no effect with sasl.mechanism ""`}},
		{with(SASLConfig{Mechanism: "aws-msk-iam"}), []string{"tls.enabled: want true with sasl.mechanism aws-msk-iam"}},
		{withTLS(TLSConfig{TLSConfig: secret.TLSConfig{CAFile: "x"}}), []string{"tls.ca_file: has no effect without tls.enabled: true"}},
		{withTLS(TLSConfig{Enabled: true, TLSConfig: secret.TLSConfig{CertFile: certFile}}), []string{"tls.key_file: missing"}},
		{withTLS(TLSConfig{Enabled: true, TLSConfig: secret.TLSConfig{KeyFile: keyFile}}), []string{"tls.cert_file: missing"}},
		{withTLS(TLSConfig{Enabled: true, TLSConfig: secret.TLSConfig{CAFile: "/does/not/exist", CertFile: certFile, KeyFile: "/nor/this"}}), []string{
			"tls.ca_file: open /does/not/exist", "tls.key_file: open /nor/this"}},
		{withTLS(TLSConfig{Enabled: true, TLSConfig: secret.TLSConfig{CAFile: junk}}), []string{"tls.ca_file: no certificate in PEM in " + junk}},
		{withTLS(TLSConfig{Enabled: true, TLSConfig: secret.TLSConfig{CAFile: certFile, CertFile: certFile, KeyFile: otherKey}}), []string{"tls.cert_file: tls: private key does not match"}},
		{withTLS(TLSConfig{Enabled: true, TLSConfig: secret.TLSConfig{CAFile: certFile, CertFile: certFile, KeyFile: keyFile}}), nil},
	} {
		err := tt.config.Validate()
		var got []string
		if err != nil {
			got = strings.Split(err.Error(), "\n")
			if strings.Contains(err.Error(), secretWord) {
				t.Errorf("the secret is shown: %v", err)
			}
			if _, oerr := tt.config.Options(); oerr == nil {
				t.Errorf("%+v: options of a bad configuration", tt.config)
			}
		}
		if len(got) != len(tt.want) {
			t.Errorf("%+v:\n%v\nwant %q", tt.config, err, tt.want)
			continue
		}
		for i := range got {
			if !strings.HasPrefix(got[i], tt.want[i]) {
				t.Errorf("%s\nwant %s", got[i], tt.want[i])
			}
		}
	}
}
