package main

import (
	"errors"

	"github.com/mfawatch/mfawatch/sinks"
)

// toTickets is how sinks are sent alerts that keep a ticket for each exposure:
// people read it, and no ticket is about several.
func toTickets() sending {
	s := atOnce()
	s.People = true
	return s
}

type serviceNowSink struct {
	Type                   string `koanf:"type"`
	sinks.ServiceNowConfig `koanf:",squash"`
	sending                `koanf:",squash"`
}

func (c *serviceNowSink) Validate() error {
	return errors.Join(c.ServiceNowConfig.Validate(), c.sending.Validate())
}

func (c *serviceNowSink) build(s surroundings) (sinks.Sink, error) {
	return sinks.NewServiceNow(c.ServiceNowConfig, s.wording, s.log)
}

type zendeskSink struct {
	Type                string `koanf:"type"`
	sinks.ZendeskConfig `koanf:",squash"`
	sending             `koanf:",squash"`
}

func (c *zendeskSink) Validate() error {
	return errors.Join(c.ZendeskConfig.Validate(), c.sending.Validate())
}

func (c *zendeskSink) build(s surroundings) (sinks.Sink, error) {
	return sinks.NewZendesk(c.ZendeskConfig, s.wording, s.log)
}
