package config

import (
	"context"
	"errors"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/aws"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/kafka"
	"github.com/mfawatch/mfawatch/sources"
	"github.com/mfawatch/mfawatch/sources/files"
	"github.com/mfawatch/mfawatch/sources/httpin"
	kafkasource "github.com/mfawatch/mfawatch/sources/kafka"
	"github.com/mfawatch/mfawatch/sources/s3"
)

type s3Source struct {
	Type       string `koanf:"type"`
	aws.Config `koanf:",squash"`
	Queue      s3.Config `koanf:",squash"`
}

func (c *s3Source) Validate() error {
	return errors.Join(c.Config.Validate(), c.Queue.Validate())
}

// Build needs a region for buckets: that of the queue, where nothing else is
// said. An emulator takes any.
func (c *s3Source) Build(name string, s Deps) (sources.Source, error) {
	region := s3.QueueRegion(c.Queue.QueueURL)
	if region == "" && c.Endpoint != "" {
		region = "us-east-1"
	}
	reach, err := c.Load(context.Background(), region, s.Log.With("source", name))
	if err != nil {
		return nil, err
	}
	return s3.New(name, c.Queue, reach, sources.Options{Logger: s.Log, Registerer: s.Metrics})
}

type filesSource struct {
	Type         string `koanf:"type"`
	files.Config `koanf:",squash"`
}

func (c *filesSource) Build(name string, s Deps) (sources.Source, error) {
	f, err := files.New(name, c.Config, sources.Options{Logger: s.Log, Registerer: s.Metrics, Offsets: s.Places})
	if err != nil {
		return nil, err
	}
	f.Stdin = s.Stdin
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

func (c *kafkaSource) Build(name string, s Deps) (sources.Source, error) {
	opts, err := c.Options()
	if err != nil {
		return nil, err
	}
	return kafkasource.New(name, c.Topics, opts, sources.Options{Logger: s.Log, Registerer: s.Metrics})
}

type httpSource struct {
	Type          string `koanf:"type"`
	httpin.Config `koanf:",squash"`
}

func (c *httpSource) Build(name string, s Deps) (sources.Source, error) {
	return httpin.New(name, c.Config, sources.Options{Logger: s.Log, Registerer: s.Metrics})
}
