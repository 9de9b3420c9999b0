// Package exposure folds events about MFA devices into exposures, the time a
// user is without MFA, and says what has to be told of them.
package exposure

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// The resolutions of an exposure.
const (
	Enabled     = "enabled"      // a device was enabled, or answered a resync (R20)
	Replaced    = "replaced"     // it was told as opened, and is seen now never to have been (R19)
	MFASeen     = "mfa_seen"     // a sign-in proved a device (R27)
	UserDeleted = "user_deleted" // the user is gone (R23)
	Ended       = "ended"        // of a campaign: the last of its exposures is over
)

// Resolutions lists them all.
var Resolutions = []string{Enabled, Replaced, MFASeen, UserDeleted}

// What still protects the user.
const (
	ProtectionNone        = "none"
	ProtectionOtherDevice = "other_device"
	ProtectionUnknown     = "unknown"
)

// An Exposure is the story of one user's MFA from the first deactivation until
// it is over. It is read-only.
type Exposure struct {
	ID         string
	Partition  string
	Account    string
	User       string // as written last; "" when it cannot be known
	Root       bool
	Severity   Severity // the highest that it reached
	Reasons    []string // all of them
	OpenedAt   time.Time
	ResolvedAt *time.Time // nil: it is not over
	Resolution string
	Protection string
	Exploited  bool // somebody signed in without MFA meanwhile
	Changed    bool // credentials or rights were changed meanwhile
	Reduced    bool // another device stayed active all the time: nobody is waited for
	Actor      trail.Actor
	Serial     string
	Device     string // its kind
	Steps      []Moment

	policy        *Policy
	person        *person
	path          string // of the user within IAM, as far as is known
	reasons       reasons
	changes       changes
	consoleClosed bool      // the password was deleted (R23)
	leaving       bool      // by who removed MFA, too: the user is about to be deleted
	expected      *Expected // what announced every deactivation; nil: nothing did
	wave          *Wave     // of which it is one; nil: none
	openSince     time.Time // when it became open; zero if it never was
	deactivations []string  // event IDs, in order
	first         *trail.Event
	other         *trail.Event // what proved the device that made it reduced
	privileged    bool
}

// A Moment is one step of a story, with what was known when it was taken.
type Moment struct {
	Step     Step
	Time     time.Time
	Severity Severity
	Event    *trail.Event // what caused it; never nil

	rule       string // the reason of the rule that made the severity
	user       string
	closed     bool // the password was deleted
	reasons    reasons
	changes    changes
	protection string
	resolution string
	escalation int  // which delay passed
	foreign    bool // another enabled the device that ends it, of which nobody heard, or all that are left
}

// Open reports whether the user is waited for.
func (x *Exposure) Open() bool { return !x.openSince.IsZero() && x.ResolvedAt == nil }

// end is the time of the last thing that happened.
func (x *Exposure) end() time.Time { return x.Steps[len(x.Steps)-1].Time }

// begin is the exposure that a deactivation begins.
func begin(p *person, e *trail.Event, policy *Policy) *Exposure {
	x := &Exposure{
		policy: policy, person: p, path: p.path,
		Partition: e.Partition, Account: e.Account, User: e.User, Root: p.root,
		OpenedAt: e.Time, Protection: ProtectionUnknown,
		Actor: e.Actor, Serial: e.Serial, Device: trail.DeviceKind(e.Serial),
		first: e, privileged: p.privileged(),
	}
	if x.User == "" {
		x.User = p.name
	}
	if x.User == "" {
		x.reasons |= unknownTarget
	}
	x.reasons |= p.reasons()
	return x
}

// take adds a step to the story.
func (x *Exposure) take(s Step, e *trail.Event) {
	x.Steps = append(x.Steps, x.moment(s, e))
}

// moment is a step as things stand, not judged yet.
func (x *Exposure) moment(s Step, e *trail.Event) Moment {
	return Moment{
		Step: s, Time: e.Time, Event: e,
		user: x.User, closed: x.consoleClosed, reasons: x.reasons, changes: x.changes,
		protection: x.Protection, resolution: x.Resolution,
	}
}

// asClosed is the same with the password deleted, which was to follow.
func (m Moment) asClosed() *Moment {
	m.closed = true
	return &m
}

// asForeign is the same as loud as its beginning, which was not told, would have
// been.
func (m Moment) asForeign() *Moment {
	m.foreign = true
	return &m
}

// as is the same told as another step.
func (m Moment) as(s Step) *Moment {
	m.Step = s
	return &m
}

// close ends the exposure.
func (x *Exposure) close(resolution string, e *trail.Event) {
	t := e.Time
	x.ResolvedAt, x.Resolution = &t, resolution
	if resolution == UserDeleted && !x.used() {
		x.reasons |= offboarding
	}
	x.take(Resolved, e)
}

// finish fills in what depends on the whole story.
func (x *Exposure) finish() {
	x.ID = exposureID(x.first)
	if x.wave != nil {
		x.reasons |= inCampaign
	}
	x.Reasons = x.reasons.words()
	for i := range x.Steps {
		m := &x.Steps[i]
		m.reasons |= x.reasons & inCampaign
		m.Severity, m.rule = x.judge(m, 0)
		if m.Step != Resolved && m.Severity.level() > x.Severity.level() {
			x.Severity = m.Severity
		}
	}
	x.deactivations = slices.Clip(x.deactivations)
}

