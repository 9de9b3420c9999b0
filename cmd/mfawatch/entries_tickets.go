package main

import (
	"errors"

	"github.com/mfawatch/mfawatch/sinks"
)

// ServiceNow's limits are each instance's own.
func newServiceNowSink() *serviceNowSink {
	return &serviceNowSink{ServiceNowConfig: sinks.DefaultServiceNowConfig(), sending: toPeople(0)}
}

// Zendesk's least plan allows 200 requests a minute, of which an alert takes
// three.
func newZendeskSink() *zendeskSink {
	return &zendeskSink{ZendeskConfig: sinks.DefaultZendeskConfig(), sending: toPeople(1)}
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
