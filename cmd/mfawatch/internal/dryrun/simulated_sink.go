package dryrun

import (
	"maps"
	"slices"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/route"
)

// An Alert is an alert with the time at which it is journalled and its delivery at
// each sink.
type Alert struct {
	Alert *processor.Alert
	At    time.Time
	sinks []Delivery // in order of their names
}

// A Delivery is one alert at one sink: the decision, and when it was sent.
type Delivery struct {
	alert *processor.Alert
	sink  string
	route.Decision
	at time.Time // zero: it was not sent
}

// Simulate fills in the deliveries of alerts, which are in order of their times, by
// the time until: at sinks by their names, with whether people read them. Sends
// take no time.
func Simulate(all []*Alert, router *route.Router, people map[string]bool, until time.Time) {
	for _, name := range slices.Sorted(maps.Keys(people)) {
		for _, s := range all {
			s.sinks = append(s.sinks, Delivery{alert: s.Alert, sink: name})
		}
		rules := route.Sink{Name: name, Human: people[name], Alert: func(number uint64) (*processor.Alert, error) { return all[number].Alert, nil }}
		if !router.Plain(name) {
			rules.Router = router
		}
		b := simulatedSink{all: all, router: router, plain: rules.Router == nil, queue: route.NewQueue(rules), known: map[string]route.Knowledge{}, pending: map[uint64]bool{}}
		for from, to := 0, 0; from < len(all); from = to {
			now := all[from].At
			b.run(now)
			for to = from; to < len(all) && all[to].At.Equal(now); to++ {
				b.add(uint64(to))
			}
			b.now = now
		}
		b.run(until)
		for number := range b.pending { // muted beyond that time
			d := b.delivery(number)
			d.Decision = router.Decide(name, d.alert, b.known[laneOf(d.alert)], b.now)
		}
	}
}

// A simulatedSink is one sink with the queue of its dispatcher, and a clock that
// steps.
type simulatedSink struct {
	all     []*Alert
	router  *route.Router
	plain   bool // it is sent every alert
	queue   *route.Queue
	now     time.Time
	known   map[string]route.Knowledge // by exposure: what the sink knows
	pending map[uint64]bool
}

func laneOf(a *processor.Alert) string {
	if a.Exposure != nil {
		return *a.Exposure
	}
	return a.ID
}

func (b *simulatedSink) add(number uint64) {
	a := b.all[number].Alert
	b.pending[number] = true
	b.queue.Add(laneOf(a), route.Pending{Number: number, Step: a.Step, Severity: a.Severity}, route.Lane{Known: b.known[laneOf(a)]})
}

// run steps through the sends of the sink until a time.
func (b *simulatedSink) run(until time.Time) {
	for {
		action, err := b.queue.Next(b.now)
		switch {
		case err != nil || action.Verb == route.Hold && (action.Until.IsZero() || action.Until.After(until)):
			return
		case action.Verb == route.Hold:
			b.now = action.Until
			continue
		}
		it := action.Items[0]
		d := b.delivery(it.Pending.Number)
		delete(b.pending, it.Pending.Number)
		if d.Decision = it.Decision; b.plain {
			d.Decision = b.router.Decide(d.sink, d.alert, route.Knowledge{}, b.now)
		}
		if action.Verb == route.Send {
			d.at = b.now
			b.queue.Done(it.Lane, 1)
		} else {
			d.Notify = false
		}
		if action.Reason == route.Superseded {
			d.Why = route.WhySuperseded
		}
		if action.Reason != route.Suppressed && !it.Pending.Step.Alone() {
			b.known[it.Lane] = route.Knowledge{Known: true, To: it.Decision.To}
		}
	}
}

func (b *simulatedSink) delivery(number uint64) *Delivery {
	a := b.all[number]
	return &a.sinks[len(a.sinks)-1]
}
