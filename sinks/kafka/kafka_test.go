package kafka

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/sinks"
)

// everyKafka runs f against kfake and, where MFAWATCH_TEST_KAFKA names brokers,
// against those. fake is nil for a real one.
func everyKafka(t *testing.T, f func(t *testing.T, fake *kfake.Cluster, seeds []string)) {
	t.Run("kfake", func(t *testing.T) {
		fake := fakeKafka(t)
		f(t, fake, fake.ListenAddrs())
	})
	t.Run("kafka", func(t *testing.T) {
		seeds := os.Getenv("MFAWATCH_TEST_KAFKA")
		if seeds == "" {
			t.Skip("needs a real Kafka: deploy/integration/kafka.sh run -- go test ./... starts one")
		}
		f(t, nil, strings.Split(seeds, ","))
	})
}

func fakeKafka(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	fake, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	return fake
}

// topic makes a topic that nothing else has.
func topic(t *testing.T, seeds []string, partitions int32, configs map[string]*string) string {
	t.Helper()
	topic := fmt.Sprintf("alerts-%d-%d", os.Getpid(), time.Now().UnixNano())
	client, err := kgo.NewClient(kgo.SeedBrokers(seeds...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).CreateTopic(t.Context(), partitions, 1, configs, topic); err != nil {
		t.Fatal(err)
	}
	return topic
}

func newTestSink(t *testing.T, seeds []string, topic string, timeout time.Duration) *Sink {
	t.Helper()
	k, err := New(Config{Topic: topic}, []kgo.Opt{kgo.SeedBrokers(seeds...), kgo.MetadataMinAge(20 * time.Millisecond), kgo.RecordDeliveryTimeout(timeout)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return k
}

func alert(id string, user *string) *processor.Alert {
	return &processor.Alert{Schema: exposure.Schema, ID: id, Step: exposure.Opened, Severity: exposure.High,
		Title: "MFA <removed> & gone", Account: "111122223333", User: user, Root: user != nil && *user == trail.RootUser}
}

func TestSend(t *testing.T) {
	everyKafka(t, func(t *testing.T, _ *kfake.Cluster, seeds []string) {
		topic := topic(t, seeds, 8, nil)
		k := newTestSink(t, seeds, topic, 10*time.Second)
		name := func(s string) *string { return &s }
		sent := []struct {
			user *string
			key  string
		}{
			{name("Alice.Example"), "111122223333/alice.example"},
			{name("alice.example"), "111122223333/alice.example"},
			{name(trail.RootUser), "111122223333/AWS ROOT USER"},
			{nil, "111122223333/"},
		}
		for i, s := range sent {
			ref, err := k.Send(t.Context(), alert(fmt.Sprint("id-", i), s.user), "")
			if err != nil || ref != "" {
				t.Fatalf("Send: %q %v", ref, err)
			}
		}
		client, err := kgo.NewClient(kgo.SeedBrokers(seeds...), kgo.ConsumeTopics(topic))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		got := make(map[string]*kgo.Record)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for len(got) < len(sent) {
			fetches := client.PollFetches(ctx)
			if ctx.Err() != nil {
				t.Fatalf("read %d alerts, want %d", len(got), len(sent))
			}
			fetches.EachRecord(func(r *kgo.Record) {
				var a processor.Alert
				if err := json.Unmarshal(r.Value, &a); err != nil {
					t.Fatal(err)
				}
				got[a.ID] = r
			})
		}
		for i, s := range sent {
			id := fmt.Sprint("id-", i)
			r := got[id]
			if string(r.Key) != s.key {
				t.Errorf("key %q, want %q", r.Key, s.key)
			}
			var headers []string
			for _, h := range r.Headers {
				headers = append(headers, h.Key+"="+string(h.Value))
			}
			if got, want := strings.Join(headers, " "), "schema=mfawatch.alert/v1 step=opened severity=high id="+id+" content-type=application/json"; got != want {
				t.Errorf("headers %s\nwant %s", got, want)
			}
			if text := string(r.Value); strings.HasSuffix(text, "\n") || !strings.Contains(text, `"MFA <removed> & gone"`) {
				t.Errorf("value %q", text)
			}
			if r.ProducerID < 0 {
				t.Error("not idempotent")
			}
		}
		if got["id-0"].Partition != got["id-1"].Partition || got["id-0"].Offset > got["id-1"].Offset {
			t.Error("one user's alerts are out of order")
		}
	})
}

func TestSendTooLarge(t *testing.T) {
	everyKafka(t, func(t *testing.T, _ *kfake.Cluster, seeds []string) {
		small := "1000"
		topic := topic(t, seeds, 1, map[string]*string{"max.message.bytes": &small})
		k := newTestSink(t, seeds, topic, 10*time.Second)
		for _, size := range []int{2000, 2 << 20} { // the broker's bound, and the client's
			a := alert("large", nil)
			a.Summary = strings.Repeat("x", size)
			_, err := k.Send(t.Context(), a, "")
			if v, _ := sinks.VerdictOf(err); v != sinks.VerdictPermanent || !errors.Is(err, kerr.MessageTooLarge) {
				t.Errorf("%d bytes: %s: %v", size, v, err)
			}
		}
		if _, err := k.Send(t.Context(), alert("small", nil), ""); err != nil {
			t.Errorf("the next: %v", err)
		}
	})
}

func TestSendUnknownTopic(t *testing.T) {
	everyKafka(t, func(t *testing.T, _ *kfake.Cluster, seeds []string) {
		k := newTestSink(t, seeds, "nowhere", 10*time.Second)
		_, err := k.Send(t.Context(), alert("a", nil), "")
		if v, _ := sinks.VerdictOf(err); v != sinks.VerdictMisconfigured || !strings.Contains(err.Error(), "kafka topic nowhere: ") || !strings.Contains(err.Error(), "create the topic") {
			t.Errorf("%s: %v", v, err)
		}
	})
}

func TestSendRefused(t *testing.T) {
	for _, tt := range []struct {
		err  *kerr.Error
		want sinks.Verdict
		says string
	}{
		{kerr.InvalidRecord, sinks.VerdictPermanent, "INVALID_RECORD"},
		{kerr.RecordListTooLarge, sinks.VerdictPermanent, "RECORD_LIST_TOO_LARGE"},
		{kerr.TopicAuthorizationFailed, sinks.VerdictMisconfigured, "allow the user to WRITE to the topic"},
		{kerr.ClusterAuthorizationFailed, sinks.VerdictMisconfigured, "allow the user to WRITE to the topic"},
		{kerr.UnknownServerError, sinks.VerdictRetry, "UNKNOWN_SERVER_ERROR"},
		{kerr.PolicyViolation, sinks.VerdictRetry, "POLICY_VIOLATION"},
	} {
		t.Run(tt.err.Message, func(t *testing.T) {
			fake := fakeKafka(t)
			topic := topic(t, fake.ListenAddrs(), 1, nil)
			k := newTestSink(t, fake.ListenAddrs(), topic, 2*time.Second)
			fault := fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Err: tt.err, Count: -1})
			_, err := k.Send(t.Context(), alert("a", nil), "")
			if v, _ := sinks.VerdictOf(err); v != tt.want || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s: %v, want %s", v, err, tt.want)
			}
			fault.Remove()
			if _, err := k.Send(t.Context(), alert("a", nil), ""); err != nil {
				t.Errorf("when it is allowed: %v", err)
			}
		})
	}
}

