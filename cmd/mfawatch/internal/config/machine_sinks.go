package config

import (
	"errors"
	"io"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/kafka"
	"github.com/mfawatch/mfawatch/processor/route"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/file"
	kafkasink "github.com/mfawatch/mfawatch/sinks/kafka"
	"github.com/mfawatch/mfawatch/sinks/stdout"
	"github.com/mfawatch/mfawatch/sinks/webhook"
)

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

// Reader is people of the text, programs of the JSON.
func (c *stdoutSink) Reader() route.Kind {
	if c.Format == "json" {
		return route.Machine
	}
	return route.Reader
}

func (c *stdoutSink) UsesStdout() bool { return true }

func (c *stdoutSink) Build(s Deps) (sinks.Sink, error) {
	sink, err := stdout.New(c.Config, s.Stdout)
	if err != nil {
		return nil, err
	}
	sink.Color = s.Colours
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

func (c *fileSink) Build(Deps) (sinks.Sink, error) { return file.New(c.Config) }

type kafkaSink struct {
	Type         string `koanf:"type"`
	kafka.Config `koanf:",squash"`
	Topic        kafkasink.Config `koanf:",squash"`
	sending      `koanf:",squash"`
}

func (c *kafkaSink) Validate() error {
	return errors.Join(c.Config.Validate(), c.Topic.Validate(), c.sending.Validate())
}

func (c *kafkaSink) Build(Deps) (sinks.Sink, error) {
	opts, err := c.Options()
	if err != nil {
		return nil, err
	}
	return kafkasink.New(c.Topic, opts)
}

type webhookSink struct {
	Type           string `koanf:"type"`
	webhook.Config `koanf:",squash"`
	sending        `koanf:",squash"`
}

func (c *webhookSink) Validate() error {
	return errors.Join(c.Config.Validate(), c.sending.Validate())
}

func (c *webhookSink) Build(Deps) (sinks.Sink, error) {
	return webhook.New(c.Config)
}
