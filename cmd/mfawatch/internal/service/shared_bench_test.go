package service

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// BenchmarkSharedJournal measures a replica with a shared journal, from the intake of
// events to committed records of the alerts topic. Each event opens an exposure.
// MFAWATCH_TEST_KAFKA names a real Kafka.
func BenchmarkSharedJournal(b *testing.B) {
	const partitions, accounts, callers, perCall = 24, 200, 8, 20
	brokers, topic := strings.Split(os.Getenv("MFAWATCH_TEST_KAFKA"), ","), fmt.Sprintf("bench-%d", time.Now().UnixNano())
	if brokers[0] == "" {
		cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
		if err != nil {
			b.Fatal(err)
		}
		defer cluster.Close()
		brokers = cluster.ListenAddrs()
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxWait(50*time.Millisecond))
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	if _, err := admin.CreateTopic(b.Context(), 3, 1, nil, topic); err != nil {
		b.Fatal(err)
	}
	defer func() {
		_, _ = admin.DeleteTopics(context.Background(), topic, topic+"-j-events", topic+"-j-journal")
	}()
	dir := b.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "none.json"), nil, 0o600); err != nil {
		b.Fatal(err)
	}
	r := startShared(b, func(int) (*config.Config, error) {
		return config.Load("test", fmt.Appendf(nil, `
sources: {in: {type: files, paths: [%q]}}
sinks: {topic: {type: kafka, brokers: [%[2]q], topic: %[3]s}}
journal: {type: kafka, brokers: [%[2]q], topic: %[3]s-j, path: %[4]q, partitions: %[5]d, replication: 1, instance: a}
http: {address: '127.0.0.1:0'}
`, filepath.Join(dir, "none.json"), brokers[0], topic, filepath.Join(dir, "cache"), partitions), nil, nil)
	})
	until(b, "the replica", func() bool { return len(r.Journals()) == partitions })
	now, sent := time.Now().UTC().Truncate(time.Second), 0
	for b.Loop() {
		var calls errgroup.Group
		calls.SetLimit(callers)
		const n = 4000
		started := time.Now()
		for range n / perCall {
			var events []*trail.Event
			for range perCall {
				account, user := fmt.Sprintf("%012d", sent%accounts), fmt.Sprint("user", sent)
				events = append(events, &trail.Event{
					ID: fmt.Sprint("e", sent), Time: now, Source: trail.SourceIAM, Name: trail.DeactivateMFADevice, Partition: "aws",
					Account: account, User: user, Serial: "arn:aws:iam::" + account + ":mfa/" + user, Raw: json.RawMessage(`{"p":"` + strings.Repeat("x", 1500) + `"}`),
					Actor: trail.Actor{Type: "IAMUser", Name: fmt.Sprint("admin", sent)},
				})
				sent++
			}
			calls.Go(func() error {
				_, err := r.Append(b.Context(), events)
				return err
			})
		}
		if err := calls.Wait(); err != nil {
			b.Fatal(err)
		}
		appended := time.Since(started)
		for got := 0; got < n; {
			fetches := client.PollFetches(b.Context())
			if err := fetches.Err(); err != nil {
				b.Fatal(err)
			}
			got += fetches.NumRecords()
		}
		b.ReportMetric(n/time.Since(started).Seconds(), "events/s")
		b.ReportMetric(n/appended.Seconds(), "intake/s")
		b.ReportMetric(transactions(b, r)/float64(sent), "transactions/event")
	}
}

func transactions(b *testing.B, r *sharedReplica) (n float64) {
	families, err := r.Gather()
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "mfawatch_shard_transactions_total" {
			for _, m := range f.GetMetric() {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}