// quieted reports whether nobody needs to be waited for any more, though it is
// open.
func (x *Exposure) quieted() bool { return x.consoleClosed && !x.used() }

// foreign reports whether it ended with a device that somebody else than the user
// enabled, which may be an intruder's.
func (x *Exposure) foreign() bool {
	if x.ResolvedAt == nil || x.Resolution != Enabled {
		return false
	}
	return enabledByAnother(x.Steps[len(x.Steps)-1].Event)
}

// used reports whether somebody made use of it.
func (x *Exposure) used() bool { return x.Exploited || x.Changed }

// stands is how severe it is now.
func (x *Exposure) stands() Severity {
	m := x.moment(Escalated, x.first)
	v, _ := x.judge(&m, 0)
	return v
}

// replaced ends what was told as opened, once another device is known to have
// been active all the time.
func (x *Exposure) replaced() *Moment { return x.never(x.OpenedAt, x.other) }

// partOf ends what was told as opened at t, once it is known to be no exposure
// of its own but a part of x.
func (x *Exposure) partOf(t time.Time) *Moment { return x.never(t, x.first) }

func (x *Exposure) never(opened time.Time, because *trail.Event) *Moment {
	m := x.moment(Resolved, because)
	m.resolution = Replaced
	if opened.After(m.Time) {
		m.Time = opened
	}
	return &m
}

// A History is what a set of events shows, told or not.
type History struct {
	Exposures []*Exposure // in order of opening
	Attempts  []*Attempt  // in order of their first event
	Campaigns []*Wave     // in order of their first exposure
}

// Fold shows what happened in any number of accounts. One set of events has one
// History, whatever their order and however often each is there (R29, R30). The
// events are not changed, but the History shares their memory. It knows no
// campaigns and no rules: a Policy does.
func Fold(events []*trail.Event) History { return Policy{}.Fold(events) }

// Fold shows what happened in any number of accounts, as the Policy judges it
// without regard to time: nothing waits, and nothing is late.
func (p Policy) Fold(events []*trail.Event) History {
	type account struct{ partition, id string }
	of := map[account][]*trail.Event{}
	for _, e := range events {
		if e != nil {
			k := account{e.Partition, e.Account}
			of[k] = append(of[k], e)
		}
	}
	var h History
	for _, events := range of {
		f := fold(events, State{}, &p, time.Time{})
		h.Campaigns = append(h.Campaigns, f.waves...)
		h.Exposures = append(h.Exposures, f.exposures...)
		h.Attempts = append(h.Attempts, f.attempts...)
	}
	slices.SortFunc(h.Exposures, func(a, b *Exposure) int {
		return inOrder(a.OpenedAt, b.OpenedAt, a.Partition, b.Partition, a.Account, b.Account, a.ID, b.ID)
	})
	sortWaves(h.Campaigns)
	slices.SortFunc(h.Attempts, func(a, b *Attempt) int {
		return inOrder(a.First, b.First, a.Partition, b.Partition, a.Account, b.Account, a.ID, b.ID)
	})
	return h
}

// inOrder compares two times, then pairs of strings.
func inOrder(a, b time.Time, pairs ...string) int {
	c := a.Compare(b)
	for i := 0; c == 0 && i < len(pairs); i += 2 {
		c = strings.Compare(pairs[i], pairs[i+1])
	}
	return c
}

// Alerts is every step of everything, in order of time, without escalations,
// for those depend on when somebody looks.
func (h History) Alerts() []*Alert {
	var alerts []*Alert
	for _, x := range h.Exposures {
		for i := range x.Steps {
			m := &x.Steps[i]
			a := x.alert(m, x.ID, stepID(x.ID, m.Step, m.Event.ID, 0), x.announced())
			if x.wave != nil && !x.used() {
				a.Campaign = x.wave.ID
			}
			alerts = append(alerts, a)
		}
	}
	for _, w := range h.Campaigns {
		alerts = append(alerts, w.alert(Campaign, w.latest(), stepID(w.ID, Campaign, waveKey(w.Users, 0), 0), 0))
		if w.Open == 0 {
			alerts = append(alerts, w.alert(Resolved, w.end(), stepID(w.ID, Resolved, waveKey(w.Users, 0), 0), 0))
		}
	}
	for _, a := range h.Attempts {
		alerts = append(alerts, a.alert(0))
	}
	sortAlerts(alerts)
	return alerts
}

// sortAlerts puts alerts into the order in which they are told: by time, within
// it by step, within it by ID.
func sortAlerts(alerts []*Alert) {
	slices.SortStableFunc(alerts, func(a, b *Alert) int {
		return cmp.Or(
			a.Time.Compare(b.Time),
			cmp.Compare(slices.Index(Steps, a.Step), slices.Index(Steps, b.Step)),
			strings.Compare(a.ID, b.ID),
		)
	})
}