// A fault that passes by itself is got over within one Send.
func TestSendRetries(t *testing.T) {
	for _, fault := range []*kerr.Error{kerr.NotLeaderForPartition, kerr.NotEnoughReplicas, kerr.NotEnoughReplicasAfterAppend, kerr.RequestTimedOut} {
		fake := fakeKafka(t)
		topic := topic(t, fake.ListenAddrs(), 1, nil)
		k := newTestSink(t, fake.ListenAddrs(), topic, 10*time.Second)
		h := fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Err: fault, Count: 2})
		if _, err := k.Send(t.Context(), alert("a", nil), ""); err != nil || h.Hits() != 2 {
			t.Errorf("%s: %v after %d", fault.Message, err, h.Hits())
		}
		// Idempotent: that which was written when the broker said no is not
		// written again.
		if end := fake.PartitionInfo(topic, 0).HighWatermark; end != 1 {
			t.Errorf("%s: %d records, want 1", fault.Message, end)
		}
	}
}

// Send ends with its context, and with the delivery timeout, whatever the
// brokers do; and all the replicas that are in sync are waited for.
func TestSendSilentBroker(t *testing.T) {
	fake := fakeKafka(t)
	topic := topic(t, fake.ListenAddrs(), 1, nil)
	k := newTestSink(t, fake.ListenAddrs(), topic, time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	wake := make(chan struct{})
	acks := make(chan int16, 1)
	fake.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		acks <- r.(*kmsg.ProduceRequest).Acks
		go func() {
			for k.writes.n.Load() == 0 { // until the client knows that it has written
				runtime.Gosched()
			}
			cancel()
		}()
		fake.SleepControl(func() { <-wake })
		return nil, nil, false
	})
	began := time.Now()
	_, err := k.Send(ctx, alert("a", nil), "")
	if v, _ := sinks.VerdictOf(err); v != sinks.VerdictAmbiguous || !errors.Is(err, context.Canceled) || time.Since(began) > 5*time.Second {
		t.Errorf("%s: %v after %v", v, err, time.Since(began))
	}
	if got := <-acks; got != -1 {
		t.Errorf("acks %d, want all (-1)", got)
	}
	close(wake)
}

func TestSendUnreachable(t *testing.T) {
	fake := fakeKafka(t)
	seeds := fake.ListenAddrs()
	fake.Close()
	k := newTestSink(t, seeds, "alerts", time.Second)
	_, err := k.Send(t.Context(), alert("a", nil), "")
	if v, _ := sinks.VerdictOf(err); v != sinks.VerdictRetry || !strings.Contains(err.Error(), "check brokers") {
		t.Errorf("%s: %v", v, err)
	}
}

func TestConfig(t *testing.T) {
	for topic, want := range map[string]string{
		"mfawatch.alerts": "",
		"":                "topic: missing; want the topic that alerts go to, such as mfawatch.alerts",
		"a/b":             `topic: want a name of letters, digits, '.', '_' and '-', 249 at most, got "a/b"`,
	} {
		got := ""
		if err := (Config{Topic: topic}).Validate(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %s, want %s", topic, got, want)
		}
	}
}
