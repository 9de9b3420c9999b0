package dispatch

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/processor/route"
	"github.com/mfawatch/mfawatch/sinks"
)

// A ticketed sink has references that mean something to people.
type ticketed struct{ routedSink }

func (ticketed) Receipt(ref string) string {
	return "ticket " + ref + "\n\x1b[2J" + strings.Repeat("x", 1000)
}

// The log and the journal explain each alert in the same words.
func TestLoggedAndKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, failed, said := newRig(t), false, []string{}
		r.level = slog.LevelDebug
		s := ticketed{routedSink{said: &said, ref: "4711", fail: func(_ string, a *processor.Alert) error {
			switch {
			case a.ID == "d-opened":
				return sinks.Permanent(errors.New("no such project"))
			case a.ID == "y-opened" && !failed:
				failed = true
				return errors.New("connection refused")
			}
			return nil
		}}}
		night := routedNight
		night.MinSeverity = "high"
		r.start(routedBy(t, route.Reader, night), map[string]sinks.Sink{"a": s})
		time.Sleep(21 * time.Hour)
		routedTell(t, r.j, "x-opened low", "m-opened high", "z-opened high", "z-resolved info")
		time.Sleep(11 * time.Hour)
		routedTell(t, r.j, "y-opened high")
		routedTell(t, r.j, "d-opened high")
		time.Sleep(time.Hour)
		for id, want := range map[string]outbox.Delivery{
			"x": {State: outbox.StateSuppressed, Why: "routes[0] notifies it from high on"},
			"m": {State: outbox.StateDelivered, Attempts: 1, Reference: "ticket 4711", Why: "routes[0] notifies it"},
			"y": {State: outbox.StateDelivered, Attempts: 2, Reference: "ticket 4711", Why: "routes[0] notifies it"},
			"d": {State: outbox.StateDeadLetter, Attempts: 2, Why: "no such project"},
		} {
			story, err := r.j.Story(id, 1)
			if err != nil || len(story) != 1 || len(story[0].Deliveries) != 1 {
				t.Fatalf("%s: %+v, %v", id, story, err)
			}
			got := story[0].Deliveries[0]
			if got.State != want.State || got.Attempts != want.Attempts || !strings.HasPrefix(got.Reference, want.Reference) || got.Why != want.Why || got.Time == nil {
				t.Errorf("%s: %+v, want %+v", id, got, want)
			}
			if strings.ContainsAny(got.Reference, "\n\x1b") || len(got.Reference) > 500 {
				t.Errorf("the reference is a channel's own text: %q", got.Reference)
			}
		}
		if story, err := r.j.Story("z", 2); err != nil || story[1].Deliveries[0].Why != route.WhySuperseded {
			t.Errorf("z: %+v, %v", story, err)
		}
		r.stop()
		log := r.log.String()
		for _, want := range []string{
			`level=DEBUG msg="the alert is not sent" sink=a reason=suppressed why="routes[0] notifies it from high on" alert=x-opened`,
			`level=DEBUG msg="the alert is not sent" sink=a reason=held why="routes[0] notifies it after its mute times" alert=m-opened until=2000-01-02T07:00:00.000Z`,
			`level=DEBUG msg="the alert is not sent" sink=a reason=superseded why="a later alert of the exposure replaces it" alert=z-opened`,
			`level=INFO msg="the alert was delivered" sink=a alert=y-opened attempts=2 duration=0s reference="ticket 4711�`,
		} {
			if strings.Count(log, want) != 1 {
				t.Errorf("want once: %s\n%s", want, log)
			}
		}
		if strings.Contains(log, "\x1b") || strings.Contains(log, strings.Repeat("x", 300)) {
			t.Error("a channel's text is neither escaped nor bounded")
		}
	})
}

// A held alert is recorded as such, once.
func TestHeldIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, said := newRig(t), []string{}
		r.level = slog.LevelDebug
		r.start(routedBy(t, route.Reader, routedNight), map[string]sinks.Sink{"a": routedSink{said: &said}})
		routedTell(t, r.j, "x-opened high")
		time.Sleep(time.Hour)
		routedTell(t, r.j, "x-updated high")
		time.Sleep(time.Hour)
		story, err := r.j.Story("x", 2)
		if err != nil || len(story) != 2 {
			t.Fatalf("%+v, %v", story, err)
		}
		d := story[1].Deliveries[0]
		if d.State != outbox.StateHeld || d.Until == nil || d.Until.Format(time.Kitchen) != "7:00AM" || d.Why != "routes[0] notifies it after its mute times" {
			t.Errorf("%+v", d)
		}
		if n := strings.Count(r.log.String(), "reason=held"); n != 1 {
			t.Errorf("logged %d times\n%s", n, r.log.String())
		}
		time.Sleep(6 * time.Hour)
		if story, err = r.j.Story("x", 2); err != nil || story[1].Deliveries[0].State != outbox.StateDelivered {
			t.Errorf("%+v, %v", story, err)
		}
		r.stop()
	})
}

func TestGroupsAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.level = slog.LevelDebug
		r.start(grouping(GroupConfig{Wait: time.Minute}), map[string]sinks.Sink{"a": &groupSink{fakeSink: fakeSink{t: t}}})
		journalAlerts(t, r.j, "x-1")
		time.Sleep(time.Second)
		journalAlerts(t, r.j, "y-1", "z-1")
		time.Sleep(2 * time.Minute)
		r.stop()
		for want, n := range map[string]int{
			`msg="the alert is grouped" sink=a reason=grouped why="it shares a message with others of its account" group=2`: 2,
			"alert=z-1 attempts=1 duration=0s group=2": 1,
			`msg="the alert was delivered"`:            3,
		} {
			if got := strings.Count(r.log.String(), want); got != n {
				t.Errorf("%d times, want %d: %s\n%s", got, n, want, r.log.String())
			}
		}
	})
}
