package route

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unsafe"
)

// set returns the time after the wall clock was set by so much. The monotonic clock
// goes on.
func set(t *testing.T, at time.Time, by time.Duration) time.Time {
	t.Helper()
	now := at
	*(*uint64)(unsafe.Pointer(&now)) += uint64(by/time.Second) << 30
	if now.Sub(at) != 0 || now.Round(0).Sub(at.Round(0)) != by {
		t.Fatalf("%v is not %v after %v by the wall clock alone", now, by, at)
	}
	return now
}

// After the clock was set back, a lane waits no longer than its backoff, and mute
// times are those of the new time.
func TestQueueAfterTheClockWasSetBack(t *testing.T) {
	now := time.Now()
	day := strings.ToLower(now.UTC().Weekday().String()[:3])
	p := newPlayer(t, Sink{Name: "chat", Human: true, Router: routerOf(t, fmt.Sprintf(`[{match: {account_class: production}, mute_times: [{days: [%s]}]}, {}]`, day))})
	next := func(want string) {
		t.Helper()
		a, err := p.q.Next(now)
		got := ""
		if a.Verb == Send {
			got = a.Items[0].Lane
		}
		if err != nil || got != want {
			t.Fatalf("got %q, %v, want %q", got, err, want)
		}
	}
	p.add("muted opened high", Lane{})
	next("")
	add := func(name string) {
		p.add(name+" opened high", Lane{})
		p.alerts[uint64(len(p.alerts))].Account = "444455556666" // which is never muted
	}
	add("early")
	next("early")
	p.q.Retry("early", now.Add(time.Minute), false, false)
	now = set(t, now.Add(30*time.Second), -72*time.Hour)
	next("muted")
	add("later")
	next("later")
	p.q.Retry("later", now.Add(time.Hour), false, false)
	next("")
	now = now.Add(31 * time.Second)
	next("early")
}
