package exposure

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// The resolutions: how an exposure ended.
const (
	Enabled     = "enabled"      // a device was enabled, or answered a resync (R20)
	Replaced    = "replaced"     // it was alerted as opened, and another device turned out to be active (R19)
	MFASeen     = "mfa_seen"     // a sign-in proved a device (R27)
	UserDeleted = "user_deleted" // the user was deleted (R23)
	Proved      = "proved"       // a suspect exposure: a sign-in from a known address proved a device (J2)
	Closed      = "closed"       // a person closed it (J2)
	Ended       = "ended"        // of a campaign: the last of its exposures ended
)

// Resolutions lists the resolutions of an exposure.
var Resolutions = []string{Enabled, Replaced, MFASeen, UserDeleted, Proved, Closed}

// The protections: what still protects the user.
const (
	ProtectionNone        = "none"
	ProtectionOtherDevice = "other_device"
	ProtectionUnknown     = "unknown"
)

// Exposure is one user's time without MFA, from the first deactivation until it
// ends. It is read-only.
type Exposure struct {
	ID         string
	Partition  string
	Account    string
	User       string // in its latest spelling; "" when unknown
	Root       bool
	Severity   Severity // the highest that it reached
	Reasons    []string // of all its steps
	OpenedAt   time.Time
	ResolvedAt *time.Time // nil while it is open
	Resolution string
	Protection string
	Exploited  bool // a sign-in without MFA happened while it was open
	Changed    bool // credentials or rights changed while it was open
	Reduced    bool // another device stayed active throughout, so nothing is awaited
	Actor      trail.Actor
	Serial     string
	Device     string // the kind of the device
	Steps      []Moment

	policy        *Policy
	identity      *identity
	path          string // of the user within IAM, where known
	reasons       reasons
	changes       changes
	consoleClosed bool           // the password was deleted (R23)
	offboarded    bool           // the actor of the removal deleted the password, too: an off-boarding is under way
	planned       *PlannedChange // the planned change that matches every deactivation; nil: none
	campaign      *membership    // the campaign that it is part of; nil: none
	openSince     time.Time      // when it became open; zero if it never was
	deactivations []string       // IDs of the events by which later folds recognize it, in order
	removals      []*trail.Event // the first of them
	first         *trail.Event
	other         *trail.Event // the proof of the device that made it reduced
	privileged    bool

	suspect    bool            // a device came back, but an intruder may hold it (J1)
	isGone     bool            // it was alerted, and is known now not to have begun
	wasForeign bool            // another identity enabled the device
	foreign    []string        // the devices that other identities enabled while it was open
	known      []netip.Prefix  // where the user was known before it began (J5)
	proof      *trail.Event    // a sign-in from there that proved a device, while something is left behind (J2)
	proofKept  *item           // the item of proof, if it is kept for nothing else
	familiar   *trail.Event    // a sign-in without MFA from there, until the user has had time to enable a device (J4)
	pending    []pendingChange // changes of which it is not known whether they count, in order
	waiting    bool            // the time alone may change it
	prelude    []*trail.Event  // the changes shortly before it began (J6)
	denied     int             // how often its actor was denied before (J18)
	ways       ways            // the sign-ins without MFA (J8)
	guesses    guesses         // the failed sign-ins (J8)
}

// maxRecognized bounds the events by which an exposure is recognized.
const maxRecognized = 256

// recognizeBy records an event with which x might begin, if those before it were
// unknown.
func (x *Exposure) recognizeBy(e *trail.Event) {
	if len(x.deactivations) < maxRecognized {
		x.deactivations = append(x.deactivations, e.ID)
	}
}

// Moment is one step of an exposure, with the facts known at that step.
type Moment struct {
	Step     Step
	Time     time.Time
	Severity Severity
	Event    *trail.Event // the cause; never nil

	rule             string // the reason of the severity rule that applied
	user             string
	closed           bool // the password was deleted
	reasons          reasons
	changes          changes
	protection       string
	resolution       string
	escalation       int               // the number of the passed delay
	enabledByAnother bool              // reduced: another identity enabled all remaining devices
	overdue          bool              // updated: the user enabled no device after a familiar sign-in
	guesses          int               // updated: the number of failed sign-ins
	left             []AlertLeftBehind // suspect
}

