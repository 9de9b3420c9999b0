package alerting

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
)

// The month costs no more in subjects and lanes than whole accounts do without
// lanes: at most 1.2 times the CPU.
func TestSimulatedMonthCost(t *testing.T) {
	trailtest.Long(t, 5)
	m, p := simulate(1), monthPolicy(t)
	before := cpu(t)
	looks := inLanes(m.arrivals(m.events[:]...), p, func([]*exposure.Alert) {})
	lanes := cpu(t) - before
	before = cpu(t)
	for _, events := range m.events {
		inAccount(m.arrivals(events), p)
	}
	accounts := cpu(t) - before
	each := func(d time.Duration) time.Duration { return (d / time.Duration(m.records)).Round(time.Microsecond) }
	t.Logf("%d records, %d looks: %s of CPU a record in subjects and lanes, %s in whole accounts", m.records, looks, each(lanes), each(accounts))
	if lanes > accounts*6/5 {
		t.Errorf("subjects and lanes cost %s, whole accounts %s", lanes, accounts)
	}
}

// inAccount drives the events of an account through one Notify of all of them,
// without the lanes of its actors.
func inAccount(all []arriving, p exposure.Policy) {
	var have []*trail.Event
	var st State
	drive(all, func(now time.Time, arrived []*trail.Event) time.Time {
		out := Notify(append(have, arrived...), st, now, p)
		st = out.State
		have = append(append(have, arrived...), out.Deadlines...)
		have = slices.DeleteFunc(have, func(e *trail.Event) bool { return slices.Contains(out.Drop, e.ID) })
		return out.Next
	})
}

// cpu returns the time that the process has run.
func cpu(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
