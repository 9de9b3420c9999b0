package zendesk

import (
	"errors"
	"fmt"
	"maps"
	"net/mail"
	"slices"
	"strconv"
	"strings"

	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/processor/secret"
	"github.com/mfawatch/mfawatch/sinks/httpsend"
	"github.com/mfawatch/mfawatch/sinks/message"
	"github.com/mfawatch/mfawatch/sinks/ticket"
)

// A Config says at which help desk an exposure becomes a ticket. With
// email, the token is an API token of that agent, else it is an OAuth access
// token; a file is read for each attempt.
type Config struct {
	URL       string `koanf:"url"` // of the help desk: https://acme.zendesk.com
	Email     string `koanf:"email"`
	Token     string `koanf:"token"`
	TokenFile string `koanf:"token_file"`

	GroupID  int64             `koanf:"group_id"`
	Tags     []string          `koanf:"tags"`     // default mfawatch
	Fields   map[string]string `koanf:"fields"`   // values of custom fields by their ID, set when a ticket is made
	Priority map[string]string `koanf:"priority"` // by severity; default urgent for critical, high for high, normal for medium, low else
	// Templates write subject and comment.
	Templates       message.Templates `koanf:"templates"`
	httpsend.Config `koanf:",squash"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{Tags: []string{"mfawatch"}}
}

// Validate reports every mistake in c. The errors are joined, each of the form
// "field: problem"; none holds a secret.
func (c Config) Validate() error {
	errs := []error{c.Config.Validate()}
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if problem := ticket.SiteProblem(c.URL, "https://acme.zendesk.com"); problem != "" {
		bad("url: %s", problem)
	}
	_, err := c.header()
	errs = append(errs, err)
	if c.GroupID < 0 {
		bad("group_id: want the number at the end of its page's address, got %d", c.GroupID)
	}
	for i, tag := range c.Tags {
		if tag == "" || strings.ContainsFunc(tag, func(r rune) bool { return r <= ' ' || r == ',' || r == '"' }) {
			bad("tags[%d]: want a word without spaces, commas and quotes, got %.40q", i, tag)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.Fields)) {
		if _, err := strconv.ParseInt(id, 10, 64); err != nil {
			bad("fields.%s: want the number of a custom field, in quotes", safetext.Clean(id, 40))
		}
	}
	errs = append(errs, ticket.ChoiceMistakes("priority", c.Priority, priorities...))
	_, err = c.Templates.Parse("subject", "comment")
	return errors.Join(append(errs, err)...)
}

// isAddress reports whether s is a mail address and nothing besides.
func isAddress(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s
}

// header returns the credentials, and reads their files.
func (c Config) header() (httpsend.Credentials, error) {
	token := secret.Text{Field: "token", Text: c.Token, File: c.TokenFile}
	switch {
	case !token.Given():
		return httpsend.Credentials{}, errors.New("token_file: missing; want the API token of the agent in email, or without email an OAuth token, or token")
	case c.Email == "":
		return httpsend.BearerCredentials(token)
	case !isAddress(c.Email):
		return httpsend.Credentials{}, fmt.Errorf("email: want the address of the agent that the token belongs to, got %.80q", c.Email)
	}
	return httpsend.BasicCredentials(c.Email+"/token", token)
}
