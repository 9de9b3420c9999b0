package slack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/secret"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/httpsend"
	"github.com/mfawatch/mfawatch/sinks/message"
)

// A Config says which channel of Slack is told: through an app, with its
// token, or through an incoming webhook, which can neither edit nor answer in a
// thread. Files that hold a secret are read for each attempt.
type Config struct {
	Token           string            `koanf:"token"`      // of the app's bot: xoxb-…
	TokenFile       string            `koanf:"token_file"` // in the place of token
	Channel         string            `koanf:"channel"`    // its ID, such as C0123456789, or its name
	APIURL          string            `koanf:"api_url"`    // default https://slack.com/api/
	URL             secret.URL        `koanf:"url"`        // of an incoming webhook, in the place of token and channel
	URLFile         string            `koanf:"url_file"`   // in the place of url
	Templates       message.Templates `koanf:"templates"`  // title and text
	httpsend.Config `koanf:",squash"`
}

// DefaultConfig is what holds where nothing else is said.
func DefaultConfig() Config {
	return Config{APIURL: api, Config: httpsend.DefaultConfig()}
}

const api = "https://slack.com/api/"

// MaxGroup is how many alerts one message of Slack can list.
const MaxGroup = 100

// Validate tells every mistake in c. The errors are joined, each of the form
// "field: problem"; none holds a secret. Files that are named have to be there
// and readable.
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
	token, err := secret.Read("token", c.Token, c.TokenFile)
	switch {
	case err != nil:
		return "", err
	case token == "":
		return "", errors.New("token: missing; want the bot token of an app (xoxb-…), or token_file, or the url of an incoming webhook")
	case !strings.HasPrefix(token, "xox") || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return "", errors.New("token: want the bot token of an app, which begins with xoxb- (OAuth & Permissions, Bot User OAuth Token)")
	}
	return token, nil
}

// address is the webhook's as it is now.
func (c Config) address() (string, error) { return secret.Address(c.URL, c.URLFile) }

// channelName is the ID or the name of a channel; names have no capitals, but
// may have letters of any script.
var channelName = regexp.MustCompile(`^(?:[CGDU][A-Z0-9]{6,20}|#?[^\s\p{Lu}#@<>&,]{1,80})$`)

func channelProblem(field, channel string) error {
	switch {
	case channel == "":
		return fmt.Errorf("%s: missing; want the ID of a channel, such as C0123456789 (at the end of its details), or its name", field)
	case !channelName.MatchString(channel):
		return fmt.Errorf("%s: want the ID of a channel, such as C0123456789 (at the end of its details), or its name, got %.90q", field, channel)
	}
	return nil
}

// A Sink keeps a message for each exposure: edited as things go on, with each
// step answered in its thread.
type Sink struct {
	config     Config
	recipients []string // channels in the place of the configuration's; nil: that
	words      message.Wording
	texts      message.Texts
	http       *httpsend.Client
	listed     *listedIn
}

var (
	_ sinks.Sink        = (*Sink)(nil)
	_ sinks.GroupSender = (*Sink)(nil)
)

// New returns a sink that says what it has to say in the words of w. It
// asks nobody on the network. The caller closes it.
func New(c Config, w message.Wording) (*Sink, error) {
	c.APIURL = strings.TrimRight(cmp.Or(c.APIURL, api), "/") + "/"
	if err := c.Validate(); err != nil {
		return nil, err
	}
	texts, err := c.Templates.Parse("title", "text")
	if err != nil {
		return nil, err
	}
	p, err := httpsend.New(c.Config)
	if err != nil {
		return nil, err
	}
	return &Sink{config: c, words: w, texts: texts, http: p, listed: &listedIn{told: map[[2]string]bool{}}}, nil
}

// Close closes the connections that nobody uses.
func (s *Sink) Close() error { return s.http.Close() }

// To is the sink for other channels. It is closed with s, and by itself need not
// be.
func (s *Sink) To(recipients []string) (sinks.Sink, error) {
	if s.config.hooked() {
		return nil, errors.New("recipients: an incoming webhook posts to the channel that it was made for; want token and channel in its place")
	}
	if len(recipients) == 0 {
		return nil, errors.New("recipients: missing; want channels of Slack")
	}
	for i, channel := range recipients {
		if err := channelProblem(fmt.Sprintf("recipients[%d]", i), channel); err != nil {
			return nil, err
		}
	}
	other := *s
	other.recipients = recipients
	return &other, nil
}

// channels are those that are told.
func (s *Sink) channels() []string {
	if s.recipients != nil {
		return s.recipients
	}
	return []string{s.config.Channel}
}

// Send posts a message about the exposure or, where there is one, edits it to
// how things stand and answers in its thread; what escalates is shown in the
// channel, too. Where the answer to an attempt may have been lost, the channel is
// looked through for the message first if the app is allowed to, and else the
// message says that it may be there twice. The ref holds where the messages
// are, what they told of the beginning, and what each channel was told last;
// beside an error it is how far the channels got: one that cannot be told keeps
// it from no other.
func (s *Sink) Send(ctx context.Context, a *processor.Alert, ref string) (newRef string, err error) {
	if s.config.hooked() {
		return s.hook(ctx, a, ref)
	}
	c, err := s.client()
	if err != nil {
		return ref, sinks.Misconfigured(err)
	}
	places := places(ref)
	var failed []error
	told := false
	for _, channel := range s.channels() {
		if s.listed.has(channel, a) {
			told = true
			continue
		}
		place := places[channel]
		err := s.tell(ctx, c, channel, a, &place)
		if place.TS != "" {
			places[channel] = place
		}
		told = told || err == nil
		if err != nil {
			failed = append(failed, err)
		}
		if v, _ := sinks.VerdictOf(err); v == sinks.VerdictThrottled {
			break // the app is, whatever the channel
		}
	}
	return places.ref(), sinks.Worst(failed, told)
}

// Receipt names the messages.
func (s *Sink) Receipt(ref string) string {
	if s.config.hooked() {
		return "posted; through a webhook nothing can be edited or answered in its thread"
	}
	var said []string
	places := places(ref)
	for _, channel := range s.channels() {
		if place, ok := places[channel]; ok {
			said = append(said, "message "+place.TS+" in channel "+place.Channel)
		}
	}
	return strings.Join(said, ", ")
}
