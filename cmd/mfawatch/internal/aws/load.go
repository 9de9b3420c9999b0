package aws

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"
)

const (
	// idleConnections are kept to each host, so that concurrent requests reuse
	// them.
	idleConnections = 256
	// keysFor is how long keys of a file are used before it is read again.
	keysFor = 5 * time.Minute
	// renewBefore is how long before its end a role's session is renewed.
	renewBefore = 5 * time.Minute
	// silence is how long a server may send nothing before the connection is
	// closed. SQS's long poll is silent for 20 seconds.
	silence = 45 * time.Second
)

// Load returns the configuration of the SDK's clients. The region is c's, else that
// of the environment or the profile, else the given one; without any Load fails. It
// reads files and sends nothing: credentials are resolved at the first request,
// which fails if they are wrong. Requests have the SDK's three attempts, unless the
// environment sets another number. The SDK logs to log.
func (c Config) Load(ctx context.Context, region string, log *slog.Logger) (aws.Config, error) {
	if err := c.Validate(); err != nil {
		return aws.Config{}, err
	}
	options := []func(*awsconfig.LoadOptions) error{
		awsconfig.WithAppID("mfawatch"),
		awsconfig.WithLogger(logging.LoggerFunc(func(kind logging.Classification, format string, values ...any) {
			level := slog.LevelDebug
			if kind == logging.Warn {
				level = slog.LevelWarn
			}
			log.Log(context.Background(), level, "message of the AWS SDK", "text", fmt.Sprintf(format, values...))
		})),
		awsconfig.WithHTTPClient(awshttp.NewBuildableClient().WithReadTimeout(silence).WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConns, t.MaxIdleConnsPerHost = 0, idleConnections
		})),
	}
	if c.Region != "" {
		options = append(options, awsconfig.WithRegion(c.Region))
	}
	if c.Profile != "" {
		options = append(options, awsconfig.WithSharedConfigProfile(c.Profile))
	}
	if c.Endpoint != "" {
		options = append(options, awsconfig.WithBaseEndpoint(c.Endpoint))
	}
	if c.AccessKeyID != "" {
		options = append(options, awsconfig.WithCredentialsProvider(aws.CredentialsProviderFunc(c.keys)))
	}
	config, err := awsconfig.LoadDefaultConfig(ctx, options...)
	var unknown awsconfig.SharedConfigProfileNotExistError
	switch {
	case errors.As(err, &unknown):
		return aws.Config{}, fmt.Errorf("profile: the shared files of AWS, such as ~/.aws/config, have no profile %q", unknown.Profile)
	case err != nil:
		return aws.Config{}, fmt.Errorf("settings of AWS: %w", err)
	}
	config.HTTPClient = quiet{config.HTTPClient}
	if config.Region == "" {
		config.Region = region
	}
	if config.Region == "" {
		return aws.Config{}, errors.New("region: missing; want one such as us-east-1, here or in the environment as AWS_REGION")
	}
	if c.RoleARN != "" {
		config.Credentials = c.role(config)
	}
	return config, nil
}

// keys returns the keys of c, which expire when the file is to be read again.
func (c Config) keys(context.Context) (aws.Credentials, error) {
	secret, err := c.secretAccessKey()
	if err != nil {
		return aws.Credentials{}, err
	}
	return aws.Credentials{
		AccessKeyID:     c.AccessKeyID,
		SecretAccessKey: secret,
		SessionToken:    string(c.SessionToken),
		Source:          "mfawatch's configuration",
		CanExpire:       c.SecretAccessKeyFile != "",
		Expires:         time.Now().Add(keysFor),
	}, nil
}

// role returns credentials of c's role, assumed with those of config.
func (c Config) role(config aws.Config) aws.CredentialsProvider {
	role := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(config), c.RoleARN, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = "mfawatch"
		if c.ExternalID != "" {
			o.ExternalID = aws.String(c.ExternalID)
		}
	})
	return aws.NewCredentialsCache(role, func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = renewBefore })
}
