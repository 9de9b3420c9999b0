package kafka

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mfawatch/mfawatch/processor"

	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
)

func TestKafkaConforms(t *testing.T) {
	everyKafka(t, func(t *testing.T, fake *kfake.Cluster, seeds []string) {
		sinktest.Run(t, sinktest.Channel{Start: func(t *testing.T) *sinktest.Server {
			topic := topic(t, seeds, 4, nil)
			return &sinktest.Server{
				Sink: func() (sinks.Sink, error) {
					return New(Config{Topic: topic}, []kgo.Opt{kgo.SeedBrokers(seeds...), kgo.MetadataMinAge(20 * time.Millisecond), kgo.RecordDeliveryTimeout(10 * time.Second)})
				},
				Holds: func(a *processor.Alert) sinktest.Held { return sinktest.HeldRecords(recordsIn(t, seeds, topic, a), a) },
				Inject: func(f sinktest.Fault) bool {
					if fake == nil || f.Status != http.StatusServiceUnavailable {
						return false // what else a broker does wrong the client gets over, or is in a test of its own
					}
					fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Err: kerr.PolicyViolation, Count: 1})
					return true
				},
				Bodies: func() []string { return nil },
			}
		}})
	})
}

// recordsIn reads the topic to its end, for the alerts of one exposure.
func recordsIn(t *testing.T, seeds []string, topic string, of *processor.Alert) (records []*processor.Alert) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(seeds...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
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
			records = append(records, sinktest.Records(t, append(r.Value, '\n'), of)...)
		})
	}
	return records
}
