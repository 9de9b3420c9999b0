package main

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
)

// A served is a service with its web server: metrics and health are served to the
// last.
type served struct {
	*pipeline
	web *httpServer // nil: nothing is served
}

// newServed builds both, or nothing. The caller closes it.
func newServed(c *Config, deps surroundings, reg *prometheus.Registry, load func() (*Config, error)) (*served, error) {
	service, err := newPipeline(c, deps, reg, load)
	if err != nil {
		return nil, err
	}
	web, err := Listen(service, reg, deps.log)
	if err != nil {
		return nil, errors.Join(err, service.Close())
	}
	return &served{service, web}, nil
}

// Run runs both until ctx is done, or the web server fails.
func (s *served) Run(ctx context.Context) error {
	if s.web == nil {
		return s.pipeline.Run(ctx)
	}
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	running, stop := context.WithCancel(ctx)
	defer stop()
	web := new(errgroup.Group)
	web.Go(func() error {
		defer stop()
		return s.web.Run(serving)
	})
	err := s.pipeline.Run(running)
	stopServing()
	return errors.Join(err, web.Wait())
}

// Close closes both, the journal last.
func (s *served) Close() error {
	var err error
	if s.web != nil {
		err = s.web.Close()
	}
	return errors.Join(err, s.pipeline.Close())
}
