package exposure

import (
	"slices"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/rule"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// Policy decides when to alert, how severely, and how long to keep events. The
// zero Policy alerts every step immediately and once, knows no campaigns, and
// keeps everything.
type Policy struct {
	// Grace is how long after eventTime an exposure waits for a replacement
	// before it is alerted as opened. Root, privileged users, unknown users,
	// and exposures that are exploited or changed never wait (R28).
	Grace time.Duration
	// EscalateAfter are the delays from eventTime, ascending, after which an
	// open exposure is escalated.
	EscalateAfter []time.Duration
	// LateAfter is the age from which a step is late; 0: never.
	LateAfter time.Duration
	// Retention is how long events are kept; 0: without end. It has to exceed
	// the 30 days within which CloudTrail redelivers.
	Retention time.Duration
	// Campaign sets when one actor's exposures are a campaign.
	Campaign Campaigns
	// Accounts are the names and classes of accounts, by number. Matchers see
	// them, and texts name them.
	Accounts map[string]Account
	// Privileged match the users that are privileged besides root. They see the
	// fields account, account_name, account_class, partition, user and path.
	Privileged []*rule.Matcher
	// Enrollers match the actors who may enable a device for another user, and
	// Offboarders those who remove users. They see the fields account,
	// account_name, account_class, partition, actor, actor_type, mfa and source_ip.
	Enrollers, Offboarders []*rule.Matcher
	// RootSignIn is which sign-ins of root are alerted though nothing is open: one
	// of RootSignIns, "" for the first.
	RootSignIn string
	// Severity are the severity rules; the first that matches a step applies.
	Severity []SeverityRule
	// Expected are the planned changes.
	PlannedChanges []*PlannedChange
}

// The values of Policy.RootSignIn.
const (
	RootSignInWithoutMFA = "without_mfa" // exploited, critical
	RootSignInAny        = "any"         // those with MFA, too: attempted, medium
	RootSignInOff        = "off"
)

// RootSignIns lists them, the default first.
var RootSignIns = []string{RootSignInWithoutMFA, RootSignInAny, RootSignInOff}

// Campaigns sets when one actor's exposures are alerted as one: from this
// number of Users, within this time. Users 0: never.
type Campaigns struct {
	Users  int
	Within time.Duration
}

// Account holds the organization's names for an account.
type Account struct {
	Name  string
	Class string // such as production or sandbox
}

// SeverityRule sets the severity of the steps that it matches. It applies to
// resolved only if Ends is set. It lowers the severity of root only if it names
// the field root, and that of an exploited or changed exposure only if it names
// the step, so that a rule for an account gives no intruder cover.
type SeverityRule struct {
	Match    *rule.Matcher
	Ends     bool // the rule names the step: it applies to resolved and to exploited or changed exposures, too
	Severity Severity
	Reason   string // in the words of the rule's author
}

// DefaultPolicy escalates after 15 minutes, 4 hours and a day, marks steps
// older than 6 hours as late, alerts three users hit within an hour as a
// campaign, and keeps events for 35 days.
func DefaultPolicy() Policy {
	return Policy{
		EscalateAfter: []time.Duration{15 * time.Minute, 4 * time.Hour, 24 * time.Hour},
		LateAfter:     6 * time.Hour,
		Retention:     35 * 24 * time.Hour,
		Campaign:      Campaigns{Users: 3, Within: time.Hour},
	}
}

// privileged reports whether the policy makes a user other than root
// privileged.
func (p *Policy) privileged(partition, account, user, path string) bool {
	if len(p.Privileged) == 0 {
		return false
	}
	a := p.Accounts[account]
	f := rule.Facts{Account: account, AccountName: a.Name, AccountClass: a.Class, Partition: partition, User: user, Path: path}
	for _, m := range p.Privileged {
		if m.Match(&f) {
			return true
		}
	}
	return false
}

// matches reports whether any of the matchers matches the actor of e.
func (p *Policy) matches(matchers []*rule.Matcher, e *trail.Event) bool {
	if len(matchers) == 0 || e.Actor == (trail.Actor{}) {
		return false
	}
	f := FactsOf(e)
	f.AccountName, f.AccountClass = p.Accounts[e.Account].Name, p.Accounts[e.Account].Class
	return slices.ContainsFunc(matchers, func(m *rule.Matcher) bool { return m.Match(&f.Facts) })
}

// ApplyRules returns the severity and the reason of the first rule that applies
// to the step; v and "" if none does. used reports an exploited or changed
// exposure.
func (p *Policy) ApplyRules(v Severity, s Step, used bool, facts func() rule.Facts) (Severity, string) {
	if len(p.Severity) == 0 {
		return v, ""
	}
	f := facts()
	f.Step, f.Severity = string(s), string(v)
	a := p.Accounts[f.Account]
	f.AccountName, f.AccountClass = a.Name, a.Class
	for i := range p.Severity {
		if r := &p.Severity[i]; (s != Resolved || r.Ends) && r.Match.Match(&f) && !r.lowers(v, f.Root, used) {
			return r.Severity, r.Reason
		}
	}
	return v, ""
}

// lowers reports whether the rule would lower the severity of something that it
// does not name.
func (r *SeverityRule) lowers(v Severity, root, used bool) bool {
	return r.Severity.Level() < v.Level() && (root && !r.Match.Asks("root") || used && !r.Ends)
}

// Facts are the fields of a step that matchers see.
type Facts struct{ rule.Facts }

// FactsOf returns the facts that an event holds by itself.
func FactsOf(e *trail.Event) Facts {
	return Facts{rule.Facts{
		Account: e.Account, Partition: e.Partition, User: e.User, Root: e.Root(),
		Actor: ActorName(e.Actor.Type, e.Actor.Name), ActorType: e.Actor.Type, Self: e.Actor.Self, MFA: e.Actor.MFA,
		SourceIP: e.Actor.SourceIP, UserAgent: e.Actor.UserAgent,
		DeviceKind: trail.DeviceKind(e.Serial), Protection: ProtectionUnknown, Origin: e.Origin,
	}}
}

// AddReasons adds the facts that the reasons hold.
func (f *Facts) AddReasons(r Reasons) {
	f.Privileged = r&(HasRoot|HasPrivileged) != 0
	f.Late, f.Expected, f.Campaign = r&HasLate != 0, r&HasExpected != 0, r&HasCampaign != 0
	if f.Root {
		f.User = rule.RootUser
	}
}

// The reasons: the factors of a severity. An alert lists them in this order.
const (
	ReasonRoot          = "root"           // the target is the root user
	ReasonPrivileged    = "privileged"     // the target is privileged
	ReasonOtherActor    = "other_actor"    // the actor is not the target
	ReasonAssumedRoot   = "assumed_root"   // in an AssumeRoot session
	ReasonNoMFASession  = "no_mfa_session" // in a session without MFA
	ReasonMFAUnknown    = "mfa_unknown"    // the record does not say whether the session had MFA
	ReasonLongTermKey   = "long_term_key"  // with a long-term access key
	ReasonLastDevice    = "last_device"    // the device was the only one known
	ReasonOtherDevice   = "other_device"   // another device is known active
	ReasonExploited     = "exploited"      // a sign-in without MFA happened meanwhile
	ReasonChanged       = "changed"        // credentials or rights changed meanwhile
	ReasonLate          = "late"           // alerted long after it happened
	ReasonOffboarding   = "offboarding"    // ended with the user's deletion, neither exploited nor changed
	ReasonCampaign      = "campaign"       // one of several users hit by one actor
	ReasonExpected      = "expected"       // a planned change
	ReasonUnknownTarget = "unknown_target" // the record does not name the target
	ReasonOverdue       = "overdue"        // a planned change, and still open after its time

	ReasonForeignDevice   = "foreign_device"   // another identity enabled the device, or may have with the key of the user (J1)
	ReasonLeftBehind      = "left_behind"      // credentials or rights given meanwhile still stand (J13)
	ReasonFamiliarAddress = "familiar_address" // the sign-in came from an address known for the user (J4)
	ReasonRemovalNotSeen  = "removal_not_seen" // no record shows the removal (J7)
	ReasonGuessing        = "guessing"         // many failed codes or sign-ins (J8, J18)
	ReasonPrelude         = "prelude"          // credentials or rights changed shortly before (J6)
)

// ReasonWords lists the reasons in order.
var ReasonWords = []string{ReasonRoot, ReasonPrivileged, ReasonOtherActor, ReasonAssumedRoot, ReasonNoMFASession,
	ReasonMFAUnknown, ReasonLongTermKey, ReasonLastDevice, ReasonOtherDevice, ReasonExploited, ReasonChanged, ReasonLate,
	ReasonOffboarding, ReasonCampaign, ReasonExpected, ReasonUnknownTarget, ReasonOverdue,
	ReasonForeignDevice, ReasonLeftBehind, ReasonFamiliarAddress, ReasonRemovalNotSeen, ReasonGuessing, ReasonPrelude}

// Reasons is a set of them: bit i is ReasonWords[i].
type Reasons uint32

// The bits of Reasons, in the order of ReasonWords.
const (
	HasRoot Reasons = 1 << iota
	HasPrivileged
	HasOtherActor
	HasAssumedRoot
	HasNoMFASession
	HasMFAUnknown
	HasLongTermKey
	HasLastDevice
	HasOtherDevice
	HasExploited
	HasChanged
	HasLate
	HasOffboarding
	HasCampaign
	HasExpected
	HasUnknownTarget
	HasOverdue
	HasForeignDevice
	HasLeftBehind
	HasFamiliarAddress
	HasRemovalNotSeen
	HasGuessing
	HasPrelude
)

// Words returns the set as an alert lists it, never nil.
func (r Reasons) Words() []string {
	words := []string{}
	for i, w := range ReasonWords {
		if r&(1<<i) != 0 {
			words = append(words, w)
		}
	}
	return words
}

// ActorReasons returns the reasons that lie in the actor.
func ActorReasons(a *trail.Actor) Reasons {
	var r Reasons
	if !a.Self {
		r |= HasOtherActor
	}
	if a.AssumedRoot {
		r |= HasAssumedRoot
	}
	switch {
	case a.MFA == nil:
		r |= HasMFAUnknown
		if strings.HasPrefix(a.AccessKeyID, "AKIA") {
			r |= HasLongTermKey
		}
	case !*a.MFA:
		r |= HasNoMFASession
	}
	return r
}

// changes is a set of the kinds of changes while an exposure was open.
type changes uint8

const (
	keyCreated changes = 1 << iota
	otherChange
)

// The techniques of MITRE ATT&CK that a step may show.
const (
	AttackMFA     = "T1556.006" // Modify Authentication Process: Multi-Factor Authentication
	attackAccount = "T1078.004" // Valid Accounts: Cloud Accounts
	attackChange  = "T1098"     // Account Manipulation
	attackKey     = "T1098.001" // Account Manipulation: Additional Cloud Credentials
)

// techniques lists the techniques seen so far.
func techniques(r Reasons, c changes) []string {
	t := []string{AttackMFA}
	if r&HasExploited != 0 {
		t = append(t, attackAccount)
	}
	if c&otherChange != 0 {
		t = append(t, attackChange)
	}
	if c&keyCreated != 0 {
		t = append(t, attackKey)
	}
	return t
}

// Level returns the place in Severities, -1 if unknown.
func (s Severity) Level() int { return slices.Index(Severities, s) }

// up returns the next higher severity, at most critical.
func (s Severity) up() Severity { return Severities[min(s.Level()+1, len(Severities)-1)] }

// SeverityOf returns the severity of a step, and the reason of the rule that set
// it. A deleted password lowers it (R23), except once the exposure is exploited
// or changed: an intruder must not be able to lower it. An end is info, except
// if it deletes a user whose exposure was used. A removal that leaves another
// device is low, except after a prelude (J6), and if another actor did it who had
// enabled all remaining devices. Guesses are high (J8).
func (x *Exposure) SeverityOf(m *Moment, more Reasons) (v Severity, because string) {
	r := m.Reasons | more
	used := r&(HasExploited|HasChanged) != 0
	switch {
	case m.Step == Resolved && m.Resolution == UserDeleted && used:
		v = Critical
	case m.Step == Resolved:
		v = Info
	case used && m.Step != Reduced && m.Guesses == 0:
		v = Critical
	default:
		v = High
		if !used && (m.Step == Reduced && !m.EnabledByAnother || m.ConsoleClosed && m.Step != Suspect && m.Guesses == 0) {
			v = Low
		}
		if r&(HasRoot|HasPrivileged) != 0 {
			v = v.up()
		}
		if r&HasCampaign != 0 {
			v = v.up()
		}
	}
	return x.policy.ApplyRules(v, m.Step, used, func() rule.Facts {
		f := FactsOf(m.Event)
		if m.Step == Escalated { // without an actor of its own
			f = FactsOf(x.first)
		}
		f.User, f.Path, f.Root, f.Protection = m.User, x.path, x.Root, m.Protection
		if m.Event.Serial == "" {
			f.DeviceKind = x.Device
		}
		f.AddReasons(r)
		return f.Facts
	})
}
