package service

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/sources/sourcetest"
)

// A sharedReplica is a running service with a shared journal.
type sharedReplica struct {
	*Pipeline
	stop func()
}

func startShared(t testing.TB, load func(reload int) (*config.Config, error)) *sharedReplica {
	t.Helper()
	c, err := load(0)
	if err != nil {
		t.Fatal(err)
	}
	reg, reloads := prometheus.NewRegistry(), 0
	p, err := New(c, config.Deps{Log: slog.New(slog.DiscardHandler), Level: new(slog.LevelVar), Metrics: reg}, reg, func() (*config.Config, error) {
		reloads++
		return load(reloads)
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	r := &sharedReplica{Pipeline: p}
	r.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		r.stop = func() {}
	}
	t.Cleanup(func() { r.stop() })
	return r
}

func (p *Pipeline) problems() (all []string) {
	for part, err := range p.Ready {
		if err != nil {
			all = append(all, part+": "+err.Error())
		}
	}
	return all
}

func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	sourcetest.Eventually(t, done, func() string { return "waited for " + what })
}

// Two replicas share a journal: however events reach them, while the configuration
// changes and one of them stops, each alert is in the topic once, and at the hook.
func TestSharedJournal(t *testing.T) {
	t.Parallel() // it waits for brokers
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, "alerts"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumeTopics("alerts"), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	hook := &counts{delivered: map[string]map[string]int{}}
	server := httptest.NewServer(hook)
	defer server.Close()
	replica := func(name string) *sharedReplica {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "none.json"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return startShared(t, func(reload int) (*config.Config, error) {
			return config.Load("test", fmt.Appendf(nil, `
sources: {in: {type: files, paths: [%[1]q]}}
sinks:
  hook: {type: webhook, url: '%[2]s/hook', timeout: %[3]d.5s}
  topic: {type: kafka, brokers: [%[4]q], topic: alerts}
journal: {type: kafka, brokers: [%[4]q], path: %[5]q, partitions: 4, replication: 1, instance: %[6]s}
http: {address: '127.0.0.1:0'}
escalate_after: [12h]
`, filepath.Join(dir, "none.json"), server.URL, 12+reload, cluster.ListenAddrs()[0], filepath.Join(dir, "cache"), name), nil, nil)
		})
	}
	a := replica("a")
	until(t, "the first replica", func() bool { return len(a.Journals()) == 4 })
	b := replica("b")
	until(t, "the second replica", func() bool { return len(a.Journals()) == 2 && len(b.Journals()) == 2 })
	delivered, sent := map[string]int{}, 0
	produce := func(p *sharedReplica, n int) {
		t.Helper()
		var events []*trail.Event
		for range n {
			account, user := fmt.Sprintf("%012d", sent%40), fmt.Sprint("user", sent)
			events = append(events, &trail.Event{
				ID: fmt.Sprint("e", sent), Time: time.Now().Add(-2 * time.Minute).UTC().Truncate(time.Second), Source: trail.SourceIAM, Name: trail.DeactivateMFADevice, Partition: "aws",
				Account: account, User: user, Serial: "arn:aws:iam::" + account + ":mfa/" + user, Raw: json.RawMessage(`{}`),
				Actor: trail.Actor{Type: "IAMUser", Name: fmt.Sprint("admin", sent)},
			})
			sent++
		}
		if _, err := p.Append(t.Context(), events); err != nil {
			t.Fatal(err)
		}
	}
	read := func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		client.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			var alert struct{ ID string }
			if err := json.Unmarshal(r.Value, &alert); err != nil {
				t.Error(err)
			}
			delivered[alert.ID]++
		})
		hook.mu.Lock()
		defer hook.mu.Unlock()
		return len(delivered) >= sent && len(hook.delivered["/hook"]) >= sent
	}
	arrived := func() int {
		hook.mu.Lock()
		defer hook.mu.Unlock()
		return len(delivered) + len(hook.delivered["/hook"])
	}
	// steadily waits until done, however slow the machine: each wait is for one more.
	steadily := func(what string, done func() bool) {
		t.Helper()
		for ended := false; !ended; {
			before := arrived()
			until(t, what, func() bool { ended = done(); return ended || arrived() > before })
		}
	}
	produce(a, 200)
	if changes, err := a.Reload(); err != nil || changes.String() != "restarted sink hook" {
		t.Errorf("%v, %v", changes, err)
	}
	produce(b, 200)
	steadily("one more alert of two replicas", read)
	if problems := append(a.problems(), b.problems()...); len(problems) > 0 {
		t.Errorf("not ready: %q", problems)
	}
	if open := (intake{a.cluster, a.Pipeline}).Open(); len(open) == 0 || len(open) >= sent {
		t.Errorf("a replica has %d of %d open exposures", len(open), sent)
	}
	produce(a, 100)
	b.stop()
	produce(a, 100)
	steadily("one more alert of the replica that is left", read)
	if len(delivered) != sent {
		t.Errorf("%d alerts, want %d", len(delivered), sent)
	}
	for id, n := range delivered {
		if n != 1 {
			t.Errorf("alert %s is in the topic %d times", id, n)
		}
	}
	families, err := a.Gather()
	if err != nil {
		t.Error(err)
	}
	if i := slices.IndexFunc(families, func(f *dto.MetricFamily) bool { return f.GetName() == "mfawatch_journal_fsync_duration_seconds" }); i < 0 ||
		len(families[i].GetMetric()) != 1 || families[i].GetMetric()[0].GetHistogram().GetSampleSum() <= 0 {
		t.Error("commits of the shards are not measured")
	}
	started := time.Now()
	produce(a, 3000)
	steadily("one more alert of a burst at the topic", func() bool { return read() || len(delivered) >= sent })
	t.Logf("%.0f events/s through one replica to the topic", 3000/time.Since(started).Seconds())
	steadily("one more alert of a burst", read)
}
