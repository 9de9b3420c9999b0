package dispatch_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/sinks/dispatch"
	"github.com/mfawatch/mfawatch/sinks/file"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
)

// burstSize is the number of records in a burst.
const burstSize = 10_000

// BenchmarkBurst takes 10,000 records of one account, in deliveries of ten, all
// the way into a file: scanned, journalled, folded, delivered.
func BenchmarkBurst(b *testing.B) {
	deliveries := burst()
	for b.Loop() {
		handled, took := deliver(b, deliveries, slog.New(slog.DiscardHandler))
		b.ReportMetric(burstSize/handled.Seconds(), "handled/s")
		b.ReportMetric(burstSize/took.Seconds(), "alerts/s")
	}
}

// BenchmarkBurstLogging reports the time that a burst spends in the log at level
// info, written to a file, as a part of its processor time. The time of a whole
// burst varies more than that part.
func BenchmarkBurstLogging(b *testing.B) {
	deliveries := burst()
	file, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	var spent, lines atomic.Int64
	log := slog.New(timed{slog.NewTextHandler(file, nil), &spent, &lines})
	before := cpuTime(b)
	for b.Loop() {
		deliver(b, deliveries, log)
	}
	used := cpuTime(b) - before
	b.ReportMetric(100*float64(spent.Load())/float64(used), "%log")
	b.ReportMetric(float64(spent.Load())/float64(lines.Load()), "ns/line")
	b.ReportMetric(float64(lines.Load())/float64(b.N), "lines/op")
}

// timed measures a handler.
type timed struct {
	slog.Handler
	spent, lines *atomic.Int64
}

func (h timed) Handle(ctx context.Context, r slog.Record) error {
	begin := time.Now()
	defer func() {
		h.spent.Add(int64(time.Since(begin)))
		h.lines.Add(1)
	}()
	return h.Handler.Handle(ctx, r)
}

func (h timed) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.Handler = h.Handler.WithAttrs(attrs)
	return h
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// burst returns the deliveries of a burst.
func burst() (deliveries [][]byte) {
	const n, batch = burstSize, 10
	begin := time.Now().Add(-time.Minute).UTC()
	for i := 0; i < n; i += batch {
		var records []string
		for k := i; k < i+batch; k++ {
			name := trail.DeactivateMFADevice
			if k/1000%2 == 1 {
				name = trail.EnableMFADevice
			}
			records = append(records, fmt.Sprintf(`{"eventVersion":"1.11","userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/alice",`+
				`"accountId":"111122223333","userName":"alice"},"eventTime":%q,"eventSource":"iam.amazonaws.com","eventName":%q,"awsRegion":"us-east-1",`+
				`"sourceIPAddress":"203.0.113.7","userAgent":%q,"requestParameters":{"userName":"user%d","serialNumber":"arn:aws:iam::111122223333:mfa/user%d"},`+
				`"eventID":"%08d","recipientAccountId":"111122223333"}`,
				begin.Add(time.Duration(k/1000)*time.Second).Format(time.RFC3339), name, strings.Repeat("agent ", 100), k%1000, k%1000, k))
		}
		deliveries = append(deliveries, []byte(`{"Records":[`+strings.Join(records, ",")+`]}`))
	}
	return deliveries
}

// deliver takes the deliveries through a processor and a dispatcher of a journal of
// their own. handled is how long it took to journal them, took how long to deliver.
func deliver(b *testing.B, deliveries [][]byte, log *slog.Logger) (handled, took time.Duration) {
	dir := b.TempDir()
	j := sinktest.OpenJournal(b, filepath.Join(dir, "mfawatch.db"))
	file, err := file.New(file.Config{Path: filepath.Join(dir, "alerts.jsonl")})
	if err != nil {
		b.Fatal(err)
	}
	d, err := dispatch.New(j, "file", file, dispatch.Options{Logger: log, Delivery: dispatch.DeliveryConfig{Concurrency: 1}})
	if err != nil {
		b.Fatal(err)
	}
	p := processor.New(j, processor.Options{Logger: log, Policy: exposure.DefaultPolicy()})
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 2)
	go func() { ended <- p.Run(ctx) }()
	go func() { ended <- d.Run(ctx) }()
	start := time.Now()
	for i, body := range deliveries {
		err := p.Handle(ctx, processor.Delivery{Source: "bench", Parts: processor.One(processor.Part{Origin: trail.At("bench", int64(i)), Bytes: body})})
		if err != nil {
			b.Fatal(err)
		}
	}
	handled = time.Since(start)
	if err := j.Idle(ctx); err != nil {
		b.Fatal(err)
	}
	took = time.Since(start)
	cancel()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
	file.Close()
	j.Close()
	return handled, took
}
