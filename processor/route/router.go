package route

import (
	"fmt"
	"slices"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/rule"
)

// A Router decides for each sink. It is immutable.
type Router struct {
	routes   []compiled
	sinks    map[string]Kind
	accounts map[string]exposure.Account
}

// compiled is a Route, read.
type compiled struct {
	Route
	match   *rule.Matcher
	least   int // severity, by its place in rule.Severities
	windows []muteWindow
}

// New makes a Router of routes that Validate found sound, for the sinks of those
// names. accounts are what matchers see of accounts besides their number, by it;
// zone is where quiet hours are if they do not say. Without routes every sink is
// told everything that is for it.
func New(routes []Route, sinks map[string]Kind, accounts map[string]exposure.Account, zone *time.Location) (*Router, error) {
	r := &Router{sinks: sinks, accounts: accounts}
	for i, route := range routes {
		m, err := rule.Compile(route.Match)
		if err != nil {
			return nil, fmt.Errorf("routes[%d]: %w", i, err)
		}
		c := compiled{Route: route, match: m, least: max(0, slices.Index(rule.Severities, route.MinSeverity))}
		for _, q := range route.Quiet {
			w, err := q.read(zone)
			if err != nil {
				return nil, fmt.Errorf("routes[%d]: %w", i, err)
			}
			c.windows = append(c.windows, w)
		}
		r.routes = append(r.routes, c)
	}
	return r, nil
}

// tells reports whether the route is about the sink.
func (c *compiled) tells(sink string) bool {
	return (len(c.Sinks) == 0 || slices.Contains(c.Sinks, sink)) && !slices.Contains(c.Except, sink)
}

// A Case is what a sink knows of an exposure.
type Case struct {
	Known bool     // it was told of it
	To    []string // through these recipients; nil: its own
	// Orphan says that a sink which is gone, or was renamed, knows it.
	Orphan bool
}

// A Decision is what becomes of an alert at one sink.
type Decision struct {
	Tell    bool
	Until   time.Time // it is held back till then; zero: it is not
	To      []string  // recipients; nil: the sink's own
	Untaken bool      // no route takes the alert, so all are told
	Why     string    // in words, if it is not told or is held back; or which route tells it
}

// Decide says what becomes of an alert at the sink of that name, of which case
// it knows so much.
//
// A sink that knows a case is told all the rest of it through the recipients that
// know it, whatever the routes say by then: nobody is left with half a story.
// Machines get everything. People are told what a route says, but for what was
// announced, which is for machines alone, what a campaign's own alerts tell of,
// and what is late, which calls nobody: unless a route takes it by the field
// expected, campaign or late. The end of a case that the sink does not know, nor
// should have known, is not told, unless somebody made use of the exposure. Where a
// sink that is gone knew the case, those who would be told of such a case now are
// told its end.
func (r *Router) Decide(sink string, a *exposure.Alert, c Case, now time.Time) Decision {
	f := r.Facts(a)
	taken := r.take(&f)
	d := Decision{Untaken: len(taken) == 0 && len(r.routes) > 0}
	if c.Known {
		d.Tell, d.To, d.Why = true, c.To, "it knows the case"
		if a.Step != exposure.Resolved {
			r.hold(&d, sink, taken, a, now)
		}
		return d
	}
	for _, i := range taken {
		if slices.Contains(r.routes[i].Except, sink) {
			d.Why = name(i) + " excepts it"
			return d
		}
	}
	kind := r.sinks[sink]
	if kind == Machine {
		d.Tell, d.Why = true, "machines are told everything"
		return d
	}
	telling, why := r.telling(sink, taken, &f)
	if why == "" {
		why = r.soft(kind, taken, telling, a, &f)
	}
	if a.Step == exposure.Resolved {
		begun, missed := r.begin(sink, a, f)
		switch {
		case c.Orphan && missed == "":
			telling, why = begun, ""
		case why == "" && missed != "" && !slices.Contains(a.Reasons, exposure.ReasonExploited):
			why = "it was not told how it began: " + missed
		}
	}
	if d.Why = why; why != "" {
		return d
	}
	d.Tell = true
	switch {
	case len(telling) > 0:
		d.Why = name(telling[0]) + " tells it"
	case d.Untaken:
		d.Why = "no route takes it: all are told"
	}
	for _, i := range telling {
		for _, to := range r.routes[i].Recipients[sink] {
			if !slices.Contains(d.To, to) {
				d.To = append(d.To, to)
			}
		}
	}
	r.hold(&d, sink, telling, a, now)
	return d
}

func name(i int) string { return fmt.Sprintf("routes[%d]", i) }

