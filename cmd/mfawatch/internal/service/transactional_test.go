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

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// An alert that its topic does not accept becomes a dead letter, and holds up no
// other alert and no event.
func TestAlertTooLarge(t *testing.T) {
	t.Parallel() // it waits for brokers
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumeTopics("alerts"), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).CreateTopic(t.Context(), 1, 1, map[string]*string{"max.message.bytes": kadm.StringPtr("20000")}, "alerts"); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "none.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := startShared(t, func(int) (*config.Config, error) {
		return config.Load("test", fmt.Appendf(nil, `
sources: {in: {type: files, paths: [%q]}}
sinks: {topic: {type: kafka, brokers: [%[2]q], topic: alerts}}
journal: {type: kafka, brokers: [%[2]q], path: %[3]q, partitions: 1, replication: 1, instance: a}
http: {address: '127.0.0.1:0'}
escalate_after: []
campaign: {users: 0}
`, filepath.Join(dir, "none.json"), cluster.ListenAddrs()[0], filepath.Join(dir, "cache")), nil, nil)
	})
	until(t, "the replica", func() bool { return len(r.Journals()) == 1 })
	const n = 40
	var events []*trail.Event
	for i := range n {
		text := []byte("x")
		if i == n/2 {
			for j := range 20_000 { // which does not compress well
				text = fmt.Append(text, j*j)
			}
		}
		user := fmt.Sprint("user", i)
		events = append(events, &trail.Event{
			ID: fmt.Sprint("e", i), Time: time.Now().UTC().Truncate(time.Second), Source: trail.SourceIAM, Name: trail.DeactivateMFADevice, Partition: "aws",
			Account: "111122223333", User: user, Serial: "arn:aws:iam::111122223333:mfa/" + user, Raw: json.RawMessage(`{"p":"` + string(text) + `"}`),
			Actor: trail.Actor{Type: "IAMUser", Name: fmt.Sprint("admin", i)},
		})
	}
	if _, err := r.Append(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	alerts := 0
	until(t, "the alerts", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		alerts += client.PollFetches(ctx).NumRecords()
		st, err := r.Stats()
		if err != nil {
			t.Fatal(err)
		}
		return alerts == n-1 && st.Sinks["topic"].Dead == 1 && st.Sinks["topic"].Pending == 0
	})
	dead, err := r.Journals()[0].DeadLetters("topic")
	if err != nil || len(dead) != 1 || !strings.Contains(dead[0].Cause, "MESSAGE_TOO_LARGE") {
		t.Errorf("%v, %v", dead, err)
	}
	if problems := r.problems(); len(problems) > 0 {
		t.Errorf("not ready: %q", problems)
	}
}
