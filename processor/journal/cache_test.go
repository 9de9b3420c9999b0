package journal

import (
	"fmt"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// A subject whose events were dropped takes memory, too: what is kept of users whose
// events are beyond the retention must not add up without a bound.
func TestCacheBoundsSubjectsWithoutEvents(t *testing.T) {
	j := temp(t)
	const subjects, bound = 3000, 500
	j.cache.bound = bound * eventSize(0) // more than one transaction of Fold loads
	var all []*trail.Event
	for i := range subjects {
		all = append(all, event("111122223333", fmt.Sprint("user", i), 1))
	}
	mustAppend(t, j, all...)
	mustFold(t, j, func(events []*trail.Event, _ alerting.State, _ time.Time) (out alerting.Outcome) {
		for _, e := range events {
			out.Drop = append(out.Drop, e.ID)
		}
		out.Next = time.Now().Add(time.Hour) // it is not forgotten
		return out
	})
	if n := len(j.cache.by); n > bound {
		t.Errorf("%d subjects of %d are held", n, subjects)
	}
}
