package config

import (
	"context"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/aws"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/kafka"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/route"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/email"
	"github.com/mfawatch/mfawatch/sinks/file"
	kafkasink "github.com/mfawatch/mfawatch/sinks/kafka"
	"github.com/mfawatch/mfawatch/sinks/pagerduty"
	"github.com/mfawatch/mfawatch/sinks/servicenow"
	"github.com/mfawatch/mfawatch/sinks/slack"
	"github.com/mfawatch/mfawatch/sinks/sms"
	"github.com/mfawatch/mfawatch/sinks/stdout"
	"github.com/mfawatch/mfawatch/sinks/webhook"
	"github.com/mfawatch/mfawatch/sinks/zendesk"
	"github.com/mfawatch/mfawatch/sources"
	"github.com/mfawatch/mfawatch/sources/files"
	"github.com/mfawatch/mfawatch/sources/httpin"
	kafkasource "github.com/mfawatch/mfawatch/sources/kafka"
	"github.com/mfawatch/mfawatch/sources/s3"
)

// SourceKinds makes the configuration of each type of source, with its defaults.
var SourceKinds = map[string]func() Source{
	"files": (&sourceKind[files.Config]{
		build: func(c files.Config, name string, d Deps) (sources.Source, error) {
			o := d.source()
			o.Offsets = d.Offsets
			f, err := files.New(name, c, o)
			if err != nil {
				return nil, err
			}
			f.Stdin = d.Stdin
			return f, nil
		},
	}).new,
	"http": (&sourceKind[httpin.Config]{
		config: httpin.DefaultConfig,
		listen: func(c httpin.Config) string { return c.Address },
		build: func(c httpin.Config, name string, d Deps) (sources.Source, error) {
			return httpin.New(name, c, d.source())
		},
	}).new,
	"kafka": (&sourceKind[reached[kafka.Config, kafkasource.Config]]{
		config: reach[kafka.Config](kafkasource.DefaultConfig),
		build: func(c reached[kafka.Config, kafkasource.Config], name string, d Deps) (sources.Source, error) {
			opts, err := c.Reach.Options()
			if err != nil {
				return nil, err
			}
			return kafkasource.New(name, c.Config, opts, d.source())
		},
	}).new,
	"s3": (&sourceKind[reached[aws.Config, s3.Config]]{
		config: reach[aws.Config](s3.DefaultConfig),
		build: func(c reached[aws.Config, s3.Config], name string, d Deps) (sources.Source, error) {
			// Buckets need a region; the queue's is the default. Emulators accept any.
			region := s3.QueueRegion(c.Config.QueueURL)
			if region == "" && c.Reach.Endpoint != "" {
				region = "us-east-1"
			}
			loaded, err := c.Reach.Load(context.Background(), region, d.Log.With("source", name))
			if err != nil {
				return nil, err
			}
			return s3.New(name, c.Config, loaded, d.source())
		},
	}).new,
}

// groupWait is the default group window of the sinks that group.
const groupWait = 30 * time.Second

// SinkKinds makes the configuration of each type of sink, with its defaults.
var SinkKinds = map[string]func() Sink{
	// Mail servers allow few connections from one sender.
	"email": (&sinkKind[email.Config]{
		config: email.DefaultConfig, reader: route.Reader, minSeverity: exposure.Low, people: true, concurrency: 2, groups: true, wait: groupWait,
		build: func(c email.Config, d Deps) (sinks.Sink, error) { return email.New(c, d.Wording, d.Log) },
	}).new,
	"file": (&sinkKind[file.Config]{
		inOrder: true,
		build:   func(c file.Config, _ Deps) (sinks.Sink, error) { return file.New(c) },
	}).new,
	"kafka": (&sinkKind[reached[kafka.Config, kafkasink.Config]]{
		build: func(c reached[kafka.Config, kafkasink.Config], d Deps) (sinks.Sink, error) {
			if sameBrokers(c.Reach.Brokers, d.Shared) {
				return kafkasink.NewTransactional(c.Config)
			}
			opts, err := c.Reach.Options()
			if err != nil {
				return nil, err
			}
			return kafkasink.New(c.Config, opts)
		},
	}).new,
	// PagerDuty accepts about 120 events a minute under one key, and has one
	// incident for each exposure, so that grouping has no meaning.
	"pagerduty": (&sinkKind[pagerduty.Config]{
		config: pagerduty.DefaultConfig, reader: route.Pager, minSeverity: exposure.Medium, people: true, rate: 2,
		build: func(c pagerduty.Config, d Deps) (sinks.Sink, error) { return pagerduty.New(c, d.Wording) },
	}).new,
	// ServiceNow's limits differ between instances.
	"servicenow": (&sinkKind[servicenow.Config]{
		config: servicenow.DefaultConfig, reader: route.Reader, minSeverity: exposure.Medium, people: true,
		build: func(c servicenow.Config, d Deps) (sinks.Sink, error) { return servicenow.New(c, d.Wording, d.Log) },
	}).new,
	// Slack accepts about one message a second in a channel.
	"slack": (&sinkKind[slack.Config]{
		config: slack.DefaultConfig, reader: route.Reader, minSeverity: exposure.Low, people: true, rate: 1, groups: true, maxGroup: slack.MaxGroup, wait: groupWait,
		build: func(c slack.Config, d Deps) (sinks.Sink, error) { return slack.New(c, d.Wording) },
	}).new,
	// Every text message costs money.
	"sms": (&sinkKind[smsConfig]{
		config: func() smsConfig { return smsConfig{Texts: sms.DefaultConfig()} },
		reader: route.Pager, minSeverity: exposure.High, people: true, groups: true, wait: groupWait,
		build: func(c smsConfig, d Deps) (_ sinks.Sink, err error) {
			var loaded awssdk.Config
			if c.Texts.AWS() {
				if loaded, err = c.AWS.Load(context.Background(), "", d.Log); err != nil {
					return nil, err
				}
			}
			return sms.New(c.Texts, d.Wording, d.Log, loaded)
		},
	}).new,
	"stdout": (&sinkKind[stdout.Config]{
		config:   func() stdout.Config { return stdout.Config{Format: "json"} },
		machines: func(c stdout.Config) bool { return c.Format != "text" },
		reader:   route.Reader, inOrder: true, groups: true, stdout: true,
		build: func(c stdout.Config, d Deps) (sinks.Sink, error) {
			s, err := stdout.New(c, d.Wording, d.Stdout)
			if err != nil {
				return nil, err
			}
			s.Color = d.Colours
			return s, nil
		},
	}).new,
	"webhook": (&sinkKind[webhook.Config]{
		build: func(c webhook.Config, _ Deps) (sinks.Sink, error) { return webhook.New(c) },
	}).new,
	// Zendesk's smallest plan allows 200 requests a minute; an alert needs three.
	"zendesk": (&sinkKind[zendesk.Config]{
		config: zendesk.DefaultConfig, reader: route.Reader, minSeverity: exposure.Medium, people: true, rate: 1,
		build: func(c zendesk.Config, d Deps) (sinks.Sink, error) { return zendesk.New(c, d.Wording, d.Log) },
	}).new,
}
