package dispatch

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/sinks"
)

// One channel that is dead and one that is slow delay no other sink: in fake
// time, the others get the alert at the moment of the commit.
func TestFiftySinksOneDeadOneSlow(t *testing.T) {
	t.Parallel() // it waits for the disk
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var mu sync.Mutex
		delivered := map[string]map[string]time.Time{}
		all := map[string]sinks.Sink{}
		for i := range 50 {
			name := fmt.Sprintf("sink-%02d", i)
			delivered[name] = map[string]time.Time{}
			s := &fakeSink{t: t}
			s.answer = func(ctx context.Context, a *processor.Alert, _ string) (string, error) {
				switch i {
				case 0: // dead: it never answers
					<-ctx.Done()
					return "", ctx.Err()
				case 1: // slow
					select {
					case <-time.After(20 * time.Second):
					case <-ctx.Done():
						return "", ctx.Err()
					}
				}
				mu.Lock()
				defer mu.Unlock()
				delivered[name][a.ID] = time.Now()
				return "", nil
			}
			all[name] = s
		}
		r.start(Options{}, all)
		if err := r.j.Unlink(); err != nil { // syncs of a disk take real time
			t.Fatal(err)
		}
		committed := map[string]time.Time{}
		for i := range 40 { // more than the dead one has sends, for longer than one lasts
			id := fmt.Sprintf("x%d-1", i)
			journalAlerts(t, r.j, id)
			committed[id] = time.Now()
			time.Sleep(time.Second)
		}
		time.Sleep(5 * time.Minute)
		mu.Lock()
		for name, times := range delivered {
			if name == "sink-00" {
				continue
			}
			if len(times) != len(committed) {
				t.Errorf("%s was sent %d of %d", name, len(times), len(committed))
			}
			for id, at := range times {
				if late := at.Sub(committed[id]); name != "sink-01" && late != 0 {
					t.Errorf("%s was sent %s after %s", name, id, late)
				}
			}
		}
		mu.Unlock()
		r.stop()
	})
}