// Open reports whether x waits for a device.
func (x *Exposure) Open() bool { return !x.openSince.IsZero() && x.ResolvedAt == nil }

// end returns the time of the last step.
func (x *Exposure) end() time.Time { return x.Steps[len(x.Steps)-1].Time }

// newExposure returns the exposure that a deactivation begins.
func newExposure(p *identity, e *trail.Event, policy *Policy) *Exposure {
	x := &Exposure{
		policy: policy, identity: p, path: p.path,
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

// removedBy records the removal of a device.
func (x *Exposure) removedBy(e *trail.Event) {
	x.recognizeBy(e)
	if len(x.removals) < maxRemovals {
		x.removals = append(x.removals, e)
	}
}

// addStep appends a step.
func (x *Exposure) addStep(s Step, e *trail.Event) {
	x.Steps = append(x.Steps, x.step(s, e))
}

// step returns a step with the current facts and no severity yet.
func (x *Exposure) step(s Step, e *trail.Event) Moment {
	return Moment{
		Step: s, Time: e.Time, Event: e,
		user: x.User, closed: x.consoleClosed, reasons: x.reasons, changes: x.changes,
		protection: x.Protection, resolution: x.Resolution,
	}
}

// asClosed returns m with the password deleted, as a later event will report.
func (m Moment) asClosed() *Moment {
	m.closed = true
	return &m
}

// as returns m as another step.
func (m Moment) as(s Step) *Moment {
	m.Step = s
	return &m
}

// close ends the exposure.
func (x *Exposure) close(resolution string, e *trail.Event) {
	t := e.Time
	x.ResolvedAt, x.Resolution = &t, resolution
	if resolution == UserDeleted && !x.exploitedOrChanged() {
		x.reasons |= offboarding
	}
	x.addStep(Resolved, e)
}

// finish fills in the fields that depend on all steps.
func (x *Exposure) finish() {
	if x.campaign != nil {
		x.reasons |= inCampaign
	}
	x.Reasons = x.reasons.words()
	for i := range x.Steps {
		m := &x.Steps[i]
		m.reasons |= x.reasons & inCampaign
		m.Severity, m.rule = x.severity(m, 0)
		if m.Step != Resolved && m.Severity.level() > x.Severity.level() {
			x.Severity = m.Severity
		}
	}
	x.deactivations = slices.Clip(x.deactivations)
}

// silenced reports whether x is open and waits for no human: the password is
// deleted, and no use was made of x.
func (x *Exposure) silenced() bool { return x.consoleClosed && !x.exploitedOrChanged() }

// exploitedOrChanged reports whether an intruder may have used x.
func (x *Exposure) exploitedOrChanged() bool { return x.Exploited || x.Changed }

// currentSeverity returns the severity as of the last event.
func (x *Exposure) currentSeverity() Severity {
	s := Escalated
	if x.suspect {
		s = Suspect
	}
	m := x.step(s, x.first)
	v, _ := x.severity(&m, 0)
	return v
}

// replacedStep resolves an exposure that was alerted as opened, after another
// device turned out to have been active throughout.
func (x *Exposure) replacedStep() *Moment { return x.neverOpened(x.OpenedAt, x.other) }

// mergedStep resolves an exposure that was alerted as opened at t and turned
// out to be part of x.
func (x *Exposure) mergedStep(t time.Time) *Moment { return x.neverOpened(t, x.first) }

// neverOpened resolves an exposure that was opened by mistake, no earlier than
// it opened.
func (x *Exposure) neverOpened(opened time.Time, because *trail.Event) *Moment {
	m := x.step(Resolved, because)
	m.resolution = Replaced
	if opened.After(m.Time) {
		m.Time = opened
	}
	return &m
}

// History is everything that a set of events shows, whether alerted or not.
type History struct {
	Exposures []*Exposure      // in order of opening
	Attempts  []*Attempt       // in order of their first event
	Campaigns []*ActorCampaign // in order of their first exposure
}

// Fold returns the History of any number of accounts. One set of events has one
// History, whatever their order and number of copies (R29, R30). Fold leaves
// the events unchanged; the History shares their memory. It knows neither
// campaigns nor severity rules, which need a Policy.
func Fold(events []*trail.Event) History { return Policy{}.Fold(events) }

// Fold returns the History of any number of accounts under p, independent of
// time: nothing waits, and nothing is late.
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
		h.Exposures = append(h.Exposures, f.exposures...)
		h.Attempts = append(h.Attempts, f.attempts...)
	}
	slices.SortFunc(h.Exposures, func(a, b *Exposure) int {
		return inOrder(a.OpenedAt, b.OpenedAt, a.Partition, b.Partition, a.Account, b.Account, a.ID, b.ID)
	})
	h.findCampaigns(&p)
	slices.SortFunc(h.Attempts, func(a, b *Attempt) int {
		return inOrder(a.First, b.First, a.Partition, b.Partition, a.Account, b.Account, a.ID, b.ID)
	})
	return h
}

