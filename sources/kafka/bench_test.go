package kafka

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/sources"
)

// benchRecord is a CloudTrail record of the usual size that no rule watches
// for, with what differs from one to the next left open.
const benchRecord = `{"eventVersion":"1.08","userIdentity":{"type":"AssumedRole","principalId":"AROAEXAMPLE:i-0123456789abcdef0","arn":"arn:aws:sts::111122223333:assumed-role/app/i-0123456789abcdef0","accountId":"111122223333","accessKeyId":"ASIAEXAMPLE","sessionContext":{"sessionIssuer":{"type":"Role","principalId":"AROAEXAMPLE","arn":"arn:aws:iam::111122223333:role/app","accountId":"111122223333","userName":"app"},"attributes":{"creationDate":"2026-05-01T07:00:00Z","mfaAuthenticated":"false"}}},"eventTime":"2026-05-01T08:00:00Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"us-east-1","sourceIPAddress":"2001:db8::%[4]x","userAgent":"[aws-sdk-go-v2/1.47.7 os/linux lang/go#1.26.8 md/GOOS#linux md/GOARCH#amd64]","requestParameters":{"bucketName":"example-bucket","Host":"example-bucket.s3.us-east-1.amazonaws.com","key":"%[1]x/%[2]x/%[3]x/some/more/folders/of/an/application/object"},"responseElements":null,"additionalEventData":{"SignatureVersion":"SigV4","CipherSuite":"TLS_AES_128_GCM_SHA256","bytesTransferredIn":0,"AuthenticationMethod":"AuthHeader","x-amz-id-2":"%[1]x%[2]x%[3]x","bytesTransferredOut":4096},"requestID":"%[1]X","eventID":"%[2]x-%[3]x","readOnly":true,"resources":[{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::example-bucket/%[1]x/%[2]x/%[3]x/some/more/folders/of/an/application/object"},{"accountId":"111122223333","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::example-bucket"}],"eventType":"AwsApiCall","managementEvent":false,"recipientAccountId":"111122223333","eventCategory":"Data"}`

const benchRecords = 200_000

// benchCluster holds a topic full of records.
func benchCluster(b *testing.B, partitions int) (seeds []string, topic string) {
	b.Helper()
	fake, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(int32(partitions), "bench"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(fake.Close)
	p, err := kgo.NewClient(kgo.SeedBrokers(fake.ListenAddrs()...), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()), kgo.ProducerBatchCompression(kgo.ZstdCompression()))
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	random := rand.New(rand.NewPCG(1, 2))
	for range benchRecords {
		value := fmt.Appendf(nil, benchRecord, random.Uint64(), random.Uint64(), random.Uint64(), random.Uint32N(1<<16))
		p.Produce(b.Context(), &kgo.Record{Topic: "bench", Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				b.Error(err)
			}
		})
	}
	if err := p.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	return fake.ListenAddrs(), "bench"
}

// BenchmarkKafka reads one topic with a bare client that throws every record
// away, and with the source: with a handler that does the same, and with one
// that looks at every record as the processor does. They take turns on one
// broker, and the ratios to the bare client are printed.
func BenchmarkKafka(b *testing.B) {
	seeds, topic := benchCluster(b, 4)
	ways := []struct {
		name string
		read func(b *testing.B) time.Duration
	}{
		{"bare", func(b *testing.B) time.Duration { return readBare(b, seeds, topic) }},
		{"noop", func(b *testing.B) time.Duration { return readSource(b, seeds, topic, countOnly) }},
		{"scan", func(b *testing.B) time.Duration { return readSource(b, seeds, topic, scan()) }},
	}
	spent := make(map[string]time.Duration)
	for range b.N {
		for _, w := range ways {
			spent[w.name] += w.read(b)
		}
	}
	for _, w := range ways {
		b.ReportMetric(float64(b.N)*benchRecords/spent[w.name].Seconds(), w.name+"-records/s")
		if w.name != "bare" {
			b.ReportMetric(spent["bare"].Seconds()/spent[w.name].Seconds(), w.name+"/bare")
		}
	}
	b.ReportMetric(0, "ns/op")
}

// readBare is the time that the last record takes to come.
func readBare(b *testing.B, seeds []string, topic string) time.Duration {
	b.Helper()
	began := time.Now()
	client, err := kgo.NewClient(kgo.SeedBrokers(seeds...), kgo.ConsumeTopics(topic), kgo.ConsumerGroup(name("bare")), kgo.DisableAutoCommit())
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	for n := 0; n < benchRecords; {
		n += client.PollFetches(b.Context()).NumRecords()
	}
	return time.Since(began)
}

func readSource(b *testing.B, seeds []string, topic string, h func(processor.Delivery) int) time.Duration {
	b.Helper()
	k, err := New("bench", Config{Topics: []string{topic}, Group: name("source")}, []kgo.Opt{kgo.SeedBrokers(seeds...)}, sources.Options{})
	if err != nil {
		b.Fatal(err)
	}
	var (
		n     atomic.Int64
		took  time.Duration
		began = time.Now()
	)
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	err = k.Run(ctx, func(_ context.Context, d processor.Delivery) error {
		if n.Add(int64(h(d))) == benchRecords {
			took = time.Since(began)
			cancel()
		}
		return nil
	})
	if err != nil || took == 0 {
		b.Fatalf("read %d: %v", n.Load(), err)
	}
	return took
}

func countOnly(d processor.Delivery) (n int) {
	for range d.Parts {
		n++
	}
	return n
}

// scan looks at every record, with a scanner for each handler that runs.
func scan() func(processor.Delivery) int {
	scanners := sync.Pool{New: func() any { return trail.NewScanner() }}
	return func(d processor.Delivery) (n int) {
		s := scanners.Get().(*trail.Scanner)
		defer scanners.Put(s)
		for part := range d.Parts {
			s.ScanBytes(part.Origin, part.Bytes, nobody{})
			n++
		}
		return n
	}
}

type nobody struct{}

func (nobody) Event(e *trail.Event)          { panic(fmt.Sprint("watched: ", e.Name)) }
func (nobody) Unreadable(u trail.Unreadable) { panic(fmt.Sprint("unreadable: ", u.Err)) }
