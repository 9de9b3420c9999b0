package service

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/sources/awstest"
)

// Two replicas read one queue, in which each message is twice, and one of the
// replicas stops: each removal is alerted once.
func TestSharedQueue(t *testing.T) {
	t.Parallel() // it waits for brokers
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, "alerts"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	reader, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumeTopics("alerts"), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	server := awstest.New()
	defer server.Close()
	const objects = 150
	for i := range objects {
		key := fmt.Sprintf("AWSLogs/111122223333/CloudTrail/eu-central-1/2026/05/01/%d.json", i)
		server.Put("trail", key, fmt.Appendf(nil, `{"Records":[{"eventVersion":"1.08","eventTime":"2026-05-01T08:03:11Z","eventSource":"iam.amazonaws.com",
"eventName":"DeactivateMFADevice","awsRegion":"us-east-1","recipientAccountId":"%012d","eventID":"e%d","requestParameters":{"userName":"user%[2]d",
"serialNumber":"arn:aws:iam::%012[1]d:mfa/user%[2]d"},"userIdentity":{"type":"IAMUser","accountId":"%012[1]d","userName":"admin%[2]d"}}]}`, i%20, i))
		for range 2 {
			server.Send(fmt.Sprintf(`{"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"trail"},"object":{"key":%q}}}]}`, key))
		}
	}
	replica := func(name string) *sharedReplica {
		return startShared(t, func(int) (*config.Config, error) {
			return config.Load("test", fmt.Appendf(nil, `
sources: {trail: {type: s3, queue_url: '%[1]s', endpoint: '%[2]s', access_key_id: AKIATEST, secret_access_key: test}}
sinks: {topic: {type: kafka, brokers: [%[3]q], topic: alerts}}
journal: {type: kafka, brokers: [%[3]q], path: %[4]q, partitions: 4, replication: 1, instance: %[5]s}
http: {address: '127.0.0.1:0'}
escalate_after: []
campaign: {users: 0}
`, awstest.QueueURL, server.URL, cluster.ListenAddrs()[0], filepath.Join(t.TempDir(), "cache"), name), nil, nil)
		})
	}
	replica("a")
	b := replica("b")
	until(t, "half of the queue", func() bool { return server.Left() <= objects })
	b.stop()
	server.Expire() // messages that b had received
	arrived := map[string]int{}
	until(t, "all alerts", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		reader.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			var alert struct{ ID, User, Step string }
			if err := json.Unmarshal(r.Value, &alert); err != nil {
				t.Error(err)
			}
			arrived[alert.User+" "+alert.Step+" "+alert.ID]++
		})
		return len(arrived) >= objects && server.Left() == 0
	})
	if len(arrived) != objects {
		t.Errorf("%d alerts, want %d", len(arrived), objects)
	}
	for alert, n := range arrived {
		if n != 1 {
			t.Errorf("%s is in the topic %d times", alert, n)
		}
	}
}
