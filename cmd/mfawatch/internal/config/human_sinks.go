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
)

// toPeople is how a channel that people read is sent its alerts: what is unsent
// when an exposure is over gives way to its end, and no more than so many a
// second.
func toPeople(rate float64) sending {
	s := sending{DeliveryConfig: sinks.DefaultDeliveryConfig(), behind: route.Reader}
	s.People, s.Rate = true, rate
	return s
}

type pagerdutySink struct {
	Type                  string `koanf:"type"`
	sinks.PagerDutyConfig `koanf:",squash"`
	sending               `koanf:",squash"`
}

// PagerDuty takes about 120 events a minute under one key, and has an incident
// for each exposure: there is no message for several.
func newPagerDutySink() *pagerdutySink {
	c := &pagerdutySink{PagerDutyConfig: sinks.DefaultPagerDutyConfig(), sending: toPeople(2)}
	c.behind = route.Pager
	return c
}

func (c *pagerdutySink) Validate() error {
	return errors.Join(c.PagerDutyConfig.Validate(), c.sending.Validate())
}

func (c *pagerdutySink) Build(s Deps) (sinks.Sink, error) {
	return sinks.NewPagerDuty(c.PagerDutyConfig, s.Wording)
}

type slackSink struct {
	Type              string `koanf:"type"`
	sinks.SlackConfig `koanf:",squash"`
	sending           `koanf:",squash"`
}

// Slack wants about one message a second in a channel.
func newSlackSink() *slackSink {
	c := &slackSink{SlackConfig: sinks.DefaultSlackConfig(), sending: toPeople(1)}
	c.people, c.Group.Wait = true, 30*time.Second
	return c
}

func (c *slackSink) Validate() error {
	errs := []error{c.SlackConfig.Validate(), c.sending.Validate()}
	if c.Group.Max > sinks.MaxSlackGroup {
		errs = append(errs, fmt.Errorf("group.max: want at most %d, which is what one message can list, got %d", sinks.MaxSlackGroup, c.Group.Max))
	}
	return errors.Join(errs...)
}

func (c *slackSink) Build(s Deps) (sinks.Sink, error) {
	return sinks.NewSlack(c.SlackConfig, s.Wording)
}

type emailSink struct {
	Type              string `koanf:"type"`
	sinks.EmailConfig `koanf:",squash"`
	sending           `koanf:",squash"`
}

// Servers allow a sender few connections, and nobody reads fifty mails.
func newEmailSink() Sink {
	c := &emailSink{EmailConfig: sinks.DefaultEmailConfig(), sending: toPeople(0)}
	c.people, c.Concurrency, c.Group.Wait = true, 2, 30*time.Second
	return c
}

func (c *emailSink) Validate() error {
	return errors.Join(c.EmailConfig.Validate(), c.sending.Validate())
}

func (c *emailSink) Build(s Deps) (sinks.Sink, error) {
	return sinks.NewEmail(c.EmailConfig, s.Wording, s.Log)
}

type smsSink struct {
	Type            string `koanf:"type"`
	sinks.SMSConfig `koanf:",squash"`
	aws.Config      `koanf:",squash"`
	sending         `koanf:",squash"`
}

// Each text costs, and fifty wake nobody better than two.
func newSMSSink() Sink {
	c := &smsSink{SMSConfig: sinks.DefaultSMSConfig(), sending: toPeople(0)}
	c.people, c.behind, c.Group.Wait = true, route.Pager, 30*time.Second
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

func (c *smsSink) Build(s Deps) (sinks.Sink, error) {
	var reached awssdk.Config
	if c.AWS() {
		var err error
		if reached, err = c.Load(context.Background(), "", s.Log); err != nil {
			return nil, err
		}
	}
	return sinks.NewSMS(c.SMSConfig, s.Wording, s.Log, reached)
}

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

func (c *serviceNowSink) Build(s Deps) (sinks.Sink, error) {
	return sinks.NewServiceNow(c.ServiceNowConfig, s.Wording, s.Log)
}

type zendeskSink struct {
	Type                string `koanf:"type"`
	sinks.ZendeskConfig `koanf:",squash"`
	sending             `koanf:",squash"`
}

func (c *zendeskSink) Validate() error {
	return errors.Join(c.ZendeskConfig.Validate(), c.sending.Validate())
}

func (c *zendeskSink) Build(s Deps) (sinks.Sink, error) {
	return sinks.NewZendesk(c.ZendeskConfig, s.Wording, s.Log)
}
