package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/demo"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/web"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/sinks/message"
	"github.com/mfawatch/mfawatch/sinks/stdout"
)

// demoUser is the user whose exposure the replica that is killed knows of.
const demoUser = "erin"

// Bounds of the demo with replicas.
const (
	demoStart  = time.Minute     // until all replicas serve
	demoSettle = 2 * time.Minute // after the trail ends
	demoPoll   = 100 * time.Millisecond
)

// A replicasDemo is a demo with several replicas.
type replicasDemo struct {
	*program
	out      *demo.Paragraphs
	client   *kgo.Client // reads the alerts
	replicas []*demoReplica
	exposed  chan struct{} // closed with the first alert about demoUser

	mu     sync.Mutex
	alerts []exposure.Alert // of the topic
}

// demoReplicas runs the demo with n replicas.
func (p *program) demoReplicas(ctx context.Context, n int, once bool) (err error) {
	records, err := demo.ReadTrail()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mfawatch-demo-")
	if err != nil {
		return fmt.Errorf("a folder for the demo's replicas: %w", err)
	}
	defer os.RemoveAll(dir)
	client, broker, stopBroker, err := demoBroker()
	if err != nil {
		return err
	}
	defer stopBroker()
	d := &replicasDemo{program: p, out: demo.NewParagraphs(p.stdout, p.colours()), client: client, exposed: make(chan struct{})}
	defer func() {
		var ending errgroup.Group
		for _, r := range d.replicas {
			ending.Go(r.stop)
		}
		err = errors.Join(err, ending.Wait())
	}()
	for i := range n {
		r, err := startDemoReplica(dir, broker, fmt.Sprintf("replica-%d", i+1))
		if err != nil {
			return err
		}
		d.replicas = append(d.replicas, r)
	}
	fmt.Fprintf(d.out, demo.Replicated, len(records), n)
	ctx, stop := context.WithCancel(ctx)
	reading := make(chan error, 1)
	go func() { reading <- d.read(ctx) }()
	err = d.play(ctx, records, filepath.Join(dir, "alone.db"), once)
	stop()
	return errors.Join(err, <-reading)
}

// play publishes the trail, has a replica killed, and says what became of it all.
func (d *replicasDemo) play(ctx context.Context, records []demo.Record, alone string, once bool) error {
	starting, cancel := context.WithTimeout(ctx, demoStart)
	defer cancel()
	list, err := d.served(starting)
	if err != nil {
		return d.explain("the replicas do not start", err)
	}
	fmt.Fprint(d.out, owners(list.Shards))
	var published [][]byte
	ended := make(chan struct{})
	playing, acting := errgroup.WithContext(ctx)
	playing.Go(func() (err error) {
		defer close(ended)
		published, err = demo.Publish(acting, d.client, records, d.out)
		return err
	})
	playing.Go(func() error {
		select {
		case <-d.exposed:
		case <-ended: // the machine is slow
		case <-acting.Done():
			return acting.Err()
		}
		return d.crash(acting)
	})
	if err := playing.Wait(); err != nil {
		return err
	}
	wanted, err := foundAlone(ctx, alone, published)
	if err != nil {
		return err
	}
	settling, cancel := context.WithTimeout(ctx, demoSettle)
	defer cancel()
	var found []web.Exposure
	err = every(settling, demoPoll, func() (settled bool, err error) {
		found, settled, err = d.settled(settling, wanted)
		return settled, err
	})
	if err != nil {
		return d.explain(fmt.Sprintf("%d exposures are in the journal, and %d in that of one replica", len(found), len(wanted)), err)
	}
	if err := d.tally(len(records), found); err != nil {
		return err
	}
	if once {
		fmt.Fprint(d.out, demo.Next)
		return nil
	}
	fmt.Fprintf(d.out, demo.Stay, d.alive().address)
	<-ctx.Done()
	return ctx.Err()
}

// read prints the alerts of the topic until ctx is done.
func (d *replicasDemo) read(ctx context.Context) error {
	sink, err := stdout.New(stdout.Config{Format: "text"}, message.Wording{}, d.out)
	if err != nil {
		return err
	}
	sink.Color = d.colours()
	for {
		fetches := d.client.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("read the alerts topic: %w", err)
		}
		for r := range fetches.RecordsAll() {
			var a exposure.Alert
			if err := json.Unmarshal(r.Value, &a); err != nil {
				return fmt.Errorf("alerts topic, offset %d: %w", r.Offset, err)
			}
			if _, err := sink.Send(ctx, &a, ""); err != nil {
				return err
			}
			d.mu.Lock()
			known := slices.ContainsFunc(d.alerts, isOfDemoUser)
			d.alerts = append(d.alerts, a)
			d.mu.Unlock()
			if isOfDemoUser(a) && !known {
				close(d.exposed)
			}
		}
	}
}

