package main

import (
	"errors"
	"time"

	"github.com/mfawatch/mfawatch/sinks"
)

type emailSink struct {
	Type              string `koanf:"type"`
	sinks.EmailConfig `koanf:",squash"`
	sending           `koanf:",squash"`
}

// Servers allow a sender few connections, and nobody reads fifty mails.
func newEmailSink() sinkConfig {
	c := &emailSink{EmailConfig: sinks.DefaultEmailConfig(), sending: toPeople(0)}
	c.people, c.Concurrency, c.Group.Wait = true, 2, 30*time.Second
	return c
}

func (c *emailSink) Validate() error {
	return errors.Join(c.EmailConfig.Validate(), c.sending.Validate())
}

func (c *emailSink) build(s surroundings) (sinks.Sink, error) {
	return sinks.NewEmail(c.EmailConfig, s.wording, s.log)
}
