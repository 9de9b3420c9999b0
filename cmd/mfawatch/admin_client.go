package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/web"
	"github.com/mfawatch/mfawatch/processor/journal"
)

// An adminClient manages exposures, dead letters and the quarantine: of a running service over
// HTTP, or in the journal of a stopped one.
type adminClient interface {
	ListExposures(context.Context, web.ExposureFilter) (web.ExposurePage, error)
	ShowExposure(ctx context.Context, id string) (web.ExposureStory, error)
	CloseExposure(ctx context.Context, id string, c web.Closing) error
	ListDeadLetters(context.Context, web.Selection, func(web.DeadLetter) error) error
	RetryDeadLetters(context.Context, web.Selection) (web.Outcome, error)
	DropDeadLetters(context.Context, web.Selection) (web.Outcome, error)
	ListQuarantine(context.Context, web.Selection, func(journal.Quarantined) error) error
	RetryQuarantine(context.Context, web.Selection) (web.Outcome, error)
	DropQuarantine(context.Context, web.Selection) (web.Outcome, error)
}

// adminFlags select the service or its journal.
type adminFlags struct {
	config           *[]string
	journal, address string
}

func (f *adminFlags) add(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	f.config = config.AddConfig(flags)
	flags.StringVar(&f.journal, "journal", "", "the journal of a stopped service, a `FILE`")
	flags.StringVar(&f.address, "address", "", "`HOST:PORT` of a running service (its http.address)")
}

// openAdmin returns the client of the running service, or opens its journal, which
// the caller closes. The journal is nil if the service runs.
func (p *program) openAdmin(f *adminFlags) (adminClient, *journal.Journal, error) {
	if f.address != "" {
		return dial(f.address)
	}
	path, address := f.journal, ""
	if len(*f.config) > 0 || path == "" && len(p.defaultConfig()) > 0 {
		c, err := p.loadConfig(*f.config, nil)
		if err != nil {
			return nil, nil, err
		}
		if address = c.HTTP.Address; address == config.HTTPOff {
			address = ""
		}
		if c.Journal.Type == config.JournalKafka {
			return dial(c.HTTP.Address)
		}
		if path == "" {
			path = c.Journal.Path
		}
	}
	if path == "" {
		return nil, nil, config.Refuse("-c", config.Mistake{Problem: "missing; want the configuration of the service (-c FILE), its address (--address HOST:PORT), or its journal (--journal FILE)"})
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("no journal at %s: name the one of the service with --journal FILE", path)
	}
	j, err := journal.Open(path, journal.Options{Logger: slog.New(slog.DiscardHandler)})
	switch {
	case errors.Is(err, journal.ErrInUse) && address != "":
		return dial(address)
	case errors.Is(err, journal.ErrInUse):
		return nil, nil, fmt.Errorf("the journal %s is in use, so the service runs: name its configuration with -c FILE, or its address with --address HOST:PORT", path)
	case err != nil:
		return nil, nil, err
	}
	return web.NewJournalAdmin(j), j, nil
}

func dial(address string) (adminClient, *journal.Journal, error) {
	c, err := web.NewClient(address)
	return c, nil, err
}
