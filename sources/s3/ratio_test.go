//go:build unix

package s3

import (
	"bytes"
	"fmt"
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
)

// cpu returns the processor time that the process has taken: unlike the time of
// day it hardly depends on what else the machine does.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// gunzip inflates n objects into nothing, and does no more.
func (a *benchAWS) gunzip(b *testing.B, n int) {
	var z gzip.Reader
	var r bytes.Reader
	for i := range n {
		r.Reset(a.objects[i%len(a.objects)])
		if err := z.Reset(&r); err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, &z); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkS3 reads objects of eight records, one a message, with an S3 and an
// SQS that answer immediately (see benchAWS), and takes turns with a bare
// gunzip of the same objects: /bare is the gunzip's processor time, to that of
// the source.
func BenchmarkS3(b *testing.B) {
	a := newBenchAWS()
	const n = 20_000
	for _, concurrency := range []int{1, 4, 16, 64, 256} {
		b.Run(fmt.Sprintf("inflight=%d", concurrency), func(b *testing.B) {
			h := processed(b)
			var spent, bare time.Duration
			b.ReportAllocs()
			for range b.N {
				start := cpu(b)
				a.readInto(b, n, concurrency, h)
				spent += cpu(b) - start
				b.StopTimer()
				start = cpu(b)
				a.gunzip(b, n)
				bare += cpu(b) - start
				b.StartTimer()
			}
			b.ReportMetric(float64(b.N)*n*benchObjectRecords/spent.Seconds(), "records/s/core")
			b.ReportMetric(bare.Seconds()/spent.Seconds(), fmt.Sprintf("s3-%d/bare", concurrency))
			b.ReportMetric(0, "ns/op")
		})
	}
}
