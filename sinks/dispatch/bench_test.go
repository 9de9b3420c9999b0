package dispatch_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/sinks/dispatch"
	"github.com/mfawatch/mfawatch/sinks/file"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
)

// BenchmarkBurst takes 10,000 records of one account, in deliveries of ten, all
// the way into a file: scanned, journalled, folded, delivered.
func BenchmarkBurst(b *testing.B) {
	const n, batch = 10_000, 10
	var deliveries [][]byte
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
	quiet := slog.New(slog.DiscardHandler)
	for b.Loop() {
		dir := b.TempDir()
		j := sinktest.OpenJournal(b, filepath.Join(dir, "mfawatch.db"))
		file, err := file.New(file.Config{Path: filepath.Join(dir, "alerts.jsonl")})
		if err != nil {
			b.Fatal(err)
		}
		d, err := dispatch.New(j, "file", file, dispatch.Options{Logger: quiet, Delivery: dispatch.DeliveryConfig{Concurrency: 1}})
		if err != nil {
			b.Fatal(err)
		}
		p := processor.New(j, processor.Options{Logger: quiet, Policy: exposure.DefaultPolicy()})
		ctx, cancel := context.WithCancel(b.Context())
		ended := make(chan error, 2)
		go func() { ended <- p.Run(ctx) }()
		go func() { ended <- d.Run(ctx) }()
		start := time.Now()
		for i, body := range deliveries {
			err := p.Handle(ctx, processor.Delivery{Source: "bench", Parts: func(yield func(processor.Part, error) bool) {
				yield(processor.Part{Origin: trail.At("bench", int64(i)), Bytes: body}, nil)
			}})
			if err != nil {
				b.Fatal(err)
			}
		}
		handled := time.Since(start)
		if err := d.Idle(ctx); err != nil {
			b.Fatal(err)
		}
		took := time.Since(start)
		cancel()
		if err := <-ended; err != nil {
			b.Fatal(err)
		}
		if err := <-ended; err != nil {
			b.Fatal(err)
		}
		file.Close()
		j.Close()
		b.ReportMetric(n/handled.Seconds(), "handled/s")
		b.ReportMetric(n/took.Seconds(), "delivered/s")
	}
}
