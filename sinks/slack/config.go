package slack

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mfawatch/mfawatch/processor/secret"
	"github.com/mfawatch/mfawatch/sinks/httpsend"
	"github.com/mfawatch/mfawatch/sinks/message"
)

// A Config says which channel of Slack is notified: through an app, with its
// token, or through an incoming webhook, which can neither edit nor answer in a
// thread. Files that hold a secret are read for each attempt.
type Config struct {
	Token           string            `koanf:"token"`      // of the app's bot: xoxb-…
	TokenFile       string            `koanf:"token_file"` // instead of token
	Channel         string            `koanf:"channel"`    // its ID, such as C0123456789, or its name
	APIURL          string            `koanf:"api_url"`    // default https://slack.com/api/
	URL             secret.URL        `koanf:"url"`        // of an incoming webhook, instead of token and channel
	URLFile         string            `koanf:"url_file"`   // instead of url
	Templates       message.Templates `koanf:"templates"`  // title and text
	httpsend.Config `koanf:",squash"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{APIURL: api}
}

// MaxGroup is how many alerts one message of Slack can list.
const MaxGroup = 100

// Validate reports every mistake in c. The errors are joined, each of the form
// "field: problem"; none holds a secret. The files that c
// names must exist and be readable.
func (c Config) Validate() error {
	errs := []error{c.Config.Validate()}
	bad := func(text string) { errs = append(errs, errors.New(text)) }
	switch {
	case c.hooked() && (c.Token != "" || c.TokenFile != ""):
		bad("url: set beside token; want the token and the channel of an app, or the URL of an incoming webhook")
	case c.hooked():
		if c.Channel != "" {
			bad("channel: an incoming webhook posts to the channel that it was made for; leave it out")
		}
		_, err := c.address()
		errs = append(errs, err)
	default:
		_, err := c.token()
		errs = append(errs, err, channelProblem("channel", c.Channel))
	}
	if u, err := url.Parse(c.APIURL); c.APIURL != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.RawQuery != "") {
		bad("api_url: want " + api + ", or https://slack-gov.com/api/")
	}
	_, err := c.Templates.Parse("title", "text")
	return errors.Join(append(errs, err)...)
}

// hooked reports whether it is an incoming webhook that is posted to.
func (c Config) hooked() bool { return c.URL != "" || c.URLFile != "" }

// token is the app's as it is now.
func (c Config) token() (string, error) {
	given := secret.Text{Field: "token", Text: c.Token, File: c.TokenFile}
	token, err := secret.Read(given.Field, given.Text, given.File)
	switch {
	case err != nil:
		return "", err
	case token == "":
		return "", errors.New("token: missing; want the bot token of an app (xoxb-…), or token_file, or the url of an incoming webhook")
	case !strings.HasPrefix(token, "xox") || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return "", fmt.Errorf("%s: want the bot token of an app, which begins with xoxb- (OAuth & Permissions, Bot User OAuth Token)", given.Key())
	}
	return token, nil
}

// address is the webhook's as it is now.
func (c Config) address() (string, error) { return secret.Address(c.URL, c.URLFile) }

// isChannel reports whether s may be the ID or the name of a channel. A name has
// no capital letters; letters of every script are allowed.
func isChannel(s string) bool {
	if len(s) >= 7 && len(s) <= 21 && strings.ContainsRune("CGDU", rune(s[0])) && strings.Trim(s[1:], "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == "" {
		return true
	}
	name := strings.TrimPrefix(s, "#")
	n := utf8.RuneCountInString(name)
	return n >= 1 && n <= 80 && !strings.ContainsAny(name, "#@<>&, \t\r\n\f") && !strings.ContainsFunc(name, unicode.IsUpper)
}

func channelProblem(field, channel string) error {
	switch {
	case channel == "":
		return fmt.Errorf("%s: missing; want the ID of a channel, such as C0123456789 (at the end of its details), or its name", field)
	case !isChannel(channel):
		return fmt.Errorf("%s: want the ID of a channel, such as C0123456789 (at the end of its details), or its name, got %.90q", field, channel)
	}
	return nil
}

const api = "https://slack.com/api/"
