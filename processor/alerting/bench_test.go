package alerting

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// busyAccount is a month of 200 users: sign-ins and a few removals.
func busyAccount(n int) []*trail.Event {
	r := rand.New(rand.NewPCG(1, 1))
	yes := true
	events := make([]*trail.Event, n)
	for i := range events {
		user := fmt.Sprintf("user%d", r.IntN(200))
		e := &trail.Event{
			ID: fmt.Sprintf("%08x-%04x-%08x", r.Uint32(), i, r.Uint32()), Time: at(i * 260), Partition: "aws", Account: "111122223333",
			Region: "us-east-1", User: user, Actor: trail.Actor{Type: "IAMUser", Name: user, ARN: "arn:aws:iam::111122223333:user/" + user, MFA: &yes},
		}
		switch serial := "arn:aws:iam::111122223333:mfa/" + user; r.IntN(20) {
		case 0:
			e.Name, e.Serial = trail.DeactivateMFADevice, serial
		case 1, 2:
			e.Name, e.Serial = trail.EnableMFADevice, serial
		case 3:
			e.Name, e.Serial, e.ErrorCode = trail.DeactivateMFADevice, serial, "AccessDenied"
		default:
			e.Name, e.MFAUsed = trail.ConsoleLogin, &yes
		}
		events[i] = e
	}
	r.Shuffle(n, func(i, j int) { events[i], events[j] = events[j], events[i] })
	return events
}

// BenchmarkNotify measures one more delivery to an account of so many events.
func BenchmarkNotify(b *testing.B) {
	for _, n := range []int{100, 1_000, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			events := busyAccount(n)
			now := at(n * 260)
			policy := exposure.DefaultPolicy()
			policy.Retention = 0
			first := Notify(events, State{}, now, policy)
			events = append(events, first.Deadlines...)
			b.ReportAllocs()
			for b.Loop() {
				if out := Notify(events, first.State, now, policy); len(out.Alerts) > 0 {
					b.Fatal("alerted again")
				}
			}
		})
	}
}
