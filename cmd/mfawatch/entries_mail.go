package main

import (
	"errors"
	"time"

	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/email"
)

type emailSink struct {
	Type         string `koanf:"type"`
	email.Config `koanf:",squash"`
	sending      `koanf:",squash"`
}

// Servers allow a sender few connections, and nobody reads fifty mails.
func newEmailSink() sinkConfig {
	c := &emailSink{Config: email.DefaultConfig(), sending: toPeople(0)}
	c.people, c.Concurrency, c.Group.Wait = true, 2, 30*time.Second
	return c
}

func (c *emailSink) Validate() error {
	return errors.Join(c.Config.Validate(), c.sending.Validate())
}

func (c *emailSink) build(s surroundings) (sinks.Sink, error) {
	return email.New(c.Config, s.wording, s.log)
}
