package httpin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/sources/sourcetest"
)

// A testCA is an authority that exists for a test.
type testCA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newTestCA(t *testing.T) *testCA {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "test authority " + time.Now().String()},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return &testCA{c, key}
}

// issue makes a certificate for names or addresses.
func (ca *testCA) issue(t *testing.T, public any, names ...string) []byte {
	t.Helper()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: names[0]},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, ca.cert, public, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func inPEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// files writes a certificate and its key.
func (ca *testCA) files(t *testing.T, dir string, names ...string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, names[0]+".pem"), filepath.Join(dir, names[0]+".key")
	for path, text := range map[string][]byte{
		cert: inPEM("CERTIFICATE", ca.issue(t, &private.PublicKey, names...)),
		key:  inPEM("EC PRIVATE KEY", secret),
	} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func (ca *testCA) file(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(path, inPEM("CERTIFICATE", ca.cert.Raw), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (ca *testCA) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	return pool
}

func TestMutualTLS(t *testing.T) {
	dir := t.TempDir()
	ca, stranger := newTestCA(t), newTestCA(t)
	cert, key := ca.files(t, dir, "127.0.0.1")
	x := sourcetest.NewInbox()
	_, at := openDoor(t, Config{TLS: TLS{cert, key, ca.file(t, dir)}}, x.Handle)
	ours := func(from *testCA, name string) []tls.Certificate {
		pair, err := tls.LoadX509KeyPair(from.files(t, dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return []tls.Certificate{pair}
	}
	try := func(certs []tls.Certificate) (string, error) {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.pool(), Certificates: certs}, ForceAttemptHTTP2: true, DisableKeepAlives: true}
		defer transport.CloseIdleConnections()
		answer, err := (&http.Client{Transport: transport}).Post("https://"+at, "", strings.NewReader("{}"))
		if err != nil {
			return "", err
		}
		return answer.Proto + " " + answer.Status, answer.Body.Close()
	}
	if got, err := try(ours(ca, "shipper")); err != nil || got != "HTTP/2.0 200 OK" {
		t.Errorf("with a certificate: %s, %v", got, err)
	}
	if got, err := try(nil); err == nil {
		t.Errorf("without one: %s", got)
	}
	if got, err := try(ours(stranger, "stranger")); err == nil {
		t.Errorf("with a stranger's: %s", got)
	}
	if len(x.All()) != 1 {
		t.Errorf("%d taken", len(x.All()))
	}
	// The certificate is renewed under its name.
	ca.files(t, dir, "127.0.0.1", "renewed.example")
	conn, err := tls.Dial("tcp", at, &tls.Config{RootCAs: ca.pool(), ServerName: "renewed.example", Certificates: ours(ca, "shipper")})
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}
