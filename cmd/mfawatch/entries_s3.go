package main

import (
	"context"
	"errors"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/aws"
	"github.com/mfawatch/mfawatch/sources"
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

// build needs a region for buckets: that of the queue, where nothing else is
// said. An emulator takes any.
func (c *s3Source) build(name string, s surroundings) (sources.Source, error) {
	region := s3.QueueRegion(c.Queue.QueueURL)
	if region == "" && c.Endpoint != "" {
		region = "us-east-1"
	}
	reach, err := c.Load(context.Background(), region, s.log.With("source", name))
	if err != nil {
		return nil, err
	}
	return s3.New(name, c.Queue, reach, sources.Options{Logger: s.log, Registerer: s.metrics})
}
