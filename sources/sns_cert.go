package sources

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

const (
	maxCertificates = 16 // that are remembered; one is in use per region
	certificateTime = 24 * time.Hour
	answerBytes     = 64 << 10 // of what AWS is asked for
	maxIssuers      = 3        // between a certificate and a root
)

// snsHost is a host of SNS, with its region.
var snsHost = regexp.MustCompile(`^sns\.([a-z0-9-]{3,32})\.amazonaws\.com(\.cn)?$`)

// certificatePath is where SNS has its signing certificates.
var certificatePath = regexp.MustCompile(`^/SimpleNotificationService-[A-Za-z0-9_-]{1,128}\.pem$`)

// snsURL reads a URL that a message names, if it can lead nowhere else than to
// SNS.
func snsURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.User != nil || u.Port() != "" || u.Fragment != "" || !snsHost.MatchString(u.Host) {
		return nil, fmt.Errorf("%w: not a URL of SNS", errSNSProof)
	}
	return u, nil
}

// An snsProver proves messages, and confirms subscriptions. It asks nobody but
// SNS, and the authorities that SNS's certificates name.
type snsProver struct {
	client *http.Client
	asking *rate.Limiter // bounds what strangers can make us ask for

	// Set otherwise by tests.
	roots *x509.CertPool // nil: the system's

	fetching sync.Mutex // one certificate at a time
	mu       sync.Mutex // guards known
	known    map[string]knownCertificate
}

type knownCertificate struct {
	cert *x509.Certificate
	at   time.Time
}

func newSNSProver() *snsProver {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxResponseHeaderBytes = 64 << 10
	return &snsProver{
		client: &http.Client{
			Timeout:       10 * time.Second,
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		asking: rate.NewLimiter(1, 10),
		known:  make(map[string]knownCertificate),
	}
}

// rest lets go of connections that are idle.
func (p *snsProver) rest() { p.client.CloseIdleConnections() }

// prove checks that SNS has signed m.
func (p *snsProver) prove(ctx context.Context, m *snsMessage) error {
	u, err := snsURL(m.SigningCertURL)
	if err != nil || !certificatePath.MatchString(u.Path) || u.RawQuery != "" {
		return fmt.Errorf("%w: SigningCertURL is not one of SNS's", errSNSProof)
	}
	cert, err := p.certificate(ctx, u)
	if err != nil {
		return err
	}
	return m.verify(cert)
}

// confirm confirms the subscription that a proven message asks about.
func (p *snsProver) confirm(ctx context.Context, m *snsMessage) error {
	u, err := m.subscription()
	if err != nil {
		return err
	}
	if _, err := p.get(ctx, u.String()); err != nil {
		return fmt.Errorf("confirm the subscription: %w", err)
	}
	return nil
}

// certificate is the proven certificate at a URL of SNS.
func (p *snsProver) certificate(ctx context.Context, u *url.URL) (*x509.Certificate, error) {
	if cert := p.recall(u); cert != nil {
		return cert, nil
	}
	p.fetching.Lock()
	defer p.fetching.Unlock()
	if cert := p.recall(u); cert != nil {
		return cert, nil
	}
	text, err := p.get(ctx, u.String())
	if err != nil {
		return nil, fmt.Errorf("signing certificate: %w", err)
	}
	chain, err := certificates(text)
	if err != nil {
		return nil, fmt.Errorf("%w: signing certificate: %w", errSNSProof, err)
	}
	if err := p.check(ctx, u, chain); err != nil {
		return nil, fmt.Errorf("signing certificate: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.known) >= maxCertificates {
		oldest := ""
		for other, k := range p.known {
			if oldest == "" || k.at.Before(p.known[oldest].at) {
				oldest = other
			}
		}
		delete(p.known, oldest)
	}
	p.known[u.String()] = knownCertificate{chain[0], time.Now()}
	return chain[0], nil
}

// recall is a certificate that was proven not long ago and is good still.
func (p *snsProver) recall(u *url.URL) *x509.Certificate {
	p.mu.Lock()
	defer p.mu.Unlock()
	k, ok := p.known[u.String()]
	if !ok || time.Since(k.at) > certificateTime || time.Now().After(k.cert.NotAfter) {
		return nil
	}
	return k.cert
}

// check proves that a certificate is SNS's: that it has one of its names, and
// that an authority which the system trusts vouches for it. What is in between is
// not in SNS's file, but at the place that each certificate names.
func (p *snsProver) check(ctx context.Context, u *url.URL, chain []*x509.Certificate) error {
	leaf := chain[0]
	if !hasName(leaf, snsNames(u.Host)) {
		return fmt.Errorf("%w: it is not SNS's", errSNSProof)
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	last := chain[len(chain)-1]
	for range maxIssuers {
		_, err := leaf.Verify(x509.VerifyOptions{Roots: p.roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		if err == nil {
			return nil
		}
		if unknown := (x509.UnknownAuthorityError{}); !errors.As(err, &unknown) || len(last.IssuingCertificateURL) == 0 {
			return fmt.Errorf("%w: %w", errSNSProof, err)
		}
		text, err := p.get(ctx, last.IssuingCertificateURL[0])
		if err != nil {
			return fmt.Errorf("its issuer: %w", err)
		}
		issuers, err := certificates(text)
		if err != nil {
			return fmt.Errorf("%w: its issuer: %w", errSNSProof, err)
		}
		last = issuers[0]
		between.AddCert(last)
	}
	return fmt.Errorf("%w: no authority known here vouches for it", errSNSProof)
}

// snsNames are those of SNS's signing certificates. They differ by region.
// (aws-sdk-java-v2, sns-message-manager: SnsHostProvider)
func snsNames(host string) []string {
	m := snsHost.FindStringSubmatch(host)
	region, domain := m[1], ".amazonaws.com"+m[2]
	names := []string{host, "sns" + domain, "sns-signing." + region + domain, "sns-" + region + domain}
	if strings.HasPrefix(region, "us-gov-") {
		names = append(names, "sns-us-gov-west-1"+domain)
	}
	return names
}

func hasName(cert *x509.Certificate, names []string) bool {
	for _, name := range names {
		if cert.VerifyHostname(name) == nil {
			return true
		}
	}
	return false
}

// certificates reads a file of certificates, in PEM or one in DER. There is at
// least one.
func certificates(text []byte) (all []*x509.Certificate, err error) {
	rest := text
	for len(all) < 8 {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		all = append(all, cert)
	}
	if len(all) > 0 {
		return all, nil
	}
	cert, err := x509.ParseCertificate(text)
	if err != nil {
		return nil, errors.New("no certificate there")
	}
	return []*x509.Certificate{cert}, nil
}

// get asks for a URL. That it does not get an answer says nothing about the
// message.
func (p *snsProver) get(ctx context.Context, at string) ([]byte, error) {
	if !p.asking.Allow() {
		return nil, fmt.Errorf("%w: AWS is asked too often", errSNSLater)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", errSNSProof, exposure.Clean(err.Error(), 200))
	}
	answer, err := p.client.Do(r)
	if err != nil {
		var wrong *url.Error
		if errors.As(err, &wrong) {
			err = wrong.Err // without the URL, which holds the token of a subscription
		}
		return nil, fmt.Errorf("%w: ask %s: %w", errSNSLater, r.URL.Host, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, answerBytes))
	if err != nil {
		return nil, fmt.Errorf("%w: ask %s: %w", errSNSLater, r.URL.Host, err)
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: %s answered %s", errSNSLater, r.URL.Host, answer.Status)
	}
	return body, nil
}
