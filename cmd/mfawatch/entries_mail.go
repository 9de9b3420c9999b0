package main

import (
	"errors"

	"github.com/mfawatch/mfawatch/sinks"
)

// toPeople is how sinks are sent alerts that people read.
func toPeople() sending {
	s := atOnce()
	s.DeliveryConfig.People, s.people = true, true
	return s
}

type emailSink struct {
	Type              string `koanf:"type"`
	sinks.EmailConfig `koanf:",squash"`
	sending           `koanf:",squash"`
}

// newEmailSink sends two mails at once: servers allow a sender few connections.
func newEmailSink() sinkConfig {
	c := &emailSink{EmailConfig: sinks.DefaultEmailConfig(), sending: toPeople()}
	c.Concurrency = 2
	return c
}

func (c *emailSink) Validate() error {
	return errors.Join(c.EmailConfig.Validate(), c.sending.Validate())
}

func (c *emailSink) build(s surroundings) (sinks.Sink, error) {
	return sinks.NewEmail(c.EmailConfig, s.wording, s.log)
}
