package route

import (
	"fmt"
	"slices"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/rule"
)

// Router decides for each sink. It is immutable.
type Router struct {
	routes   []compiledRoute
	sinks    map[string]Kind
	accounts map[string]exposure.Account
}

// compiledRoute is a Route with its matcher and windows.
type compiledRoute struct {
	Route
	match       *rule.Matcher
	minSeverity int // by its place in rule.Severities
	muteWindows []muteWindow
}

// New returns a Router of routes that Validate accepts, for sinks of the given
// names. accounts holds the names and classes that matchers see, by number;
// zone is the zone of mute times that name none. Without routes every sink is
// notified of every alert that is for it.
func New(routes []Route, sinks map[string]Kind, accounts map[string]exposure.Account, zone *time.Location) (*Router, error) {
	r := &Router{sinks: sinks, accounts: accounts}
	for i, route := range routes {
		m, err := rule.Compile(route.Match)
		if err != nil {
			return nil, fmt.Errorf("routes[%d]: %w", i, err)
		}
		c := compiledRoute{Route: route, match: m, minSeverity: max(0, slices.Index(rule.Severities, route.MinSeverity))}
		for _, q := range route.MuteTimes {
			w, err := q.compile(zone)
			if err != nil {
				return nil, fmt.Errorf("routes[%d]: %w", i, err)
			}
			c.muteWindows = append(c.muteWindows, w)
		}
		r.routes = append(r.routes, c)
	}
	return r, nil
}

// Knowledge holds a sink's knowledge of an exposure.
type Knowledge struct {
	Known bool     // the sink was notified of it
	To    []string // through these recipients; nil: its own
	// Orphan reports that a sink that was removed or renamed knows it.
	Orphan bool
}

// Decision says how one sink treats an alert.
type Decision struct {
	// the sink is notified
	Notify   bool
	Until    time.Time // muted until then; zero: not muted
	To       []string  // recipients; nil: the sink's own
	Unrouted bool      // no route matches the alert, so every sink is notified
	Why      string    // why it is suppressed or muted, or which route notifies
}

// Decide reports whether, when and to whom the sink sends a, given what it
// already knows of the exposure.
//
// A sink that knows an exposure is notified of the rest of it through the same
// recipients, whatever the routes say by then. Machine sinks get every alert.
// Human sinks get what a route gives them, with three exceptions, each lifted
// by a route whose matcher names the field: planned changes (planned_change),
// alerts whose campaign notifies in their place (campaign), and, for pagers, late
// alerts (late). Failed calls are for machine sinks alone. A human sink that does
// not know an exposure is not notified of its end, with two exceptions: an end
// above info, which is the first alert of its exposure, goes to the sinks that
// would be notified of such an exposure now; and so does the end of an exposure
// that a removed sink knew.
func (r *Router) Decide(sink string, a *exposure.Alert, c Knowledge, now time.Time) Decision {
	f := r.Facts(a)
	matched := r.matching(&f)
	covered := r.covered(a, f, matched)
	if a.Step == exposure.Escalated && covered && r.sinks[sink] != Machine {
		return Decision{Why: "the alerts of its campaign notify in its place"} // a sink that knows the exposure gets its end (J17)
	}
	if c.Known {
		d := Decision{Notify: true, To: c.To, Why: "it knows the exposure"}
		if a.Step != exposure.Resolved {
			r.mute(&d, sink, matched, a, now)
		}
		return d
	}
	d := Decision{Unrouted: len(matched) == 0 && len(r.routes) > 0}
	for _, i := range matched {
		if slices.Contains(r.routes[i].Except, sink) {
			d.Why = r.name(i) + " excepts it"
			return d
		}
	}
	kind := r.sinks[sink]
	if kind == Machine {
		d.Notify, d.Unrouted, d.Why = true, false, "machine sinks get every alert"
		return d
	}
	notifying, why := r.notifying(sink, matched, &f)
	if why == "" {
		why = r.defaultReason(kind, matched, notifying, covered, a, &f)
	}
	if a.Step == exposure.Resolved {
		begun, missed := r.notifyingOpened(sink, a, f)
		switch {
		case c.Orphan && missed == "":
			notifying, why = begun, ""
		case why == "" && a.Severity == exposure.Info:
			why = notBegun
		case why == "" && missed != "":
			why = notBegun + ": " + missed
		}
	}
	if d.Why = why; why != "" {
		d.Unrouted = false
		return d
	}
	d.Notify = true
	switch {
	case len(notifying) > 0:
		d.Why = r.name(notifying[0]) + " notifies it"
	case d.Unrouted:
		d.Why = "no route matches: every sink is notified"
	}
	for _, i := range notifying {
		for _, to := range r.routes[i].Recipients[sink] {
			if !slices.Contains(d.To, to) {
				d.To = append(d.To, to)
			}
		}
	}
	r.mute(&d, sink, notifying, a, now)
	return d
}

const notBegun = "it was not notified of the beginning"

// name names a route.
func (r *Router) name(i int) string {
	if r.routes[i].Default {
		return "the default"
	}
	return fmt.Sprintf("routes[%d]", i)
}

// matching returns the places of the routes that match an alert.
func (r *Router) matching(f *rule.Facts) (matched []int) {
	for i := range r.routes {
		if r.routes[i].match.Match(f) {
			matched = append(matched, i)
			if !r.routes[i].Continue {
				break
			}
		}
	}
	return matched
}

