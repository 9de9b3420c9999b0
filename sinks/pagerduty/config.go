package pagerduty

import (
	"errors"
	"fmt"
	"regexp"
	"sync"

	"github.com/mfawatch/mfawatch/processor/secret"
	"github.com/mfawatch/mfawatch/sinks/httpsend"
	"github.com/mfawatch/mfawatch/sinks/message"
)

// A Config says which service of PagerDuty is notified, by the integration
// keys of its Events API v2. Files that hold a key are read for each attempt.
type Config struct {
	RoutingKey     string `koanf:"routing_key"`
	RoutingKeyFile string `koanf:"routing_key_file"` // instead of routing_key
	// The service that is notified of what is escalated or exploited, beside the
	// first: PagerDuty does not page the acknowledger of an incident again.
	EscalationRoutingKey     string            `koanf:"escalation_routing_key"`
	EscalationRoutingKeyFile string            `koanf:"escalation_routing_key_file"`
	Region                   string            `koanf:"region"`    // of the account: us or eu; default us
	URL                      secret.URL        `koanf:"url"`       // instead of that of the region: of a relay
	Templates                message.Templates `koanf:"templates"` // summary
	httpsend.Config          `koanf:",squash"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{Region: "us"}
}

// urls are the addresses of the Events API v2 by region.
var urls = map[string]string{
	"us": "https://events.pagerduty.com/v2/enqueue",
	"eu": "https://events.eu.pagerduty.com/v2/enqueue",
}

// routingKey matches an integration key.
var routingKey = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9]{32}$`) })

// Validate reports every mistake in c. The errors are joined, each of the form
// "field: problem"; none holds a secret. The files that c
// names must exist and be readable.
func (c Config) Validate() error {
	errs := []error{c.Config.Validate()}
	if c.Region != "" && urls[c.Region] == "" {
		errs = append(errs, fmt.Errorf("region: want us or eu, where the account is (an address under eu.pagerduty.com is eu), got %.40q", c.Region))
	}
	if c.URL != "" && c.URL.Problem() != "" {
		errs = append(errs, errors.New("url: "+c.URL.Problem()))
	}
	_, _, err := c.keys()
	errs = append(errs, err)
	_, err = c.Templates.Parse("summary")
	return errors.Join(append(errs, err)...)
}

// keys are the integration keys as they are now; that for escalation is "" if
// there is none.
func (c Config) keys() (first, escalation string, err error) {
	given := secret.Text{Field: "routing_key", Text: c.RoutingKey, File: c.RoutingKeyFile}
	first, err1 := given.Read()
	switch {
	case err1 != nil:
	case first == "":
		err1 = errors.New("routing_key: missing; want the integration key of a service's Events API v2 integration, or routing_key_file")
	case !routingKey().MatchString(first):
		err1 = fmt.Errorf("%s: want the integration key of an Events API v2 integration, 32 letters and digits", given.Key())
	}
	other := secret.Text{Field: "escalation_routing_key", Text: c.EscalationRoutingKey, File: c.EscalationRoutingKeyFile}
	escalation, err2 := other.Read()
	switch {
	case err2 != nil || escalation == "":
	case !routingKey().MatchString(escalation):
		err2 = fmt.Errorf("%s: want the integration key of an Events API v2 integration, 32 letters and digits", other.Key())
	case escalation == first:
		err2 = fmt.Errorf("%s: the same as %s, so that no other team would be paged; want that of another service, or leave it out", other.Key(), given.Key())
	}
	return first, escalation, errors.Join(err1, err2)
}
