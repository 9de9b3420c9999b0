package sms

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/mfawatch/mfawatch/processor/secret"
	"github.com/mfawatch/mfawatch/sinks/httpsend"
	"github.com/mfawatch/mfawatch/sinks/message"
)

// Config configures the provider of text messages, and their recipients. The token's file
// is read for each attempt, so that it may change under its name. How AWS is
// reached is not in it.
type Config struct {
	Provider string   `koanf:"provider"` // sns, aws-sms-voice-v2 or twilio
	To       []string `koanf:"to"`       // numbers in E.164: +15551234567
	// From is the sender of the messages: a number, or a sender ID of 1 to 11
	// letters and digits. aws-sms-voice-v2 takes the ID or ARN of a number, a pool
	// or a sender ID, too; twilio the SID of a messaging service (MG…). It needs
	// one; AWS picks one where none is given.
	From string `koanf:"from"`
	// Resolved says whether the end of an exposure is sent, too. Default true:
	// who was woken wants to know that it is over.
	Resolved  bool              `koanf:"resolved"`
	Templates message.Templates `koanf:"templates"` // text

	// Of twilio alone.
	AccountSID      string `koanf:"account_sid"`
	AuthToken       string `koanf:"auth_token"`
	AuthTokenFile   string `koanf:"auth_token_file"` // instead of auth_token
	APIKey          string `koanf:"api_key"`         // SID of an API key (SK…); the token is then its secret
	URL             string `koanf:"url"`             // default https://api.twilio.com
	httpsend.Config `koanf:",squash"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config { return Config{Resolved: true} }

// AWS reports whether the provider is one of AWS's.
func (c Config) AWS() bool { return c.Provider == providerSNS || c.Provider == providerVoice }

// Validate reports every mistake in c. The errors are joined, each of the form
// "field: problem"; none holds a secret. The files that c
// names must exist and be readable.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(c.To) == 0 || len(c.To) > maxTo {
		bad("to: want 1 to %d numbers such as +15551234567, got %d", maxTo, len(c.To))
	}
	for i, to := range c.To {
		switch {
		case !number().MatchString(to):
			bad("to[%d]: want a number with + and its country's code, such as +15551234567, got %.30q", i, to)
		case slices.Contains(c.To[:i], to):
			bad("to[%d]: %s is there twice", i, to)
		}
	}
	switch c.Provider {
	case providerSNS:
		if c.From != "" && !shortCode().MatchString(c.From) && (len(c.From) > 11 || !sender().MatchString(c.From)) {
			bad("from: want a number of yours, or a sender ID of at most 11 letters and digits, got %.60q", c.From)
		}
	case providerVoice:
		if c.From != "" && !voiceFrom().MatchString(c.From) {
			bad("from: want the number, ID or ARN of a number, pool or sender ID, got %.60q", c.From)
		}
	case providerTwilio:
		errs = append(errs, c.validateTwilio())
	case "":
		bad("provider: missing; want sns, aws-sms-voice-v2 or twilio")
	default:
		bad("provider: want sns, aws-sms-voice-v2 or twilio, got %.60q", c.Provider)
	}
	if c.AWS() {
		for _, f := range []struct {
			field string
			set   bool
		}{
			{"account_sid", c.AccountSID != ""}, {"auth_token", c.AuthToken != ""}, {"auth_token_file", c.AuthTokenFile != ""},
			{"api_key", c.APIKey != ""}, {"url", c.URL != ""},
		} {
			if f.set {
				bad("%s: has no effect with provider %s", f.field, c.Provider)
			}
		}
	}
	_, err := c.Templates.Parse(parts...)
	return errors.Join(append(errs, err, c.Config.Validate())...)
}

func (c Config) validateTwilio() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !sid().MatchString(c.AccountSID) || !strings.HasPrefix(c.AccountSID, "AC") {
		bad("account_sid: want the account's SID, AC and 32 hexadecimal digits")
	}
	if c.APIKey != "" && (!sid().MatchString(c.APIKey) || !strings.HasPrefix(c.APIKey, "SK")) {
		bad("api_key: want the SID of an API key, SK and 32 hexadecimal digits; its secret is auth_token_file")
	}
	switch {
	case c.AuthToken == "" && c.AuthTokenFile == "":
		bad("auth_token_file: missing; want the path of a file that holds the account's auth token, or the secret of api_key")
	default:
		_, err := c.token()
		errs = append(errs, err)
	}
	switch {
	case c.From == "":
		bad("from: missing; want a number of the account, a sender ID, or the SID of a messaging service (MG…)")
	case !shortCode().MatchString(c.From) && !(sid().MatchString(c.From) && strings.HasPrefix(c.From, "MG")) && (len(c.From) > 11 || !sender().MatchString(c.From)):
		bad("from: want a number of the account, a sender ID of at most 11 letters and digits, or the SID of a messaging service (MG…), got %.60q", c.From)
	}
	if u, err := url.Parse(c.URL); err != nil || c.URL != "" && (u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "") {
		bad("url: want an address such as %s", twilioURL)
	}
	return errors.Join(errs...)
}

// token is Twilio's secret as it is now.
func (c Config) token() (string, error) {
	return secret.Read("auth_token", c.AuthToken, c.AuthTokenFile)
}

// The values of Config.Provider.
const (
	providerSNS    = "sns"
	providerVoice  = "aws-sms-voice-v2"
	providerTwilio = "twilio"
)

const (
	maxTo           = 20
	twilioURL       = "https://api.twilio.com"
	validitySeconds = 3600 // seconds in which a message has to arrive: later it is old news
)

var (
	number    = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`) })
	sender    = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9 -]{0,10}[A-Za-z][A-Za-z0-9 -]{0,10}$`) })
	shortCode = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\+?[0-9]{3,15}$`) })
	voiceFrom = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_:/+-]{1,256}$`) })
	sid       = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Z]{2}[0-9a-fA-F]{32}$`) })
)