// notifying returns which of the matching routes notify the sink, or why none
// does. If no route matches, every sink is notified: a forgotten account is
// never a silent one.
func (r *Router) notifying(sink string, matched []int, f *rule.Facts) (notifying []int, why string) {
	for _, i := range matched {
		c := &r.routes[i]
		switch {
		case !c.Notifies(sink):
			if why == "" {
				why = r.name(i) + " notifies others"
			}
		case slices.Index(rule.Severities, f.Severity) < c.minSeverity:
			why = r.name(i) + " notifies it from " + c.MinSeverity + " on"
		default:
			notifying = append(notifying, i)
		}
	}
	if len(notifying) > 0 {
		why = ""
	}
	return notifying, why
}

// notifyingOpened returns which routes would notify the sink of the beginning
// of the exposure, or why none does.
func (r *Router) notifyingOpened(sink string, a *exposure.Alert, f rule.Facts) (notifying []int, why string) {
	f.Step, f.Severity = string(exposure.Opened), string(exposure.High)
	if a.Users != nil {
		f.Step = string(exposure.StepCampaign)
	}
	if f.Privileged || f.Campaign {
		f.Severity = string(exposure.Critical)
	}
	return r.notifying(sink, r.matching(&f), &f)
}

// defaultReason says why a human sink, or a pager, is not notified by default.
func (r *Router) defaultReason(kind Kind, matched, notifying []int, covered bool, a *exposure.Alert, f *rule.Facts) string {
	asked := func(field string) bool {
		return slices.ContainsFunc(notifying, func(i int) bool { return r.routes[i].match.Asks(field) })
	}
	switch {
	case a.Step == exposure.Failed:
		return "failed calls are for machine sinks"
	case f.Expected && !asked("planned_change"):
		return "planned changes are for machine sinks"
	case covered && !asked("campaign"):
		return "the alerts of its campaign notify in its place"
	case f.Late && kind == Pager && !asked("late"):
		if a.Severity != exposure.Critical || r.readByOthers(matched, f) {
			return "late alerts page no one"
		}
	}
	return ""
}

// covered reports whether the alerts of its campaign notify in place of a. They name no
// user, and may be about another account: who hits a sandbox first would have its
// routes decide about all that follows. They do where the same routes decide about both.
func (r *Router) covered(a *exposure.Alert, f rule.Facts, matched []int) bool {
	if a.Campaign == "" {
		return false
	}
	if a.CampaignIn != "" {
		r.in(a.CampaignIn, &f)
	}
	f.User, f.Path = "", ""
	return slices.Equal(matched, r.matching(&f))
}

// readByOthers reports whether a sink other than pagers is notified of the
// alert.
func (r *Router) readByOthers(matched []int, f *rule.Facts) bool {
	for sink, kind := range r.sinks {
		if kind != Reader || slices.ContainsFunc(matched, func(i int) bool { return slices.Contains(r.routes[i].Except, sink) }) {
			continue
		}
		if _, why := r.notifying(sink, matched, f); why == "" {
			return true
		}
	}
	return false
}

// mute sets Until if every route that notifies the sink is muted.
func (r *Router) mute(d *Decision, sink string, routes []int, a *exposure.Alert, now time.Time) {
	if r.sinks[sink] == Machine {
		return
	}
	var first time.Time
	for _, i := range routes {
		if !r.routes[i].Notifies(sink) {
			continue
		}
		until := mutedUntil(r.routes[i].muteWindows, now, a.Severity == exposure.Critical)
		if until.IsZero() {
			return
		}
		if first.IsZero() || until.Before(first) {
			first, d.Why = until, r.name(i)+" notifies it after its mute times"
		}
	}
	d.Until = first
}

// Plain reports whether the sink gets every alert immediately, so that Decide need
// not be asked.
func (r *Router) Plain(sink string) bool {
	return r.sinks[sink] == Machine && !slices.ContainsFunc(r.routes, func(c compiledRoute) bool { return slices.Contains(c.Except, sink) })
}

// Facts returns the fields of an alert that matchers see.
func (r *Router) Facts(a *exposure.Alert) rule.Facts {
	has := func(reason string) bool { return slices.Contains(a.Reasons, reason) }
	f := rule.Facts{
		Partition: a.Partition, Path: a.Path, Root: a.Root, Privileged: a.Root || has(exposure.ReasonPrivileged),
		Actor: exposure.ActorName(a.Actor.Type, a.Actor.Name), ActorType: a.Actor.Type, Self: a.Actor.Self, MFA: a.Actor.MFA,
		SourceIP: a.Actor.SourceIP, UserAgent: a.Actor.UserAgent,
		DeviceKind: a.Device.Kind, Protection: a.Protection, Step: string(a.Step), Severity: string(a.Severity),
		Late: has(exposure.ReasonLate), Expected: has(exposure.ReasonExpected), Campaign: has(exposure.ReasonCampaign),
		Origin: a.Event.Origin,
	}
	r.in(a.Account, &f)
	if a.User != nil {
		f.User = *a.User
	}
	return f
}

// in sets the account.
func (r *Router) in(account string, f *rule.Facts) {
	f.Account, f.AccountName, f.AccountClass = account, r.accounts[account].Name, r.accounts[account].Class
}
