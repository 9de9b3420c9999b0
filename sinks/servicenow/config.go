package servicenow

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/mfawatch/mfawatch/processor/secret"
	"github.com/mfawatch/mfawatch/sinks/httpsend"
	"github.com/mfawatch/mfawatch/sinks/message"
	"github.com/mfawatch/mfawatch/sinks/ticket"
)

// A Config says on which instance an exposure becomes an incident, or
// an event of Event Management. Credentials are one of user name and password,
// an OAuth token, and a REST API key; files are read for each attempt.
type Config struct {
	URL          string `koanf:"url"`  // of the instance: https://acme.service-now.com
	Mode         string `koanf:"mode"` // incident (default) or events
	Username     string `koanf:"username"`
	Password     string `koanf:"password"`
	PasswordFile string `koanf:"password_file"`
	Token        string `koanf:"token"` // OAuth bearer
	TokenFile    string `koanf:"token_file"`
	APIKey       string `koanf:"api_key"` // sent as x-sn-apikey
	APIKeyFile   string `koanf:"api_key_file"`

	// The keys below apply to mode incident alone.
	AssignmentGroup string            `koanf:"assignment_group"` // sys_id
	Fields          map[string]string `koanf:"fields"`           // set besides ours when the incident is opened
	Urgency         map[string]string `koanf:"urgency"`          // by severity; default 1 for critical and high, 2 for medium and low, 3 for info
	Impact          map[string]string `koanf:"impact"`           // by severity; default 1 for critical, 2 for high and medium, 3 for low and info
	ResolvedState   string            `koanf:"resolved_state"`   // default 6
	CloseCode       string            `koanf:"close_code"`       // default Closed by monitoring
	// Templates write short_description, description, note and close_notes; of
	// mode events: description.
	Templates       message.Templates `koanf:"templates"`
	httpsend.Config `koanf:",squash"`
}

// DefaultConfig returns the defaults. The states are those of the base system.
func DefaultConfig() Config {
	return Config{
		Mode: modeIncident, ResolvedState: "6", CloseCode: "Closed by monitoring",
	}
}

// parts lists the parts that templates can write.
var parts = []string{"short_description", "description", "note", "close_notes"}

// ownFields are the fields that a configuration may not set: other keys set them, or
// mfawatch does.
var ownFields = []string{
	"assignment_group", "close_code", "close_notes", "correlation_id", "description", "impact", "number", "short_description", "state", "sys_id", "urgency", "work_notes",
}

// Validate reports every mistake in c. The errors are joined, each of the form
// "field: problem"; none holds a secret.
func (c Config) Validate() error {
	errs := []error{c.Config.Validate()}
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if problem := ticket.SiteProblem(c.URL, "https://acme.service-now.com"); problem != "" {
		bad("url: %s", problem)
	}
	_, err := c.header()
	errs = append(errs, err)
	known := parts
	switch c.Mode {
	case "", modeIncident:
	case modeEvents:
		known = []string{"description"}
		unset := DefaultConfig()
		if c.AssignmentGroup != "" || len(c.Fields)+len(c.Urgency)+len(c.Impact) > 0 ||
			cmp.Or(c.ResolvedState, unset.ResolvedState) != unset.ResolvedState || cmp.Or(c.CloseCode, unset.CloseCode) != unset.CloseCode {
			bad("mode: events have no assignment_group, fields, urgency, impact, resolved_state or close_code; remove them, or use mode incident")
		}
	default:
		bad("mode: unknown %.40q; known are incident, events", c.Mode)
	}
	if c.AssignmentGroup != "" && !sysIDText().MatchString(c.AssignmentGroup) {
		bad("assignment_group: want the group's sys_id, 32 hexadecimal digits (in the list of groups: right-click, Copy sys_id), got %.60q", c.AssignmentGroup)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Fields)) {
		switch {
		case !field().MatchString(name):
			bad("fields: no column is called %.40q; want names such as category", name)
		case slices.Contains(ownFields, name):
			bad("fields.%s: set by mfawatch itself", name)
		}
	}
	errs = append(errs, ticket.ChoiceMistakes("urgency", c.Urgency), ticket.ChoiceMistakes("impact", c.Impact))
	_, err = c.Templates.Parse(known...)
	return errors.Join(append(errs, err)...)
}

// header returns the credentials, and reads their files.
func (c Config) header() (httpsend.Credentials, error) {
	password := secret.Text{Field: "password", Text: c.Password, File: c.PasswordFile}
	token := secret.Text{Field: "token", Text: c.Token, File: c.TokenFile}
	key := secret.Text{Field: "api_key", Text: c.APIKey, File: c.APIKeyFile}
	basic := c.Username != "" || password.Given()
	switch {
	case !basic && !token.Given() && !key.Given():
		return httpsend.Credentials{}, errors.New("username: missing; want username and password_file, or token_file, or api_key_file")
	case basic && token.Given(), basic && key.Given(), token.Given() && key.Given():
		return httpsend.Credentials{}, errors.New("username: want one of username with password, token and api_key")
	case basic && c.Username == "":
		return httpsend.Credentials{}, errors.New("username: missing; password needs it")
	case basic && !password.Given():
		return httpsend.Credentials{}, errors.New("password_file: missing; username needs it, or password")
	case strings.ContainsRune(c.Username, ':'):
		return httpsend.Credentials{}, fmt.Errorf("username: want none with a colon, got %.60q", c.Username)
	case basic:
		return httpsend.BasicCredentials(c.Username, password)
	case token.Given():
		return httpsend.BearerCredentials(token)
	}
	secret, err := key.Read()
	return httpsend.Credentials{Name: "X-Sn-Apikey", Value: secret, Secrets: []string{secret}}, err
}

// endedStates are those of the base system in which work on an incident is over:
// resolved, closed, canceled.
var endedStates = []string{"6", "7", "8"}

// The values of Config.Mode.
const (
	modeIncident = "incident"
	modeEvents   = "events"
)

// Choices of the base system; priority follows from the two by its matrix.
var (
	urgency = map[string]string{"critical": "1", "high": "1", "medium": "2", "low": "2", "info": "3"}
	impact  = map[string]string{"critical": "1", "high": "2", "medium": "2", "low": "3", "info": "3"}
)

var (
	sysIDText = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-f]{32}$`) })
	field     = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z][a-z0-9_]{0,79}$`) })
)