// findCampaigns finds the campaigns of all actors, and finishes the exposures.
func (h *History) findCampaigns(p *Policy) {
	var all []*sighting
	of := map[string]*Exposure{}
	for _, x := range h.Exposures {
		of[x.ID] = x
		all = append(all, x.sighting(false, time.Time{}))
	}
	attempts := map[string]*Attempt{}
	for _, a := range h.Attempts {
		if a.countsForCampaign() {
			attempts[a.ID] = a
			all = append(all, a.sighting(a.ID))
		}
	}
	sortSightings(all)
	h.Campaigns = findCampaigns(all, p)
	for _, w := range h.Campaigns {
		for _, s := range w.hits {
			m := &membership{ID: w.ID, First: w.since, From: w.lane}
			if s.Kind == denied {
				attempts[s.Exposure].campaign = m
			} else {
				of[s.Exposure].campaign = m
			}
		}
		w.Severity, _ = w.severity(StepCampaign, w.latestStep(), 0)
	}
	for _, x := range h.Exposures {
		x.finish()
	}
}

// inOrder compares two times, then pairs of strings.
func inOrder(a, b time.Time, pairs ...string) int {
	c := a.Compare(b)
	for i := 0; c == 0 && i < len(pairs); i += 2 {
		c = strings.Compare(pairs[i], pairs[i+1])
	}
	return c
}

// Alerts returns every step of every exposure, campaign and attempt in order of
// time, except escalations, which depend on the time of the call.
func (h History) Alerts() []*Alert {
	var alerts []*Alert
	for _, x := range h.Exposures {
		for i := range x.Steps {
			m := &x.Steps[i]
			a := x.alert(m, x.ID, stepID(x.ID, m.Step, m.Event.ID, 0), x.plannedReason())
			if x.campaign != nil && !x.exploitedOrChanged() {
				a.Campaign = x.campaign.ID
			}
			alerts = append(alerts, a)
		}
	}
	for _, w := range h.Campaigns {
		alerts = append(alerts, w.alert(StepCampaign, w.latestStep(), stepID(w.ID, StepCampaign, campaignKey(w.Users, 0), 0), 0))
		if w.Open == 0 && w.kind == removal {
			alerts = append(alerts, w.alert(Resolved, w.endStep(), stepID(w.ID, Resolved, campaignKey(w.Users, 0), 0), 0))
		}
	}
	for _, a := range h.Attempts {
		alerts = append(alerts, a.alert(0))
	}
	sortAlerts(alerts)
	return alerts
}

// sortAlerts sorts alerts into delivery order: by time, then by step, then by
// ID.
func sortAlerts(alerts []*Alert) {
	slices.SortStableFunc(alerts, func(a, b *Alert) int {
		return cmp.Or(
			a.Time.Compare(b.Time),
			cmp.Compare(slices.Index(Steps, a.Step), slices.Index(Steps, b.Step)),
			strings.Compare(a.ID, b.ID),
		)
	})
}
