package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/demo"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/service"
)

// demoGroup is the group that reads the trail.
const demoGroup = "mfawatch-demo"

// demoConfig is the configuration of the demo. Its placeholders are the broker, the
// journal and the HTTP address. Delays are the defaults, as much faster as the
// trail.
const demoConfig = `
sources:
  trail: {type: kafka, brokers: [%[1]q], topics: [` + demo.Topic + `], group: ` + demoGroup + `}
sinks:
  console: {type: stdout, format: text}
  alerts: {type: kafka, brokers: [%[1]q], topic: ` + demo.AlertsTopic + `}
journal: {path: %[2]q}
http: {address: %[3]q}
escalate_after: [3s, 48s, 288s]
shutdown_timeout: 5s
log: {level: warn}
`

func (p *program) demoCommand() *cobra.Command {
	var once bool
	replicas := 1
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show what mfawatch does, with nothing to set up",
		Long: `Show what mfawatch does, with nothing to set up: a Kafka broker is started inside
this process, a trail of several exposures is published to it, and the
ordinary pipeline reads it and delivers its alerts here and to another topic.

With --replicas 3, three processes share a journal, and one of them is killed.`,
		Args: noArgument,
	}
	cmd.Flags().BoolVar(&once, "once", false, "end when every alert is delivered, instead of staying until Ctrl-C")
	cmd.Flags().IntVar(&replicas, "replicas", replicas, "`NUMBER` of replicas, 1 to 9; of several, one is killed")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if replicas < 1 || replicas > 9 {
			return config.Refuse("--replicas", config.Mistake{Problem: fmt.Sprintf("want a number from 1 to 9, got %d", replicas)})
		}
		ctx, stop := untilSignal(cmd.Context(), p.stderr)
		defer stop()
		run := p.demo
		if replicas > 1 {
			run = func(ctx context.Context, once bool) error { return p.demoReplicas(ctx, replicas, once) }
		}
		err := run(ctx, once)
		if ctx.Err() != nil && errors.Is(err, context.Canceled) {
			return nil // Ctrl-C is the way out
		}
		return err
	}
	return cmd
}

// demoBroker starts a Kafka broker within this process, and returns its address and
// a client that reads the topic of alerts from the start.
func demoBroker() (client *kgo.Client, address string, stop func(), err error) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, demo.Topic), kfake.SeedTopics(1, demo.AlertsTopic))
	if err != nil {
		return nil, "", nil, fmt.Errorf("start the demo's Kafka broker: %w", err)
	}
	address = cluster.ListenAddrs()[0]
	client, err = kgo.NewClient(kgo.SeedBrokers(address), kgo.ConsumeTopics(demo.AlertsTopic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		cluster.Close()
		return nil, "", nil, fmt.Errorf("reach the demo's Kafka broker: %w", err)
	}
	return client, address, func() { client.Close(); cluster.Close() }, nil
}

func (p *program) demo(ctx context.Context, once bool) error {
	trail, err := demo.ReadTrail()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mfawatch-demo-")
	if err != nil {
		return fmt.Errorf("a folder for the demo's journal: %w", err)
	}
	defer os.RemoveAll(dir)
	client, broker, stop, err := demoBroker()
	if err != nil {
		return err
	}
	defer stop()
	out := demo.NewParagraphs(p.stdout, p.colours())
	service, err := p.demoPipeline(broker, filepath.Join(dir, "mfawatch.db"), out)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, demo.Introduction, len(trail), service.web.Addr())

	running, stopRunning := context.WithCancel(ctx)
	defer stopRunning()
	g, running := errgroup.WithContext(running)
	g.Go(func() error { return service.Run(running) })
	g.Go(func() error {
		defer stopRunning()
		if err := p.playTrail(running, service, client, trail, out, once); err != nil {
			return err
		}
		if !once {
			<-running.Done()
		}
		return nil
	})
	return errors.Join(g.Wait(), service.Close())
}

// demoPipeline builds the pipeline, on another port if the default is taken.
func (p *program) demoPipeline(broker, journal string, out *demo.Paragraphs) (*served, error) {
	for _, address := range []string{config.Defaults().HTTP.Address, "127.0.0.1:0"} {
		c, err := config.Load("demo", fmt.Appendf(nil, demoConfig, broker, journal, address), nil, nil)
		if err != nil {
			return nil, err
		}
		service, err := p.newServed(c, out, nil)
		if !errors.Is(err, syscall.EADDRINUSE) {
			return service, err
		}
	}
	return nil, errors.New("no port for the demo's metrics")
}

// playTrail publishes the trail, waits until every alert is delivered, and writes a
// tally of the alerts topic.
func (p *program) playTrail(ctx context.Context, service *served, client *kgo.Client, trail []demo.Record, out *demo.Paragraphs, once bool) error {
	if err := waitReady(ctx, service.Pipeline); err != nil {
		return err
	}
	if _, err := demo.Publish(ctx, client, trail, out); err != nil {
		return err
	}
	admin := kadm.NewClient(client)
	if err := waitRead(ctx, admin); err != nil {
		return err
	}
	if err := service.Journal().Idle(ctx); err != nil {
		return fmt.Errorf("wait for the last alert: %w", err)
	}
	alerts, err := demo.ReadAlerts(ctx, client, admin)
	if err != nil {
		return err
	}
	var open []demo.Open
	for _, o := range service.Journal().Open() {
		open = append(open, demo.Open{User: o.User, Severity: o.Severity, Since: o.OpenedAt})
	}
	fmt.Fprint(out, demo.Tally(len(trail), alerts, open))
	if once {
		fmt.Fprint(out, demo.Next)
	} else {
		fmt.Fprintf(out, demo.Stay, service.web.Addr())
	}
	return nil
}

// waitReady waits until the source is ready.
func waitReady(ctx context.Context, s *service.Pipeline) error {
	return every(ctx, 20*time.Millisecond, func() (bool, error) {
		for part, err := range s.Ready {
			if part == "source trail" {
				return err == nil, nil
			}
		}
		return false, nil
	})
}

// waitRead waits until the group has committed every record.
func waitRead(ctx context.Context, admin *kadm.Client) error {
	return every(ctx, 50*time.Millisecond, func() (bool, error) {
		lags, err := admin.Lag(ctx, demoGroup)
		if err == nil {
			err = lags.Error()
		}
		if err != nil {
			return false, fmt.Errorf("ask how far the trail is read: %w", err)
		}
		return lags[demoGroup].Lag.Total() == 0, nil
	})
}

// every calls done at intervals until it reports true, fails, or ctx is done.
func every(ctx context.Context, interval time.Duration, done func() (bool, error)) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
