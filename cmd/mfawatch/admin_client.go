package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/shard"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/web"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/journal/store"
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
	config                      *[]string
	journal, address, tokenFile string
	brokers                     []string
	locale                      output.Locale // of the configuration, once it was read
}

func (f *adminFlags) add(cmd *cobra.Command) {
	f.addService(cmd)
	cmd.PersistentFlags().StringVar(&f.journal, "journal", "", "the journal of a stopped service, a `FILE`")
}

// addBrokers adds the flag that selects a shared journal without a replica.
func (f *adminFlags) addBrokers(cmd *cobra.Command) {
	cmd.PersistentFlags().StringSliceVar(&f.brokers, "brokers", nil, "the Kafka `BROKERS`, HOST:PORT,…, with the journal that replicas share, where none of them can be reached")
}

// addService adds the flags that select a running service.
func (f *adminFlags) addService(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	f.config = config.AddConfig(flags)
	flags.StringVar(&f.address, "address", "", "`HOST:PORT` or unix:PATH of a running service (its http.address or http.admin_address)")
	flags.StringVar(&f.tokenFile, "token-file", "", "the `FILE` with the token of the service (its http.token_file)")
}

// A target is where a service can be reached, or its journal.
type target struct{ address, token, journal string } // "": not known

// target returns what the flags and the configuration name.
func (p *program) target(f *adminFlags) (t target, err error) {
	t.address, t.journal = f.address, f.journal
	if f.tokenFile != "" {
		if t.token, err = p.readToken("--token-file", f.tokenFile); err != nil {
			return t, config.Refuse("--token-file", config.Mistake{Problem: strings.TrimPrefix(err.Error(), "--token-file: ")})
		}
	}
	if len(*f.config) == 0 && (f.address != "" || f.journal != "" || len(p.defaultConfig()) == 0) {
		return t, nil
	}
	texts, err := p.configTexts(*f.config)
	if err != nil {
		return t, err
	}
	c, err := config.LoadPlace(texts, p.environ)
	if err != nil {
		return t, err
	}
	f.locale = c.Locale()
	if f.address != "" {
		return t, nil
	}
	if t.address = c.HTTP.LocalAddress(); t.address == config.HTTPOff {
		t.address = c.HTTP.Address
		if t.token == "" {
			t.token, err = c.HTTP.Token()
		}
	}
	if t.address == config.HTTPOff {
		t.address = ""
	}
	if c.Journal.Type == config.JournalFile {
		t.journal = cmp.Or(t.journal, c.Journal.Path)
	}
	return t, err
}

// openAdmin returns the client of the running service, or opens its journal, which
// the caller closes; nil: the service runs.
func (p *program) openAdmin(ctx context.Context, f *adminFlags, change bool) (adminClient, io.Closer, error) {
	if len(f.brokers) > 0 {
		return p.openOffline(ctx, f, change)
	}
	t, err := p.target(f)
	if err != nil {
		return nil, nil, err
	}
	if f.address != "" {
		return t.dial()
	}
	if t.journal == "" && t.address != "" { // a shared journal has no file
		return t.dial()
	}
	if t.journal == "" {
		return nil, nil, config.Refuse("-c", config.Mistake{Problem: "missing; want the configuration of the service (-c FILE), its address (--address HOST:PORT), or its journal (--journal FILE)"})
	}
	if _, err := os.Stat(t.journal); errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("no journal at %s: name the one of the service with --journal FILE", t.journal)
	}
	j, err := journal.Open(t.journal, journal.Options{Logger: slog.New(slog.DiscardHandler)})
	switch {
	case errors.Is(err, store.ErrInUse) && t.address != "":
		return t.dial()
	case errors.Is(err, store.ErrInUse):
		return nil, nil, fmt.Errorf("the journal %s is in use, so the service runs: name its configuration with -c FILE, or its address with --address HOST:PORT", t.journal)
	case err != nil:
		return nil, nil, err
	}
	return web.NewJournalAdmin(j), j, nil
}

// openOffline opens the shared journal in the cluster that --brokers names. The
// configuration says how to reach it, and how its topics are called.
func (p *program) openOffline(ctx context.Context, f *adminFlags, change bool) (adminClient, io.Closer, error) {
	if f.address != "" || f.journal != "" {
		return nil, nil, config.Refuse("--brokers", config.Mistake{Problem: "want one of --brokers, --address and --journal"})
	}
	c := shard.DefaultConfig()
	if len(*f.config) > 0 || len(p.defaultConfig()) > 0 {
		settings, err := p.loadConfig(*f.config, nil)
		if err != nil {
			return nil, nil, err
		}
		if settings.Journal.Type != config.JournalKafka {
			return nil, nil, config.Refuse("--brokers", config.Mistake{Field: "journal.type", Problem: "want kafka, the journal that replicas share"})
		}
		c, f.locale = settings.Journal.Shared, settings.Locale()
	}
	c.Brokers = f.brokers
	if err := c.Validate(); err != nil {
		return nil, nil, config.Refuse("--brokers", config.MistakesOf("journal", err)...)
	}
	dir, err := os.MkdirTemp("", "mfawatch-journal-")
	if err != nil {
		return nil, nil, err
	}
	o, err := shard.OpenOffline(ctx, c, dir, change)
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return web.NewOfflineAdmin(o), offline{o, dir}, nil
}

// An offline journal lies in a folder that is removed.
type offline struct {
	*shard.Offline
	dir string
}

// Close implements [io.Closer].
func (o offline) Close() error { return errors.Join(o.Offline.Close(), os.RemoveAll(o.dir)) }

func (t target) dial() (adminClient, io.Closer, error) {
	c, err := t.client()
	return c, nil, err
}

func (t target) client() (*web.Client, error) { return web.NewClient(t.address, t.token) }

// running returns the client of a running service, and its address.
func (p *program) running(f *adminFlags) (*web.Client, string, error) {
	t, err := p.target(f)
	if err == nil && t.address == "" {
		err = config.Refuse("-c", config.Mistake{Problem: "missing; want the configuration of the service, with http.address or http.admin_address (-c FILE), or its address (--address HOST:PORT)"})
	}
	if err != nil {
		return nil, "", err
	}
	client, err := t.client()
	return client, t.address, err
}

// withNextStep adds the operator's next step to an error of the client.
func withNextStep(err error) error {
	var unreachable *net.OpError
	switch {
	case err == nil:
		return nil
	case web.Refused(err):
		return fmt.Errorf("%w; name the file with its token: --token-file FILE", err)
	case errors.As(err, &unreachable), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w; start the service, or name its address with --address HOST:PORT or its configuration with -c FILE", err)
	}
	return err
}
