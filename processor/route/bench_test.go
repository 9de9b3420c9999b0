package route

import (
	"fmt"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// BenchmarkQueue sends a backlog of lanes, each of one alert. The time for a lane
// grows with the logarithm of their number.
func BenchmarkQueue(b *testing.B) {
	for _, lanes := range []int{1000, 10_000, 100_000} {
		for name, s := range map[string]Sink{"alone": {}, "grouped": {Group: Group{Wait: time.Minute, Max: 50}}, "rate": {Rate: 1000}} {
			b.Run(fmt.Sprintf("%s/lanes=%d", name, lanes), func(b *testing.B) {
				a := &exposure.Alert{Account: "1"}
				s.Alert = func(uint64) (*exposure.Alert, error) { return a, nil }
				for b.Loop() {
					q, now := NewQueue(s), monday
					for i := range lanes {
						q.Add(fmt.Sprint(i), Pending{Number: uint64(i), Severity: exposure.Severities[i%3]}, Lane{})
					}
					for q.Len() > 0 {
						switch act, _ := q.Next(now); {
						case act.Verb == Hold:
							now = act.Until
						default:
							for _, it := range act.Items {
								q.Done(it.Lane, 1)
							}
						}
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*lanes), "ns/lane")
			})
		}
	}
}
