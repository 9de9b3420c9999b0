package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/kafka"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/dispatch"
	"github.com/mfawatch/mfawatch/sinks/file"
	kafkasink "github.com/mfawatch/mfawatch/sinks/kafka"
	"github.com/mfawatch/mfawatch/sinks/message"
	"github.com/mfawatch/mfawatch/sinks/stdout"
	"github.com/mfawatch/mfawatch/sinks/webhook"
	"github.com/mfawatch/mfawatch/sources"
	"github.com/mfawatch/mfawatch/sources/files"
	"github.com/mfawatch/mfawatch/sources/httpin"
	kafkasource "github.com/mfawatch/mfawatch/sources/kafka"
	"github.com/mfawatch/mfawatch/sources/s3"
)

// surroundings is what sources and sinks are built with besides their
// configuration.
type surroundings struct {
	stdin   io.Reader
	stdout  io.Writer
	colours bool // stdout is a terminal that wants them
	log     *slog.Logger
	level   *slog.LevelVar // of log
	metrics prometheus.Registerer
	places  sources.Bookkeeper
	wording message.Wording // of all channels that people read
}

// A sourceConfig is the configuration of one source.
type sourceConfig interface {
	entry
	build(name string, s surroundings) (sources.Source, error)
}

// A sinkConfig is the configuration of one sink.
type sinkConfig interface {
	entry
	build(s surroundings) (sinks.Sink, error)
	delivery() dispatch.DeliveryConfig
}

// sourceTypes and sinkTypes make the configuration of each type, with its
// defaults.
var (
	sourceTypes = map[string]func() sourceConfig{
		"files": func() sourceConfig { return &filesSource{} },
		"http":  func() sourceConfig { return &httpSource{Config: httpin.DefaultConfig()} },
		"kafka": func() sourceConfig { return &kafkaSource{Topics: kafkasource.DefaultConfig()} },
		"s3":    func() sourceConfig { return &s3Source{Queue: s3.DefaultConfig()} },
	}
	sinkTypes = map[string]func() sinkConfig{
		"email":      newEmailSink,
		"file":       func() sinkConfig { return &fileSink{sending: inTurn()} },
		"kafka":      func() sinkConfig { return &kafkaSink{sending: atOnce()} },
		"pagerduty":  func() sinkConfig { return newPagerDutySink() },
		"servicenow": func() sinkConfig { return newServiceNowSink() },
		"slack":      func() sinkConfig { return newSlackSink() },
		"sms":        newSMSSink,
		"stdout": func() sinkConfig {
			return &stdoutSink{Config: stdout.Config{Format: "json"}, sending: inTurn()}
		},
		"webhook": func() sinkConfig { return &webhookSink{sending: atOnce()} },
		"zendesk": func() sinkConfig { return newZendeskSink() },
	}
)

// sending is how a sink is sent its alerts. It is a part of the configuration of
// each.
type sending struct {
	dispatch.DeliveryConfig `koanf:",squash"`
	inTurn                  bool // one after the other
	people                  bool // who can be told several alerts in one message
}

func atOnce() sending { return sending{DeliveryConfig: dispatch.DefaultDeliveryConfig()} }

func inTurn() sending {
	s := sending{DeliveryConfig: dispatch.DefaultDeliveryConfig(), inTurn: true}
	s.Concurrency = 1
	return s
}

func (s sending) delivery() dispatch.DeliveryConfig { return s.DeliveryConfig }

// Validate refuses what would have no effect, too.
func (s sending) Validate() error {
	errs := []error{s.DeliveryConfig.Validate()}
	if s.inTurn && s.Concurrency != 1 {
		errs = append(errs, fmt.Errorf("concurrency: want 1, since this sink is told in the order of the alerts, got %d", s.Concurrency))
	}
	if s.Group.Wait > 0 && !s.people {
		errs = append(errs, fmt.Errorf("group.wait: want 0s, since this sink gets each alert by itself, got %s", formatDuration(s.Group.Wait)))
	}
	return errors.Join(errs...)
}

type filesSource struct {
	Type         string `koanf:"type"`
	files.Config `koanf:",squash"`
}

func (c *filesSource) build(name string, s surroundings) (sources.Source, error) {
	f, err := files.New(name, c.Config, sources.Options{Logger: s.log, Registerer: s.metrics, Places: s.places})
	if err != nil {
		return nil, err
	}
	f.Stdin = s.stdin
	return f, nil
}

type kafkaSource struct {
	Type         string `koanf:"type"`
	kafka.Config `koanf:",squash"`
	Topics       kafkasource.Config `koanf:",squash"`
}

func (c *kafkaSource) Validate() error {
	return errors.Join(c.Config.Validate(), c.Topics.Validate())
}

func (c *kafkaSource) build(name string, s surroundings) (sources.Source, error) {
	opts, err := c.Options()
	if err != nil {
		return nil, err
	}
	return kafkasource.New(name, c.Topics, opts, sources.Options{Logger: s.log, Registerer: s.metrics})
}

type stdoutSink struct {
	Type          string `koanf:"type"`
	stdout.Config `koanf:",squash"`
	sending       `koanf:",squash"`
}

func (c *stdoutSink) Validate() error {
	_, err := stdout.New(c.Config, io.Discard)
	sending := c.sending
	sending.people = c.Format == "text"
	return errors.Join(err, sending.Validate())
}

func (c *stdoutSink) build(s surroundings) (sinks.Sink, error) {
	sink, err := stdout.New(c.Config, s.stdout)
	if err != nil {
		return nil, err
	}
	sink.Color = s.colours
	return sink, nil
}

type fileSink struct {
	Type        string `koanf:"type"`
	file.Config `koanf:",squash"`
	sending     `koanf:",squash"`
}

// Validate does not open the file: to check a configuration makes nothing.
func (c *fileSink) Validate() error {
	var err error
	if c.Path == "" {
		err = errors.New("path: missing; want the path of a file, such as alerts.jsonl")
	}
	return errors.Join(err, c.sending.Validate())
}

func (c *fileSink) build(surroundings) (sinks.Sink, error) { return file.New(c.Config) }

// KafkaConfig names what a sink writes to, beside how the cluster is reached.
type KafkaConfig = kafkasink.Config

type kafkaSink struct {
	Type         string `koanf:"type"`
	kafka.Config `koanf:",squash"`
	KafkaConfig  `koanf:",squash"`
	sending      `koanf:",squash"`
}

func (c *kafkaSink) Validate() error {
	return errors.Join(c.Config.Validate(), c.KafkaConfig.Validate(), c.sending.Validate())
}

func (c *kafkaSink) build(surroundings) (sinks.Sink, error) {
	opts, err := c.Options()
	if err != nil {
		return nil, err
	}
	return kafkasink.New(c.KafkaConfig, opts)
}

type webhookSink struct {
	Type           string `koanf:"type"`
	webhook.Config `koanf:",squash"`
	sending        `koanf:",squash"`
}

func (c *webhookSink) Validate() error {
	return errors.Join(c.Config.Validate(), c.sending.Validate())
}

func (c *webhookSink) build(surroundings) (sinks.Sink, error) {
	return webhook.New(c.Config)
}
