package main

import (
	"errors"

	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/servicenow"
	"github.com/mfawatch/mfawatch/sinks/zendesk"
)

// ServiceNow's limits are each instance's own.
func newServiceNowSink() *serviceNowSink {
	return &serviceNowSink{Config: servicenow.DefaultConfig(), sending: toPeople(0)}
}

// Zendesk's least plan allows 200 requests a minute, of which an alert takes
// three.
func newZendeskSink() *zendeskSink {
	return &zendeskSink{Config: zendesk.DefaultConfig(), sending: toPeople(1)}
}

type serviceNowSink struct {
	Type              string `koanf:"type"`
	servicenow.Config `koanf:",squash"`
	sending           `koanf:",squash"`
}

func (c *serviceNowSink) Validate() error {
	return errors.Join(c.Config.Validate(), c.sending.Validate())
}

func (c *serviceNowSink) build(s surroundings) (sinks.Sink, error) {
	return servicenow.New(c.Config, s.wording, s.log)
}

type zendeskSink struct {
	Type           string `koanf:"type"`
	zendesk.Config `koanf:",squash"`
	sending        `koanf:",squash"`
}

func (c *zendeskSink) Validate() error {
	return errors.Join(c.Config.Validate(), c.sending.Validate())
}

func (c *zendeskSink) build(s surroundings) (sinks.Sink, error) {
	return zendesk.New(c.Config, s.wording, s.log)
}
