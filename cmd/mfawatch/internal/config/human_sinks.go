package config

import (
	"context"
	"errors"
	"fmt"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/aws"
	"github.com/mfawatch/mfawatch/processor/route"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/dispatch"
	"github.com/mfawatch/mfawatch/sinks/email"
	"github.com/mfawatch/mfawatch/sinks/pagerduty"
	"github.com/mfawatch/mfawatch/sinks/servicenow"
	"github.com/mfawatch/mfawatch/sinks/slack"
	"github.com/mfawatch/mfawatch/sinks/sms"
	"github.com/mfawatch/mfawatch/sinks/zendesk"
)

// toPeople is how a channel that people read is sent its alerts: what is unsent
// when an exposure is over gives way to its end, and no more than so many a
// second.
func toPeople(rate float64) sending {
	s := sending{DeliveryConfig: dispatch.DefaultDeliveryConfig(), behind: route.Reader}
	s.People, s.Rate = true, rate
	return s
}

type pagerdutySink struct {
	Type             string `koanf:"type"`
	pagerduty.Config `koanf:",squash"`
	sending          `koanf:",squash"`
}

// PagerDuty takes about 120 events a minute under one key, and has an incident
// for each exposure: there is no message for several.
func newPagerDutySink() *pagerdutySink {
	c := &pagerdutySink{Config: pagerduty.DefaultConfig(), sending: toPeople(2)}
	c.behind = route.Pager
	return c
}

func (c *pagerdutySink) Validate() error {
	return errors.Join(c.Config.Validate(), c.sending.Validate())
}

func (c *pagerdutySink) Build(s Deps) (sinks.Sink, error) {
	return pagerduty.New(c.Config, s.Wording)
}

type slackSink struct {
	Type         string `koanf:"type"`
	slack.Config `koanf:",squash"`
	sending      `koanf:",squash"`
}

// Slack wants about one message a second in a channel.
func newSlackSink() *slackSink {
	c := &slackSink{Config: slack.DefaultConfig(), sending: toPeople(1)}
	c.people, c.Group.Wait = true, 30*time.Second
	return c
}

func (c *slackSink) Validate() error {
	errs := []error{c.Config.Validate(), c.sending.Validate()}
	if c.Group.Max > slack.MaxGroup {
		errs = append(errs, fmt.Errorf("group.max: want at most %d, which is what one message can list, got %d", slack.MaxGroup, c.Group.Max))
	}
	return errors.Join(errs...)
}

func (c *slackSink) Build(s Deps) (sinks.Sink, error) {
	return slack.New(c.Config, s.Wording)
}

type emailSink struct {
	Type         string `koanf:"type"`
	email.Config `koanf:",squash"`
	sending      `koanf:",squash"`
}

// Servers allow a sender few connections, and nobody reads fifty mails.
func newEmailSink() Sink {
	c := &emailSink{Config: email.DefaultConfig(), sending: toPeople(0)}
	c.people, c.Concurrency, c.Group.Wait = true, 2, 30*time.Second
	return c
}

func (c *emailSink) Validate() error {
	return errors.Join(c.Config.Validate(), c.sending.Validate())
}

func (c *emailSink) Build(s Deps) (sinks.Sink, error) {
	return email.New(c.Config, s.Wording, s.Log)
}

type smsSink struct {
	Type       string     `koanf:"type"`
	Texts      sms.Config `koanf:",squash"`
	aws.Config `koanf:",squash"`
	sending    `koanf:",squash"`
}

// Each text costs, and fifty wake nobody better than two.
func newSMSSink() Sink {
	c := &smsSink{Texts: sms.DefaultConfig(), sending: toPeople(0)}
	c.people, c.behind, c.Group.Wait = true, route.Pager, 30*time.Second
	return c
}

func (c *smsSink) Validate() error {
	errs := []error{c.Texts.Validate(), c.sending.Validate()}
	switch {
	case c.Texts.AWS():
		errs = append(errs, c.Config.Validate())
	case c.Config != aws.Config{}:
		errs = append(errs, fmt.Errorf("provider: region, credentials and whatever else is AWS's have no effect with %s; want sns or aws-sms-voice-v2, or to take them away", c.Texts.Provider))
	}
	return errors.Join(errs...)
}

func (c *smsSink) Build(s Deps) (sinks.Sink, error) {
	var reached awssdk.Config
	if c.Texts.AWS() {
		var err error
		if reached, err = c.Load(context.Background(), "", s.Log); err != nil {
			return nil, err
		}
	}
	return sms.New(c.Texts, s.Wording, s.Log, reached)
}

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

func (c *serviceNowSink) Build(s Deps) (sinks.Sink, error) {
	return servicenow.New(c.Config, s.Wording, s.Log)
}

type zendeskSink struct {
	Type           string `koanf:"type"`
	zendesk.Config `koanf:",squash"`
	sending        `koanf:",squash"`
}

func (c *zendeskSink) Validate() error {
	return errors.Join(c.Config.Validate(), c.sending.Validate())
}

func (c *zendeskSink) Build(s Deps) (sinks.Sink, error) {
	return zendesk.New(c.Config, s.Wording, s.Log)
}
