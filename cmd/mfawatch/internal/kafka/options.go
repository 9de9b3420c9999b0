package kafka

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/aws"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/mfawatch/mfawatch/processor/secret"
)

// dialTimeout bounds a connection attempt, TLS included.
const dialTimeout = 10 * time.Second

// metadataAge is the least time between two looks at who leads a partition. A
// client waits for it after a leader moved, and after a transaction that followed
// another one too closely.
const metadataAge = 100 * time.Millisecond

// Options returns the options of clients of the cluster. It calls no broker. Several
// clients may use the options.
func (c Config) Options() ([]kgo.Opt, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	clientID := c.ClientID
	if clientID == "" {
		clientID = "mfawatch"
	}
	opts := []kgo.Opt{kgo.SeedBrokers(c.Brokers...), kgo.ClientID(clientID), kgo.MetadataMinAge(metadataAge)}
	if c.TLS.Enabled {
		opts = append(opts, kgo.Dialer(c.TLS.dial))
	} else {
		opts = append(opts, kgo.DialTimeout(dialTimeout))
	}
	who, err := c.SASL.options()
	if err != nil {
		return nil, err
	}
	return append(opts, who...), nil
}

// dial connects with the certificates as they are on disk now.
func (c TLSConfig) dial(ctx context.Context, network, address string) (net.Conn, error) {
	config, err := c.Build()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	return (&tls.Dialer{Config: config}).DialContext(ctx, network, address)
}

func (c SASLConfig) options() ([]kgo.Opt, error) {
	if c.Mechanism == "" {
		return nil, nil
	}
	m, err := c.mechanism()
	if err != nil {
		return nil, err
	}
	return []kgo.Opt{kgo.SASL(m)}, nil
}

func (c SASLConfig) mechanism() (sasl.Mechanism, error) {
	password := func() (string, error) { return secret.Read("sasl.password", c.Password, c.PasswordFile) }
	scramAuth := func(context.Context) (scram.Auth, error) {
		pass, err := password()
		return scram.Auth{User: c.Username, Pass: pass}, err
	}
	switch c.Mechanism {
	case mechanismPlain:
		return plain.Plain(func(context.Context) (plain.Auth, error) {
			pass, err := password()
			return plain.Auth{User: c.Username, Pass: pass}, err
		}), nil
	case mechanismSCRAM256:
		return scram.Sha256(scramAuth), nil
	case mechanismSCRAM512:
		return scram.Sha512(scramAuth), nil
	case mechanismOAuth:
		return oauth.Oauth(func(context.Context) (oauth.Auth, error) {
			t, err := secret.Read("sasl.token", c.Token, c.TokenFile)
			return oauth.Auth{Token: t}, err
		}), nil
	case mechanismMSK:
		return msk()
	}
	return nil, fmt.Errorf("sasl.mechanism: unknown %q", c.Mechanism)
}

// msk signs with the credentials that AWS's own tools would find: environment,
// shared files, a role of the container or the machine. They are resolved at the
// first connection, and cached until they expire. The region is that of the
// broker's name, else AWS_REGION.
func msk() (sasl.Mechanism, error) {
	config, err := awsconfig.LoadDefaultConfig(context.Background())
	if err != nil {
		return nil, fmt.Errorf("sasl.mechanism: aws-msk-iam: %w", err)
	}
	return aws.ManagedStreamingIAM(func(ctx context.Context) (aws.Auth, error) {
		credentials, err := config.Credentials.Retrieve(ctx)
		if err != nil {
			return aws.Auth{}, fmt.Errorf("no AWS credentials for aws-msk-iam: give the machine a role, or set AWS_PROFILE: %w", err)
		}
		return aws.Auth{
			AccessKey:    credentials.AccessKeyID,
			SecretKey:    credentials.SecretAccessKey,
			SessionToken: credentials.SessionToken,
			UserAgent:    "mfawatch",
		}, nil
	}), nil
}