func isOfDemoUser(a exposure.Alert) bool { return deref(a.User) == demoUser }

// served waits until living replicas serve all shards, and each of them one.
func (d *replicasDemo) served(ctx context.Context) (list web.ShardList, err error) {
	return list, every(ctx, demoPoll, func() (bool, error) {
		r := d.alive()
		if !r.reached() {
			return false, r.ended()
		}
		if list, err = r.client.ListShards(ctx); err != nil {
			return false, nil // it starts
		}
		owners := map[string]bool{}
		for _, s := range list.Shards {
			owners[s.Owner] = true
			if s.State != "serving" || !d.lives(s.Owner) {
				return false, nil
			}
		}
		living := 0
		for _, r := range d.replicas {
			if !r.killed {
				living++
			}
		}
		return len(owners) == living, nil
	})
}

func (d *replicasDemo) lives(name string) bool {
	return slices.ContainsFunc(d.replicas, func(r *demoReplica) bool { return r.name == name && !r.killed })
}

// alive returns the first replica that was not killed.
func (d *replicasDemo) alive() *demoReplica {
	return d.replicas[slices.IndexFunc(d.replicas, func(r *demoReplica) bool { return !r.killed })]
}

// crash kills the replica with the most open exposures, and waits until others
// serve its shards.
func (d *replicasDemo) crash(ctx context.Context) error {
	list, err := d.served(ctx)
	if err != nil {
		return err
	}
	open := map[string]int{}
	victim := d.replicas[0]
	for _, s := range list.Shards {
		open[s.Owner] += s.Open
	}
	for _, r := range d.replicas {
		if open[r.name] > open[victim.name] {
			victim = r
		}
	}
	if err := victim.kill(); err != nil {
		return err
	}
	killed := time.Now()
	d.out.Heading(fmt.Sprintf("%s  %s is killed, with %s", killed.UTC().Format("15:04:05Z"), victim.name, output.Count(int64(open[victim.name]), "open exposure")))
	after, err := d.served(ctx)
	if err != nil {
		return err
	}
	d.out.Heading(fmt.Sprintf("%s  after %s others have its shards: %s", time.Now().UTC().Format("15:04:05Z"), time.Since(killed).Round(100*time.Millisecond), movedShards(list.Shards, after.Shards)))
	return nil
}

// settled reports whether the replicas know of the exposures that were wanted, and
// have sent every alert.
func (d *replicasDemo) settled(ctx context.Context, wanted []web.Exposure) (found []web.Exposure, settled bool, err error) {
	client, err := d.alive().dial()
	if err != nil {
		return nil, false, err
	}
	page, err := client.ListExposures(ctx, web.ExposureFilter{Limit: 1000})
	if err != nil {
		return nil, false, nil // a shard moves
	}
	alerts, err := client.ListAlerts(ctx, "", 1000)
	if err != nil || len(client.Unanswered()) > 0 || !slices.EqualFunc(page.Exposures, wanted, func(a, b web.Exposure) bool { return a.ID == b.ID && a.State == b.State }) {
		return page.Exposures, false, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, a := range alerts.Alerts {
		for _, s := range a.Deliveries {
			sent := slices.ContainsFunc(d.alerts, func(x exposure.Alert) bool { return x.ID == a.Alert.ID })
			if s.State == outbox.StatePending || s.State == outbox.StateDelivered && !sent {
				return page.Exposures, false, nil
			}
		}
	}
	return page.Exposures, true, nil
}

// tally sums up, and fails if an alert came twice.
func (d *replicasDemo) tally(records int, found []web.Exposure) error {
	d.mu.Lock()
	alerts := slices.Clone(d.alerts)
	d.mu.Unlock()
	var open []demo.Open
	for _, x := range found {
		if x.ResolvedAt == nil && x.State != web.StateReduced {
			open = append(open, demo.Open{User: x.User, Severity: x.Severity, Since: x.OpenedAt})
		}
	}
	fmt.Fprint(d.out, demo.Tally(records, alerts, open))
	times := map[string]int{}
	for _, a := range alerts {
		if times[a.ID]++; times[a.ID] > 1 {
			return fmt.Errorf("alert %s came twice", a.ID)
		}
	}
	fmt.Fprintf(d.out, demo.Whole, len(found), len(alerts))
	return nil
}

// explain adds what the replicas wrote to their logs.
func (d *replicasDemo) explain(what string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	for _, r := range d.replicas {
		err = fmt.Errorf("%w\n%s: %s", err, r.name, r.log())
	}
	return fmt.Errorf("%s: %w", what, err)
}
