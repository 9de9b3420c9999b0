package main

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/route"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// An arrival is an event and when it was seen.
type arrival struct {
	event *trail.Event
	at    time.Time
}

// A saying is an alert at the time at which it is journalled, and what becomes of
// it at each sink.
type saying struct {
	alert *processor.Alert
	at    time.Time
	sinks []delivery // in order of their names
}

// A delivery is one alert at one sink: what was decided, and when it was told in
// the end.
type delivery struct {
	alert *processor.Alert
	sink  string
	route.Decision
	at time.Time // zero: it was not told
}

// simulate says what would have been told of events that arrive as they do, by
// the time until: time steps from one arrival or deadline to the next, as in the
// service, where sends take none.
func simulate(arrivals []arrival, policy exposure.Policy, router *route.Router, kinds map[string]route.Kind, until time.Time) []*saying {
	policy.Retention = 0 // all of it is here
	type account struct{ partition, id string }
	of := map[account][]arrival{}
	for _, a := range arrivals {
		k := account{a.event.Partition, a.event.Account}
		of[k] = append(of[k], a)
	}
	var all []*saying
	for _, k := range slices.SortedFunc(maps.Keys(of), func(a, b account) int {
		return cmp.Or(cmp.Compare(a.partition, b.partition), cmp.Compare(a.id, b.id))
	}) {
		all = append(all, step(of[k], policy, until)...)
	}
	slices.SortStableFunc(all, func(a, b *saying) int { return a.at.Compare(b.at) })
	for _, sink := range slices.Sorted(maps.Keys(kinds)) {
		b := board{sink: sink, people: kinds[sink] != route.Machine, plain: router.Plain(sink), router: router, cases: map[string]route.Case{}, held: map[string][]*delivery{}}
		for _, s := range all {
			s.sinks = append(s.sinks, delivery{alert: s.alert, sink: sink})
		}
		for _, s := range all {
			b.release(s.at)
			b.take(s, &s.sinks[len(s.sinks)-1])
		}
		b.release(until)
	}
	return all
}

// step is what one account's events come to.
func step(arrivals []arrival, policy exposure.Policy, until time.Time) (all []*saying) {
	slices.SortStableFunc(arrivals, func(a, b arrival) int { return a.at.Compare(b.at) })
	var events []*trail.Event
	var st exposure.State
	next := time.Time{}
	for len(arrivals) > 0 || !next.IsZero() {
		now := next
		if len(arrivals) > 0 && (now.IsZero() || !arrivals[0].at.After(now)) {
			now = arrivals[0].at
		}
		if now.After(until) {
			return all
		}
		for len(arrivals) > 0 && !arrivals[0].at.After(now) {
			events = append(events, arrivals[0].event)
			arrivals = arrivals[1:]
		}
		out := exposure.Tell(events, st, now, policy)
		st, next = out.State, out.Next
		events = append(events, out.Deadlines...)
		for _, a := range out.Alerts {
			all = append(all, &saying{alert: a, at: now})
		}
	}
	return all
}

// A board is one sink, as its dispatcher sees it.
type board struct {
	sink   string
	people bool
	plain  bool // it is told everything, and nothing of it is remembered
	router *route.Router
	cases  map[string]route.Case
	held   map[string][]*delivery // by exposure, in order
}

func lineOf(a *processor.Alert) string {
	if a.Exposure != nil {
		return *a.Exposure
	}
	return a.ID
}

// take decides about an alert. What may not wait takes what waits before it along.
func (b *board) take(s *saying, d *delivery) {
	line := lineOf(s.alert)
	d.Decision = b.router.Decide(b.sink, s.alert, b.cases[line], s.at)
	waits := len(b.held[line]) > 0
	if !d.Tell && !waits {
		return
	}
	b.held[line] = append(b.held[line], d)
	if d.Tell && !d.Until.After(s.at) && (!waits || s.alert.Step != exposure.Resolved) {
		b.flush(line, s.at)
	}
}

// release tells what waited until now.
func (b *board) release(now time.Time) {
	for _, line := range slices.Sorted(maps.Keys(b.held)) {
		if due := b.held[line][0].Until; !due.After(now) {
			b.flush(line, due)
		}
	}
}

// flush tells what is held of a line, but for what its end makes old news.
func (b *board) flush(line string, now time.Time) {
	queue := b.held[line]
	delete(b.held, line)
	for i, d := range queue {
		waits := func(s exposure.Step) bool {
			return slices.ContainsFunc(queue[i+1:], func(d *delivery) bool { return d.alert.Step == s })
		}
		until := d.Until
		d.Decision = b.router.Decide(b.sink, d.alert, b.cases[line], now)
		d.Until = until
		if !d.Tell {
			continue
		}
		if !b.plain {
			b.cases[line] = route.Case{Known: true, To: d.To}
		}
		escalated := d.alert.Step == exposure.Escalated
		if b.people && (waits(exposure.Resolved) && (escalated || d.alert.Severity != exposure.Critical) || escalated && waits(exposure.Escalated)) {
			d.Tell, d.Why = false, "what followed before it could be told says it all"
			continue
		}
		d.at = now
	}
}
