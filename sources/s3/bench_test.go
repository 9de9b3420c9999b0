package s3

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
	"github.com/mfawatch/mfawatch/sources"
	"github.com/mfawatch/mfawatch/sources/bucket"
)

// A benchAWS answers immediately, with the same objects over and over, in the
// place of the SDK's clients: the benchmark measures the source and the
// processor, and not the SDK and the network. It stands behind the two
// interfaces that the source declares.
type benchAWS struct {
	objects [][]byte
	bodies  []string // of messages, one for each object
	delay   time.Duration
	left    atomic.Int64
	deleted atomic.Int64
	total   int64
	done    func()
}

const benchObjectRecords = 8

func newBenchAWS() *benchAWS {
	a := new(benchAWS)
	m := trailtest.New(2)
	for i := range 500 {
		a.objects = append(a.objects, trailtest.Gzip(m.Object(benchObjectRecords, 0)))
		key := accountKey("111122223333", "CloudTrail", "us-east-1", fmt.Sprintf("%016d", i))
		a.bodies = append(a.bodies, s3Event(s3Item("ObjectCreated:Put", key)))
	}
	return a
}

func (a *benchAWS) wait(ctx context.Context) {
	if a.delay > 0 {
		_ = sources.Sleep(ctx, a.delay)
	}
}

var benchAttributes = map[string]string{"ApproximateReceiveCount": "1", "SentTimestamp": "1777622400000"}

func (a *benchAWS) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput, _ ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	a.wait(ctx)
	last := a.left.Add(-int64(in.MaxNumberOfMessages)) + int64(in.MaxNumberOfMessages)
	if last <= 0 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	out := &sqs.ReceiveMessageOutput{}
	for i := last; i > max(0, last-int64(in.MaxNumberOfMessages)); i-- {
		id := strconv.FormatInt(i, 10)
		out.Messages = append(out.Messages, types.Message{MessageId: &id, ReceiptHandle: &id, Body: &a.bodies[i%int64(len(a.bodies))], Attributes: benchAttributes})
	}
	return out, nil
}

func (a *benchAWS) DeleteMessageBatch(ctx context.Context, in *sqs.DeleteMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	a.wait(ctx)
	if a.deleted.Add(int64(len(in.Entries))) == a.total {
		a.done()
	}
	return &sqs.DeleteMessageBatchOutput{}, nil
}

func (a *benchAWS) ChangeMessageVisibilityBatch(context.Context, *sqs.ChangeMessageVisibilityBatchInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	return &sqs.ChangeMessageVisibilityBatchOutput{}, nil
}

type benchBody struct{ bytes.Reader }

func (*benchBody) Close() error { return nil }

func (a *benchAWS) GetObject(ctx context.Context, in *s3.GetObjectInput, _ ...func(*s3.Options)) (*s3.GetObjectOutput, error) {
	a.wait(ctx)
	key := *in.Key
	at := strings.LastIndexByte(key, '_') + 1
	i, err := strconv.Atoi(strings.TrimSuffix(key[at:], ".json.gz"))
	if err != nil {
		return nil, err
	}
	body := new(benchBody)
	body.Reset(a.objects[i])
	return &s3.GetObjectOutput{Body: body, ETag: aws.String(`"e"`), ContentLength: aws.Int64(int64(len(a.objects[i])))}, nil
}

// processed returns the handler of a processor with a journal.
func processed(b *testing.B) processor.Handler {
	b.Helper()
	j, err := journal.Open(filepath.Join(b.TempDir(), "mfawatch.db"), journal.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { j.Close() })
	return processor.New(j, processor.Options{Logger: slog.New(slog.DiscardHandler)}).Handle
}

// readInto has n messages read by a source with so many in flight, and returns the
// time that it took.
func (a *benchAWS) readInto(b testing.TB, n, concurrency int, h processor.Handler) time.Duration {
	b.Helper()
	c := DefaultConfig()
	c.QueueURL, c.Concurrency = "https://sqs.us-east-1.amazonaws.com/111122223333/trail", concurrency
	objects := bucket.Over(bucket.Calls{Get: a.GetObject}, "us-east-1")
	s := newSource("bench", c, queueCalls{a.ReceiveMessage, a.DeleteMessageBatch, a.ChangeMessageVisibilityBatch}, objects, sources.Options{})
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	var took time.Duration
	began := time.Now()
	a.total, a.done = int64(n), func() { took = time.Since(began); cancel() }
	a.deleted.Store(0)
	a.left.Store(int64(n))
	if err := s.Run(ctx, h); err != nil || took == 0 {
		b.Fatalf("%d of %d deleted, %v", a.deleted.Load(), n, err)
	}
	return took
}

// BenchmarkS3Latency reads from an S3 and an SQS that take 20 ms for every
// answer: the throughput grows with what is in flight until a core is busy.
func BenchmarkS3Latency(b *testing.B) {
	a := newBenchAWS()
	a.delay = 20 * time.Millisecond
	for _, concurrency := range []int{1, 4, 16, 64, 256, 1024} {
		b.Run(fmt.Sprintf("inflight=%d", concurrency), func(b *testing.B) {
			var spent time.Duration
			n := 50 * concurrency
			h := processed(b)
			for range b.N {
				spent += a.readInto(b, n, concurrency, h)
			}
			b.ReportMetric(float64(b.N*n)/spent.Seconds(), "objects/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}
