// Package aws configures access to AWS: region, credentials and endpoint, the same
// for the source that reads a queue and a bucket and for the sinks that use a
// service of AWS.
package aws

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"sync"

	"github.com/mfawatch/mfawatch/processor/secret"
)

// A Config configures access to AWS. Every field is optional: empty ones are read
// from where AWS's own tools read them, which are the environment
// (AWS_REGION, AWS_PROFILE, AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL_SQS, AWS_CA_BUNDLE,
// AWS_MAX_ATTEMPTS, …), the shared files in ~/.aws, and the role of the pod, the
// container or the machine.
type Config struct {
	Region  string `koanf:"region"`
	Profile string `koanf:"profile"` // of the shared files
	// Endpoint replaces AWS's own for every service, such as an emulator's. A VPC
	// endpoint with private DNS needs none.
	Endpoint string `koanf:"endpoint"`

	// Keys of a user; the places above are better. The file is read again every few
	// minutes, so that a key may be rotated in place.
	AccessKeyID         string `koanf:"access_key_id"`
	SecretAccessKey     Secret `koanf:"secret_access_key"`
	SecretAccessKeyFile string `koanf:"secret_access_key_file"` // instead of secret_access_key
	SessionToken        Secret `koanf:"session_token"`          // with temporary keys

	RoleARN    string `koanf:"role_arn"`    // assumed with the credentials found, and again before it expires
	ExternalID string `koanf:"external_id"` // required by the role's trust policy
}

// A Secret is hidden wherever it is printed.
type Secret string

// MarshalText hides the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String hides the secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "(hidden)"
}

// GoString hides the secret.
func (s Secret) GoString() string { return s.String() }

var (
	regionName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`) })
	zoneName   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^([a-z]+(-[a-z]+)+-[0-9]+)[a-z]$`) })
	roleARN    = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$`) })
	externalID = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[\w+=,.@:/-]{2,}$`) })
)

// Validate returns every mistake that can be found without calling AWS: joined
// errors, each "field: problem", none with a secret in it. Named files must be
// readable.
func (c Config) Validate() error {
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", field, fmt.Sprintf(format, args...)))
	}
	if zone := zoneName().FindStringSubmatch(c.Region); zone != nil {
		bad("region", "want a region such as %s, got the availability zone %q", zone[1], c.Region)
	} else if c.Region != "" && !regionName().MatchString(c.Region) {
		bad("region", "want a region such as us-east-1, got %q", c.Region)
	}
	if c.Endpoint != "" {
		if problem := endpointProblem(c.Endpoint); problem != "" {
			bad("endpoint", "want a URL such as http://127.0.0.1:5000, got one %s", problem)
		}
	}
	errs = append(errs, c.validateKeys(bad))
	switch {
	case c.RoleARN != "" && !roleARN().MatchString(c.RoleARN):
		bad("role_arn", "want the ARN of a role such as arn:aws:iam::111122223333:role/mfawatch, got %q", c.RoleARN)
	case c.ExternalID != "" && c.RoleARN == "":
		bad("external_id", "has no effect without role_arn")
	case c.ExternalID != "" && !externalID().MatchString(c.ExternalID) || len(c.ExternalID) > 1224:
		bad("external_id", "want 2 to 1224 letters, digits and any of _+=,.@:/-, got %q", c.ExternalID)
	}
	return errors.Join(errs...)
}

// endpointProblem returns what is wrong with an endpoint. It does not repeat it,
// since it may hold a password.
func endpointProblem(endpoint string) string {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil:
		return "that cannot be read"
	case u.Scheme != "http" && u.Scheme != "https":
		return "that does not begin with https:// or http://"
	case u.Hostname() == "":
		return "without a host"
	case u.User != nil:
		return "with a user in it"
	case u.RawQuery != "" || u.Fragment != "":
		return "with more than a path behind the host"
	}
	return ""
}

func (c Config) validateKeys(bad func(field, format string, args ...any)) error {
	switch {
	case c.AccessKeyID == "":
		for _, f := range []struct {
			name string
			set  bool
		}{
			{"secret_access_key", c.SecretAccessKey != ""},
			{"secret_access_key_file", c.SecretAccessKeyFile != ""},
			{"session_token", c.SessionToken != ""},
		} {
			if f.set {
				bad(f.name, "has no effect without access_key_id")
			}
		}
	case c.SecretAccessKey == "" && c.SecretAccessKeyFile == "":
		bad("secret_access_key_file", "missing; want the path of a file that holds the secret of access_key_id")
	default:
		_, err := c.secretAccessKey()
		return err
	}
	return nil
}

// secretAccessKey returns the secret as it is now.
func (c Config) secretAccessKey() (string, error) {
	return secret.Read("secret_access_key", string(c.SecretAccessKey), c.SecretAccessKeyFile)
}
