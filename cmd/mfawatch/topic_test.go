package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mfawatch/mfawatch/processor"
)

// A record produced to a topic comes out as an alert on the alerts topic: on
// kfake, or on the Kafka that MFAWATCH_TEST_KAFKA names.
func TestKafkaTopicToTopic(t *testing.T) {
	in, out := newKillTopic(t), newKillTopic(t)
	config := filepath.Join(t.TempDir(), "mfawatch.yaml")
	text := fmt.Sprintf(`
sources: {trail: {type: kafka, brokers: [%s], topics: [%s], group: %s}}
sinks: {alerts: {type: kafka, brokers: [%s], topic: %s}}
journal: {path: %s}
http: {address: "127.0.0.1:0"}
`, strings.Join(in.seeds, ", "), in.name, in.group, strings.Join(out.seeds, ", "), out.name, filepath.Join(t.TempDir(), "journal.db"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startService(t, config)

	record := fmt.Sprintf(`{"eventVersion":"1.11","userIdentity":{"type":"IAMUser","userName":"alice","arn":"arn:aws:iam::111122223333:user/alice","accountId":"111122223333"},`+
		`"eventTime":%q,"eventSource":"iam.amazonaws.com","eventName":"DeactivateMFADevice","awsRegion":"us-east-1",`+
		`"requestParameters":{"userName":"Bob","serialNumber":"arn:aws:iam::111122223333:mfa/bob-phone"},"responseElements":null,"eventID":"e-1"}`,
		time.Now().UTC().Format(time.RFC3339))
	if err := in.client.ProduceSync(t.Context(), kgo.StringRecord(record)).FirstErr(); err != nil {
		t.Fatal(err)
	}

	client, err := kgo.NewClient(kgo.SeedBrokers(out.seeds...), kgo.ConsumeTopics(out.name), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var got *kgo.Record
	for got == nil {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("no alert came: %v\n%s", fetches.Err(), s.logged())
		}
		fetches.EachRecord(func(r *kgo.Record) { got = r })
	}
	var a processor.Alert
	if err := json.Unmarshal(got.Value, &a); err != nil {
		t.Fatal(err)
	}
	if a.Step != "opened" || a.User == nil || *a.User != "Bob" || a.Actor.Name != "alice" || a.Event.ID != "e-1" ||
		!strings.HasPrefix(a.Event.Origin, "kafka://"+in.name+"/") || string(got.Key) != "111122223333/bob" {
		t.Errorf("key %s, alert %s", got.Key, got.Value)
	}
	headers := map[string]string{}
	for _, h := range got.Headers {
		headers[h.Key] = string(h.Value)
	}
	if headers["schema"] != a.Schema || headers["step"] != "opened" || headers["severity"] != "high" {
		t.Errorf("headers %v", headers)
	}
	if err := s.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	s.ends(t, 0, patience)
}
