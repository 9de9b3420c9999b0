package main

import (
	"context"
	"errors"
	"io"
	"log/slog"

	"golang.org/x/sync/errgroup"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/service"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/web"
)

// A served is a service with its web servers, which stop last.
type served struct {
	*service.Pipeline
	web web.Servers // none: they are off
	log *slog.Logger
}

// newServed builds both, or nothing. A reload calls load to read the configuration
// again; nil: reloads are refused. The caller closes the service.
func (p *program) newServed(c *config.Config, stdout io.Writer, load func() (*config.Config, error)) (*served, error) {
	reg := web.NewRegistry()
	log, level := config.NewLogger(c.Log, p.stderr)
	pipeline, err := service.New(c, config.Deps{Stdin: p.stdin, Stdout: stdout, Colours: p.colours(), Log: log, Level: level, Metrics: reg}, reg, load)
	if err != nil {
		return nil, err
	}
	servers, err := web.Listen(pipeline, reg, log)
	if err != nil {
		return nil, errors.Join(err, pipeline.Close())
	}
	pipeline.Announce(servers.PublicAddr())
	return &served{pipeline, servers, log}, nil
}

// Run runs both until ctx is done, or a web server fails.
func (s *served) Run(ctx context.Context) error {
	if s.web.Len() == 0 {
		return s.Pipeline.Run(ctx)
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
	err := s.Pipeline.Run(running)
	stopServing()
	return errors.Join(err, web.Wait())
}

// Close closes both, the journal last.
func (s *served) Close() error {
	return errors.Join(s.web.Close(), s.Pipeline.Close())
}
