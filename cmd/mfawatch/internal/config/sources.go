package config

import (
	"context"
	"errors"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/aws"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/kafka"
	"github.com/mfawatch/mfawatch/sources"
)

type s3Source struct {
	Type             string `koanf:"type"`
	aws.Config       `koanf:",squash"`
	sources.S3Config `koanf:",squash"`
}

func (c *s3Source) Validate() error {
	return errors.Join(c.Config.Validate(), c.S3Config.Validate())
}

// Build needs a region for buckets: that of the queue, where nothing else is
// said. An emulator takes any.
func (c *s3Source) Build(name string, s Deps) (sources.Source, error) {
	region := sources.QueueRegion(c.QueueURL)
	if region == "" && c.Endpoint != "" {
		region = "us-east-1"
	}
	reach, err := c.Load(context.Background(), region, s.Log.With("source", name))
	if err != nil {
		return nil, err
	}
	return sources.NewS3(name, c.S3Config, reach, sources.Options{Logger: s.Log, Registerer: s.Metrics})
}

type filesSource struct {
	Type                string `koanf:"type"`
	sources.FilesConfig `koanf:",squash"`
}

func (c *filesSource) Build(name string, s Deps) (sources.Source, error) {
	f, err := sources.NewFiles(name, c.FilesConfig, sources.Options{Logger: s.Log, Registerer: s.Metrics, Places: s.Places})
	if err != nil {
		return nil, err
	}
	f.Stdin = s.Stdin
	return f, nil
}

type kafkaSource struct {
	Type                string `koanf:"type"`
	kafka.Config        `koanf:",squash"`
	sources.KafkaConfig `koanf:",squash"`
}

func (c *kafkaSource) Validate() error {
	return errors.Join(c.Config.Validate(), c.KafkaConfig.Validate())
}

func (c *kafkaSource) Build(name string, s Deps) (sources.Source, error) {
	opts, err := c.Options()
	if err != nil {
		return nil, err
	}
	return sources.NewKafka(name, c.KafkaConfig, opts, sources.Options{Logger: s.Log, Registerer: s.Metrics})
}

type httpSource struct {
	Type               string `koanf:"type"`
	sources.HTTPConfig `koanf:",squash"`
}

func (c *httpSource) Build(name string, s Deps) (sources.Source, error) {
	return sources.NewHTTP(name, c.HTTPConfig, sources.Options{Logger: s.Log, Registerer: s.Metrics})
}
