package route

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// Whatever happened before, a probe is the lane that failed least often, then the one
// in turn; an urgent probe is the first of those with a fresh critical alert, a grave one
// of those with a fresh alert of at least high severity.
func TestQueueProbesInOrder(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 4))
		a := alertOf(exposure.Opened, exposure.High)
		q, now, number := NewQueue(Sink{Alert: func(uint64) (*exposure.Alert, error) { return a, nil }}), monday, uint64(0)
		for range 100 {
			for range r.IntN(4) {
				number++
				q.Add(fmt.Sprint(r.IntN(12)), Pending{Number: number, Severity: exposure.Severities[r.IntN(len(exposure.Severities))]}, Lane{})
			}
			now = now.Add(time.Second)
			q.requeue(now)
			var all []*lane
			for _, p := range q.ready.list {
				all = append(all, p.lane)
			}
			slices.SortFunc(all, func(a, b *lane) int {
				return cmp.Or(cmp.Compare(a.attempts, b.attempts), cmp.Compare(b.worst(), a.worst()), cmp.Compare(a.Queue[0].Number, b.Queue[0].Number))
			})
			ask := q.Probe
			switch r.IntN(4) {
			case 0:
				ask = q.ProbeUrgent
				all = slices.DeleteFunc(all, func(l *lane) bool { return l.fresh < level(exposure.Critical) || !l.urgent() })
			case 1:
				ask = q.ProbeGrave
				all = slices.DeleteFunc(all, func(l *lane) bool { return l.fresh < level(exposure.High) || l.worst() < level(exposure.High) })
			case 2:
				ask = q.Next
				slices.SortFunc(all, byTurn)
			}
			got, err := ask(now)
			if err != nil || (got.Verb == Send) != (len(all) > 0) || len(all) > 0 && got.Items[0].Lane != all[0].name {
				t.Fatalf("seed %d: got %+v, %v of %d lanes", seed, got, err, len(all))
			}
			for _, it := range got.Items {
				if r.IntN(2) == 0 {
					q.Retry(it.Lane, now.Add(time.Duration(r.IntN(3))*time.Second), false, false)
				} else {
					q.Done(it.Lane, 1)
				}
			}
		}
	}
}

// A channel that is down drops a backlog as fast as one that is up: the lanes that are
// ready are not searched for each drop.
func TestQueueProbeDropsABacklog(t *testing.T) {
	const lanes, rounds, most = 16384, 5, 10
	drop := func(ask func(*Queue, time.Time) (Action, error)) time.Duration {
		q := NewQueue(Sink{Alert: func(uint64) (*exposure.Alert, error) { return nil, nil }})
		for i := range lanes {
			q.Add(fmt.Sprint(i), Pending{Number: uint64(i), Severity: exposure.High}, Lane{})
		}
		started := time.Now()
		for q.Len() > 0 {
			if a, err := ask(q, monday); err != nil || a.Verb != Drop {
				t.Fatalf("got %+v, %v", a, err)
			}
		}
		return time.Since(started)
	}
	var took []string
	for range rounds { // one is enough: another program may have taken the time
		down, up := drop((*Queue).Probe), drop((*Queue).Next)
		if down < most*up {
			return
		}
		took = append(took, fmt.Sprint(down, " and ", up))
	}
	t.Errorf("%d drops, while the channel is down and up: %q", lanes, took)
}
