package sinks

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestKafkaConforms(t *testing.T) {
	everyKafka(t, func(t *testing.T, fake *kfake.Cluster, seeds []string) {
		conforms(t, conformant{start: func(t *testing.T) *conformServer {
			topic := kafkaTopic(t, seeds, 4, nil)
			return &conformServer{
				sink: func() (Sink, error) {
					return newKafka(KafkaConfig{Topic: topic}, []kgo.Opt{kgo.SeedBrokers(seeds...), kgo.MetadataMinAge(20 * time.Millisecond)}, 10*time.Second)
				},
				holds: func(a *processor.Alert) held { return conformRecords(kafkaRecords(t, seeds, topic, a), a) },
				inject: func(f fault) bool {
					if fake == nil || f.status != http.StatusServiceUnavailable {
						return false // what else a broker does wrong the client gets over, or is in a test of its own
					}
					fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Err: kerr.PolicyViolation, Count: 1})
					return true
				},
				bodies: func() []string { return nil },
			}
		}})
	})
}

// kafkaRecords reads the topic to its end, for the alerts of one exposure.
func kafkaRecords(t *testing.T, seeds []string, topic string, of *processor.Alert) (records []*processor.Alert) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(seeds...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	want := int64(0)
	ends.Each(func(o kadm.ListedOffset) { want += o.Offset })
	for read := int64(0); read < want; {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("read %d alerts, want %d", read, want)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			read++
			records = append(records, recordsOf(t, append(r.Value, '\n'), of)...)
		})
	}
	return records
}
