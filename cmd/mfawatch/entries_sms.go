package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/aws"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/sms"
)

// SMSConfig names whom a sink texts, beside how AWS is reached.
type SMSConfig = sms.Config

type smsSink struct {
	Type       string `koanf:"type"`
	SMSConfig  `koanf:",squash"`
	aws.Config `koanf:",squash"`
	sending    `koanf:",squash"`
}

// Each text costs, and fifty wake nobody better than two.
func newSMSSink() sinkConfig {
	c := &smsSink{SMSConfig: sms.DefaultConfig(), sending: toPeople(0)}
	c.people, c.Group.Wait = true, 30*time.Second
	return c
}

func (c *smsSink) Validate() error {
	errs := []error{c.SMSConfig.Validate(), c.sending.Validate()}
	switch {
	case c.AWS():
		errs = append(errs, c.Config.Validate())
	case c.Config != aws.Config{}:
		errs = append(errs, fmt.Errorf("provider: region, credentials and whatever else is AWS's have no effect with %s; want sns or aws-sms-voice-v2, or to take them away", c.Provider))
	}
	return errors.Join(errs...)
}

func (c *smsSink) build(s surroundings) (sinks.Sink, error) {
	var reached awssdk.Config
	if c.AWS() {
		var err error
		if reached, err = c.Load(context.Background(), "", s.log); err != nil {
			return nil, err
		}
	}
	return sms.New(c.SMSConfig, s.wording, s.log, reached)
}
