package journal

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// BenchmarkBurst appends 10,000 events of one account in batches of ten while
// they are folded, with records of a realistic size.
func BenchmarkBurst(b *testing.B) {
	raw := fmt.Appendf(nil, `{"eventName":"DeactivateMFADevice","pad":%q}`, make([]byte, 300))
	policy := exposure.DefaultPolicy()
	for b.Loop() {
		j := open(b, b.TempDir()+"/mfawatch.db")
		var all []*trail.Event
		for i := range 10_000 {
			e := event("111122223333", fmt.Sprintf("user%d", i%1000), i)
			e.Time, e.Raw = time.Now().Add(time.Duration(i-10_000)*time.Millisecond), raw
			if i/1000%2 == 1 {
				e.Name = trail.EnableMFADevice
			}
			all = append(all, e)
		}
		f := func(events []*trail.Event, st alerting.State, now time.Time) alerting.Outcome {
			return alerting.Notify(events, st, now, policy)
		}
		stop, stopped := make(chan struct{}), make(chan struct{})
		folds, alerts := 0, 0
		alerted := func(f Folded) { alerts += len(f.Alerts) }
		begin := time.Now()
		go func() {
			defer close(stopped)
			for {
				appended := j.Appended()
				if _, err := j.Fold(b.Context(), time.Now(), f, alerted); err != nil {
					b.Error(err)
				}
				folds++
				select {
				case <-appended:
				case <-stop:
					return
				}
			}
		}()
		for i := 0; i < len(all); i += 10 {
			mustAppend(b, j, all[i:i+10]...)
		}
		appended := time.Since(begin)
		if err := j.Idle(b.Context()); err != nil {
			b.Fatal(err)
		}
		took := time.Since(begin)
		close(stop)
		<-stopped
		b.ReportMetric(float64(len(all))/took.Seconds(), "events/s")
		b.ReportMetric(float64(len(all))/appended.Seconds(), "appended/s")
		b.ReportMetric(float64(folds), "folds")
		b.ReportMetric(float64(alerts), "alerts")
		j.Close()
	}
}

// BenchmarkAppend appends one event of a realistic size at a time, as a quiet
// source does.
func BenchmarkAppend(b *testing.B) {
	raw := fmt.Appendf(nil, `{"eventName":"DeactivateMFADevice","pad":%q}`, make([]byte, 300))
	j := open(b, b.TempDir()+"/mfawatch.db")
	n := 0
	for b.Loop() {
		for range 100 {
			e := event("111122223333", fmt.Sprintf("user%d", n%1000), n)
			e.Raw = raw
			mustAppend(b, j, e)
			n++
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkStory reads one exposure, and a page of old alerts, of a journal with
// 50,000 alerts of 5,000 exposures.
func BenchmarkStory(b *testing.B) {
	j := open(b, b.TempDir()+"/mfawatch.db")
	defer j.Close()
	enlist(b, j, "a", "b")
	raw := fmt.Appendf(nil, `{"eventName":"DeactivateMFADevice","pad":%q}`, strings.Repeat("x", 1200))
	for n := 0; n < 50_000; {
		mustAppend(b, j, event("1", "bob", n))
		_, err := j.Fold(b.Context(), time.Now(), func([]*trail.Event, alerting.State, time.Time) (out alerting.Outcome) {
			for range 5000 {
				a, id := alert(event("1", "bob", n)), fmt.Sprintf("exposure-%04d", n%5000)
				a.Exposure, a.Record = &id, raw
				out.Alerts = append(out.Alerts, a)
				n++
			}
			return out
		}, nil)
		if err != nil {
			b.Fatal(err)
		}
	}
	check := func(b *testing.B, got []outbox.Recorded, err error, want int) {
		if err != nil || len(got) != want {
			b.Fatalf("%d alerts, %v", len(got), err)
		}
	}
	b.Run("exposure", func(b *testing.B) {
		for b.Loop() {
			got, err := j.Story("exposure-0042", 1000)
			check(b, got, err, 10)
		}
	})
	b.Run("latest", func(b *testing.B) {
		for b.Loop() {
			got, err := j.Latest(0, 10)
			check(b, got, err, 10)
		}
	})
	b.Run("page", func(b *testing.B) {
		for b.Loop() {
			got, err := j.Latest(10_000, 100)
			check(b, got, err, 100)
		}
	})
}
