package exposure

import (
	"cmp"
	"net/netip"
	"slices"
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
// ends. It is read-only, except for Campaign until Finish is called.
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
	Campaign   *Campaign // that it is part of; nil: none

	policy        *Policy
	identity      *identity
	path          string // of the user within IAM, where known
	reasons       Reasons
	changes       changes
	consoleClosed bool           // the password was deleted (R23)
	offboarded    bool           // the actor of the removal deleted the password, too: an off-boarding is under way
	planned       *PlannedChange // the planned change that matches every deactivation; nil: none
	openSince     time.Time      // when it became open; zero if it never was
	deactivations []string       // IDs of the events by which later folds recognize it, in order
	removals      []*trail.Event // the first of them
	first         *trail.Event
	other         *trail.Event // the proof of the device that made it reduced
	privileged    bool

	evidence    int             // the number of sign-ins without MFA, changes and foreign devices
	suspect     bool            // a device came back, but an intruder may hold it (J1)
	isGone      bool            // it was alerted, and is known now not to have begun
	wasForeign  bool            // another identity enabled the device
	foreign     []string        // the devices that other identities enabled while it was open, in one case
	foreignUsed bool            // one of them signed in from an address not known for the user, who may not be the one who enables the next
	known       []netip.Prefix  // where the user was known before it began (J5)
	proof       *trail.Event    // a sign-in from there that proved a device, while something is left behind (J2)
	proofKept   *item           // the item of proof, if it is kept for nothing else
	familiar    *trail.Event    // a sign-in without MFA from there, until the user has had time to enable a device (J4)
	pending     []pendingChange // changes of which it is not known whether they count, in order
	waiting     bool            // the time alone may change it
	prelude     []*trail.Event  // the changes shortly before it began (J6)
	denied      int             // how often its actor was denied before (J18)
	ways        ways            // the sign-ins without MFA (J8)
	guesses     guesses         // the failed sign-ins (J8)
	changeCount int             // the number of changes while it was open
	turns       int             // how often a further device was removed, or one came back in doubt
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

	Rule             string // the reason of the severity rule that applied
	User             string
	ConsoleClosed    bool // the password was deleted
	Reasons          Reasons
	changes          changes
	Protection       string
	Resolution       string
	Escalation       int               // the number of the passed delay
	EnabledByAnother bool              // reduced: another identity enabled all remaining devices
	Overdue          bool              // updated: the user enabled no device after a familiar sign-in
	Guesses          int               // updated: the number of failed sign-ins
	Changes          int               // updated: the number of changes, if not all were alerted
	Left             []AlertLeftBehind // suspect
}

// Open reports whether x waits for a device.
func (x *Exposure) Open() bool { return !x.openSince.IsZero() && x.ResolvedAt == nil }

// End returns the time of the last step.
func (x *Exposure) End() time.Time { return x.Steps[len(x.Steps)-1].Time }

