package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/pagerduty"
	"github.com/mfawatch/mfawatch/sinks/slack"
)

// toPeople is how a channel that people read is sent its alerts: what is unsent
// when an exposure is over gives way to its end, and no more than so many a
// second.
func toPeople(rate float64) sending {
	s := atOnce()
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
	return &pagerdutySink{Config: pagerduty.DefaultConfig(), sending: toPeople(2)}
}

func (c *pagerdutySink) Validate() error {
	return errors.Join(c.Config.Validate(), c.sending.Validate())
}

func (c *pagerdutySink) build(s surroundings) (sinks.Sink, error) {
	return pagerduty.New(c.Config, s.wording)
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

func (c *slackSink) build(s surroundings) (sinks.Sink, error) {
	return slack.New(c.Config, s.wording)
}