// take is which routes take an alert, by their places.
func (r *Router) take(f *rule.Facts) (taken []int) {
	for i := range r.routes {
		if r.routes[i].match.Match(f) {
			taken = append(taken, i)
			if !r.routes[i].Continue {
				break
			}
		}
	}
	return taken
}

// telling is which of the routes that take an alert tell the sink, or why none
// does. Where no route takes it, everybody is told: a forgotten account is never
// a silent one.
func (r *Router) telling(sink string, taken []int, f *rule.Facts) (telling []int, why string) {
	for _, i := range taken {
		c := &r.routes[i]
		switch {
		case !c.tells(sink):
			if why == "" {
				why = name(i) + " tells others"
			}
		case slices.Index(rule.Severities, f.Severity) < c.least:
			why = name(i) + " tells it from " + c.MinSeverity + " on"
		default:
			telling = append(telling, i)
		}
	}
	if len(telling) > 0 {
		why = ""
	}
	return telling, why
}

// begin is which routes would tell the sink of the step that a case began with,
// or why none does.
func (r *Router) begin(sink string, a *exposure.Alert, f rule.Facts) (telling []int, why string) {
	f.Step, f.Severity = string(exposure.Opened), string(exposure.High)
	if a.Users != nil {
		f.Step = string(exposure.Campaign)
	}
	if f.Privileged || f.Campaign {
		f.Severity = string(exposure.Critical)
	}
	return r.telling(sink, r.take(&f), &f)
}

// soft says why people, or those who are called, are left alone by default.
func (r *Router) soft(kind Kind, taken, telling []int, a *exposure.Alert, f *rule.Facts) string {
	asked := func(field string) bool {
		return slices.ContainsFunc(telling, func(i int) bool { return r.routes[i].match.Asks(field) })
	}
	switch {
	case f.Expected && !asked("expected"):
		return "it was announced, which is for machines"
	case a.Campaign != "" && !asked("campaign"):
		return "the alerts of its campaign tell it"
	case f.Late && kind == Pager && !asked("late"):
		if a.Severity != exposure.Critical || r.read(taken, f) {
			return "it is late, which calls nobody"
		}
	}
	return ""
}

// read reports whether somebody who is not called is told of the alert.
func (r *Router) read(taken []int, f *rule.Facts) bool {
	for sink, kind := range r.sinks {
		if kind != Reader || slices.ContainsFunc(taken, func(i int) bool { return slices.Contains(r.routes[i].Except, sink) }) {
			continue
		}
		if _, why := r.telling(sink, taken, f); why == "" {
			return true
		}
	}
	return false
}

// hold holds the alert back, if it is quiet by every route that tells the sink.
func (r *Router) hold(d *Decision, sink string, routes []int, a *exposure.Alert, now time.Time) {
	if r.sinks[sink] == Machine {
		return
	}
	var first time.Time
	for _, i := range routes {
		if !r.routes[i].tells(sink) {
			continue
		}
		until := heldUntil(r.routes[i].windows, now, a.Severity == exposure.Critical)
		if until.IsZero() {
			return
		}
		if first.IsZero() || until.Before(first) {
			first, d.Why = until, name(i)+" tells it after its quiet hours"
		}
	}
	d.Until = first
}

// Plain reports whether the sink is told every alert at once, so that nobody
// needs to ask.
func (r *Router) Plain(sink string) bool {
	return r.sinks[sink] == Machine && !slices.ContainsFunc(r.routes, func(c compiled) bool { return slices.Contains(c.Except, sink) })
}

// Facts is what matchers see of an alert.
func (r *Router) Facts(a *exposure.Alert) rule.Facts {
	has := func(reason string) bool { return slices.Contains(a.Reasons, reason) }
	account := r.accounts[a.Account]
	f := rule.Facts{
		Account: a.Account, AccountName: account.Name, AccountClass: account.Class, Partition: a.Partition,
		Path: a.Path, Root: a.Root, Privileged: a.Root || has(exposure.ReasonPrivileged),
		Actor: a.Actor.Name, ActorType: a.Actor.Type, Self: a.Actor.Self, MFA: a.Actor.MFA,
		SourceIP: a.Actor.SourceIP, UserAgent: a.Actor.UserAgent,
		DeviceKind: a.Device.Kind, Protection: a.Protection, Step: string(a.Step), Severity: string(a.Severity),
		Late: has(exposure.ReasonLate), Expected: has(exposure.ReasonExpected), Campaign: has(exposure.ReasonCampaign),
		Origin: a.Event.Origin,
	}
	if a.User != nil {
		f.User = *a.User
	}
	return f
}