// newExposure returns the exposure that a deactivation begins.
func newExposure(p *identity, e *trail.Event, policy *Policy) *Exposure {
	x := &Exposure{
		policy: policy, identity: p, path: p.path,
		Partition: e.Partition, Account: e.Account, User: cmp.Or(e.User, p.name), Root: p.root,
		OpenedAt: e.Time, Protection: ProtectionUnknown,
		Actor: e.Actor, Serial: e.Serial, Device: trail.DeviceKind(e.Serial),
		first: e, privileged: p.privileged(),
	}
	if x.User == "" {
		x.reasons |= HasUnknownTarget
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
	x.Steps = append(x.Steps, x.StepBy(s, e))
}

// StepBy returns a step with the current facts and no severity yet.
func (x *Exposure) StepBy(s Step, e *trail.Event) Moment {
	return Moment{
		Step: s, Time: e.Time, Event: e,
		User: x.User, ConsoleClosed: x.consoleClosed, Reasons: x.reasons, changes: x.changes,
		Protection: x.Protection, Resolution: x.Resolution,
	}
}

// close ends the exposure.
func (x *Exposure) close(resolution string, e *trail.Event) {
	t := e.Time
	x.ResolvedAt, x.Resolution = &t, resolution
	if resolution == UserDeleted && !x.ExploitedOrChanged() {
		x.reasons |= HasOffboarding
	}
	x.addStep(Resolved, e)
}

// Finish fills in the fields that depend on all steps and on Campaign.
func (x *Exposure) Finish() {
	if x.Campaign != nil {
		x.reasons |= HasCampaign
	}
	x.Reasons = x.reasons.Words()
	for i := range x.Steps {
		m := &x.Steps[i]
		m.Reasons |= x.reasons & HasCampaign
		m.Severity, m.Rule = x.SeverityOf(m, 0)
		if m.Step != Resolved && m.Severity.Level() > x.Severity.Level() {
			x.Severity = m.Severity
		}
	}
	x.deactivations = slices.Clip(x.deactivations)
}

// Silenced reports whether x is open and waits for no human: the password is
// deleted, and no use was made of x.
func (x *Exposure) Silenced() bool { return x.consoleClosed && !x.ExploitedOrChanged() }

// ExploitedOrChanged reports whether an intruder may have used x.
func (x *Exposure) ExploitedOrChanged() bool { return x.Exploited || x.Changed }

// currentSeverity returns the severity as of the last event.
func (x *Exposure) currentSeverity() Severity {
	s := Escalated
	if x.suspect {
		s = Suspect
	}
	m := x.StepBy(s, x.first)
	v, _ := x.SeverityOf(&m, 0)
	return v
}

// ReplacedStep resolves an exposure that was alerted as opened, after another
// device turned out to have been active throughout.
func (x *Exposure) ReplacedStep() *Moment { return x.neverOpened(x.OpenedAt, x.other) }

// MergedStep resolves an exposure that was alerted as opened at t and turned
// out to be part of x.
func (x *Exposure) MergedStep(t time.Time) *Moment { return x.neverOpened(t, x.first) }

// neverOpened resolves an exposure that was opened by mistake, no earlier than
// it opened.
func (x *Exposure) neverOpened(opened time.Time, because *trail.Event) *Moment {
	m := x.StepBy(Resolved, because)
	m.Resolution = Replaced
	if opened.After(m.Time) {
		m.Time = opened
	}
	return &m
}

// First returns the event that x began with.
func (x *Exposure) First() *trail.Event { return x.first }

// OpenSince returns when x became open; zero if it never was.
func (x *Exposure) OpenSince() time.Time { return x.openSince }

// Suspect reports whether a device came back that an intruder may hold (J1).
func (x *Exposure) Suspect() bool { return x.suspect }

// Familiar reports whether the user may be enrolling now: they signed in without MFA
// from a known address (J4).
func (x *Exposure) Familiar() bool { return x.familiar != nil }

// Offboarded reports whether an off-boarding is under way: the actor of the removal
// deleted the password, too.
func (x *Exposure) Offboarded() bool { return x.offboarded }

// WasForeign reports whether another identity enabled the device.
func (x *Exposure) WasForeign() bool { return x.wasForeign }

// IsGone reports whether x was alerted, and is known now not to have begun.
func (x *Exposure) IsGone() bool { return x.isGone }

// Prelude returns the changes shortly before x began, in order (J6).
func (x *Exposure) Prelude() []*trail.Event { return x.prelude }

// Denied returns how often the actor of x was denied before (J18).
func (x *Exposure) Denied() int { return x.denied }

// ReasonSet returns the reasons so far.
func (x *Exposure) ReasonSet() Reasons { return x.reasons }

// Attack lists the techniques of MITRE ATT&CK seen so far.
func (x *Exposure) Attack() []string { return techniques(x.reasons, x.changes) }

// Attack lists the techniques of MITRE ATT&CK seen up to the step.
func (m *Moment) Attack() []string { return techniques(m.Reasons, m.changes) }

// Path returns the path of the user within IAM; "" where no record showed it.
func (x *Exposure) Path() string { return x.path }

// Planned returns the planned change that matches every removal; nil: none.
func (x *Exposure) Planned() *PlannedChange { return x.planned }

// Policy returns the policy that x was folded under.
func (x *Exposure) Policy() *Policy { return x.policy }

// RecognizedBy returns the IDs of the events by which later folds recognize x.
func (x *Exposure) RecognizedBy() []string { return x.deactivations }
