package dryrun

import (
	"maps"
	"slices"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/route"
)

// A Alert is an alert at the time at which it is journalled, and what becomes of
// it at each sink.
type Alert struct {
	Alert *processor.Alert
	At    time.Time
	sinks []Delivery // in order of their names
}

// A Delivery is one alert at one sink: what was decided, and when it was told in
// the end.
type Delivery struct {
	alert *processor.Alert
	sink  string
	route.Decision
	at time.Time // zero: it was not told
}

// Simulate fills in what becomes of alerts, which are in order of their times, by
// the time until: at sinks by their names, which are told for people or not. Sends
// take no time.
func Simulate(all []*Alert, router *route.Router, people map[string]bool, until time.Time) {
	for _, sink := range slices.Sorted(maps.Keys(people)) {
		b := simulatedSink{
			sink: sink, people: people[sink], plain: router.Plain(sink), router: router,
			cases: map[string]route.Case{}, queues: map[string][]*Delivery{}, due: map[string]time.Time{},
		}
		for _, s := range all {
			s.sinks = append(s.sinks, Delivery{alert: s.Alert, sink: sink})
		}
		for from, to := 0, 0; from < len(all); from = to {
			for to = from; to < len(all) && all[to].At.Equal(all[from].At); to++ {
			}
			b.tell(all[from:to])
		}
		b.release(until)
	}
}

// A simulatedSink is one sink, as its dispatcher sees it.
type simulatedSink struct {
	sink   string
	people bool
	plain  bool // it is told everything, and nothing of it is remembered
	router *route.Router
	cases  map[string]route.Case
	queues map[string][]*Delivery // by exposure: what is to be told, in order
	due    map[string]time.Time   // until when a queue is held back
}

func lineOf(a *processor.Alert) string {
	if a.Exposure != nil {
		return *a.Exposure
	}
	return a.ID
}

// tell is told what is journalled at one time.
func (b *simulatedSink) tell(group []*Alert) {
	now := group[0].At
	b.release(now)
	for _, s := range group {
		line := lineOf(s.Alert)
		b.queues[line] = append(b.queues[line], &s.sinks[len(s.sinks)-1])
	}
	for _, s := range group {
		b.settle(lineOf(s.Alert), now)
	}
}

// release tells what is held back until now, or was until before.
func (b *simulatedSink) release(now time.Time) {
	for _, line := range slices.Sorted(maps.Keys(b.due)) {
		if due := b.due[line]; !due.After(now) {
			b.settle(line, due)
		}
	}
}

// settle tells what may be told of a line.
func (b *simulatedSink) settle(line string, now time.Time) {
	delete(b.due, line)
	for len(b.queues[line]) > 0 {
		queue := b.queues[line]
		d, held := queue[0], queue[0].Until
		d.Decision = b.router.Decide(b.sink, d.alert, b.cases[line], now)
		switch {
		case !d.Tell:
		case d.Until.After(now) && !b.urgent(line, queue[1:], now) && !(b.cases[line].Known && b.people && old(d.alert, queue[1:])):
			b.due[line] = d.Until
			return
		default:
			if d.Until.IsZero() {
				d.Until = held
			}
			if !b.plain {
				b.cases[line] = route.Case{Known: true, To: d.To}
			}
			if d.at = now; b.people && old(d.alert, queue[1:]) {
				d.at, d.Tell, d.Why = time.Time{}, false, "what followed before it could be told says it all"
			}
		}
		b.queues[line] = queue[1:]
	}
	delete(b.queues, line)
}

// urgent reports whether something behind the head may not wait.
func (b *simulatedSink) urgent(line string, behind []*Delivery, now time.Time) bool {
	return slices.ContainsFunc(behind, func(d *Delivery) bool {
		next := b.router.Decide(b.sink, d.alert, b.cases[line], now)
		return d.alert.Step != exposure.Resolved && next.Tell && !next.Until.After(now)
	})
}

// old reports whether what waits behind an alert makes it old news to people.
func old(a *processor.Alert, behind []*Delivery) bool {
	waits := func(s exposure.Step) bool {
		return slices.ContainsFunc(behind, func(d *Delivery) bool { return d.alert.Step == s })
	}
	switch a.Step {
	case exposure.Resolved:
		return false
	case exposure.Escalated:
		return waits(exposure.Resolved) || waits(exposure.Escalated)
	}
	return a.Severity != exposure.Critical && waits(exposure.Resolved)
}
