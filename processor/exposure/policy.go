package exposure

import (
	"slices"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/rule"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// A Policy is the judgement of whoever runs it: when to tell, how loudly, and
// how long to remember. The zero Policy tells everything once and at once, knows
// no campaigns, and forgets nothing.
type Policy struct {
	// Grace is how long after eventTime an exposure waits for a replacement
	// before it is told as opened. Root, privileged users, users that cannot be
	// known, and what somebody makes use of never wait (R28).
	Grace time.Duration
	// EscalateAfter are the delays, ascending, after which an exposure that is
	// still open is escalated, counted from eventTime.
	EscalateAfter []time.Duration
	// LateAfter is how old a step is at which it is told as late. 0: none is.
	LateAfter time.Duration
	// Retention is how long events are kept. It has to outlast the 30 days for
	// which CloudTrail redelivers. 0 keeps them for ever.
	Retention time.Duration
	// Campaign says when one actor's exposures are told as one.
	Campaign Campaigns
	// Accounts is what is known of accounts, by number: matchers see it.
	Accounts map[string]Account
	// Privileged says who counts for more than others, besides root: whom any
	// of them means. They see the fields account, account_name, account_class,
	// partition, user and path.
	Privileged []*rule.Matcher
	// Severity are rules of which the first that means a step decides how
	// loudly it is told.
	Severity []SeverityRule
	// Expected are changes announced beforehand.
	Expected []*Expected
}

// Campaigns says when one actor's exposures are told as one: from so many Users
// on, within so long. Users 0: never.
type Campaigns struct {
	Users  int
	Within time.Duration
}

// An Account is what people know an account by.
type Account struct {
	Name  string
	Class string // such as production or sandbox
}

// A SeverityRule gives the steps that it means another severity. It does not see
// a step's end, resolved, unless Ends is set. It makes root quieter only where it
// names that field, and what somebody makes use of only where it names the step:
// a rule for a whole account is no place for an intruder to hide.
type SeverityRule struct {
	Match    *rule.Matcher
	Ends     bool // it names the step, so resolved is meant, too, and what is exploited
	Severity Severity
	Reason   string // why, in the words of whoever made the rule
}

// DefaultPolicy escalates after 15 minutes, 4 hours and a day, calls late what
// is older than 6 hours, tells three users hit within an hour as one, and
// remembers for 35 days.
func DefaultPolicy() Policy {
	return Policy{
		EscalateAfter: []time.Duration{15 * time.Minute, 4 * time.Hour, 24 * time.Hour},
		LateAfter:     6 * time.Hour,
		Retention:     35 * 24 * time.Hour,
		Campaign:      Campaigns{Users: 3, Within: time.Hour},
	}
}

// privileged reports whether a user who is not root counts for more than others.
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

// weigh is the severity of the first rule that means the step, and that rule's
// reason; v and "" if none does. used says that somebody makes use of it.
func (p *Policy) weigh(v Severity, s Step, used bool, facts func() rule.Facts) (Severity, string) {
	if len(p.Severity) == 0 {
		return v, ""
	}
	f := facts()
	f.Step, f.Severity = string(s), string(v)
	a := p.Accounts[f.Account]
	f.AccountName, f.AccountClass = a.Name, a.Class
	for i := range p.Severity {
		if r := &p.Severity[i]; (s != Resolved || r.Ends) && r.Match.Match(&f) && !r.hushes(v, f.Root, used) {
			return r.Severity, r.Reason
		}
	}
	return v, ""
}

// hushes reports whether the rule would make quieter what it does not name.
func (r *SeverityRule) hushes(v Severity, root, used bool) bool {
	return r.Severity.level() < v.level() && (root && !r.Match.Asks("root") || used && !r.Ends)
}

// facts are what a matcher sees of a step.
type facts struct{ rule.Facts }

// factsOf is what an event says by itself.
func factsOf(e *trail.Event) facts {
	return facts{rule.Facts{
		Account: e.Account, Partition: e.Partition, User: e.User, Root: e.Root(),
		Actor: e.Actor.Name, ActorType: e.Actor.Type, Self: e.Actor.Self, MFA: e.Actor.MFA,
		SourceIP: e.Actor.SourceIP, UserAgent: e.Actor.UserAgent,
		DeviceKind: trail.DeviceKind(e.Serial), Protection: ProtectionUnknown, Origin: e.Origin,
	}}
}

// know adds what the reasons say.
func (f *facts) know(r reasons) {
	f.Privileged = r&(root|privileged) != 0
	f.Late, f.Expected, f.Campaign = r&late != 0, r&expected != 0, r&inCampaign != 0
	if f.Root {
		f.User = rule.RootUser
	}
}

// The reasons, each a factor of how bad a step is. An alert lists them in this
// order.
const (
	ReasonRoot          = "root"           // the root user is the target
	ReasonPrivileged    = "privileged"     // the target counts for more than others
	ReasonOtherActor    = "other_actor"    // somebody else than the target did it
	ReasonAssumedRoot   = "assumed_root"   // in an AssumeRoot session
	ReasonNoMFASession  = "no_mfa_session" // in a session without MFA
	ReasonMFAUnknown    = "mfa_unknown"    // the record does not say whether the session had MFA
	ReasonLongTermKey   = "long_term_key"  // with a long-term access key
	ReasonLastDevice    = "last_device"    // it was the only device known
	ReasonOtherDevice   = "other_device"   // another device is known active
	ReasonExploited     = "exploited"      // a sign-in without MFA meanwhile
	ReasonChanged       = "changed"        // credentials or rights changed meanwhile
	ReasonLate          = "late"           // told long after it happened
	ReasonOffboarding   = "offboarding"    // it ended with the user's deletion, unused
	ReasonCampaign      = "campaign"       // one of several persons
	ReasonExpected      = "expected"       // announced beforehand
	ReasonUnknownTarget = "unknown_target" // the record does not say whom it hit
	ReasonOverdue       = "overdue"        // announced, and still open when that time was over
)

// ReasonWords lists them all, in their order.
var ReasonWords = []string{ReasonRoot, ReasonPrivileged, ReasonOtherActor, ReasonAssumedRoot, ReasonNoMFASession,
	ReasonMFAUnknown, ReasonLongTermKey, ReasonLastDevice, ReasonOtherDevice, ReasonExploited, ReasonChanged, ReasonLate,
	ReasonOffboarding, ReasonCampaign, ReasonExpected, ReasonUnknownTarget, ReasonOverdue}

// reasons is a set of them: bit i is ReasonWords[i].
type reasons uint32

const (
	root reasons = 1 << iota
	privileged
	otherActor
	assumedRoot
	noMFASession
	mfaUnknown
	longTermKey
	lastDevice
	otherDevice
	exploited
	changed
	late
	offboarding
	inCampaign
	expected
	unknownTarget
	overdue
)

// words is the set as an alert shows it, never nil.
func (r reasons) words() []string {
	words := []string{}
	for i, w := range ReasonWords {
		if r&(1<<i) != 0 {
			words = append(words, w)
		}
	}
	return words
}

// actorReasons are the factors that lie in who did it.
func actorReasons(a *trail.Actor) reasons {
	var r reasons
	if !a.Self {
		r |= otherActor
	}
	if a.AssumedRoot {
		r |= assumedRoot
	}
	switch {
	case a.MFA == nil:
		r |= mfaUnknown
		if strings.HasPrefix(a.AccessKeyID, "AKIA") {
			r |= longTermKey
		}
	case !*a.MFA:
		r |= noMFASession
	}
	return r
}

// changes says what was changed while an exposure was open.
type changes uint8

const (
	keyCreated changes = 1 << iota
	otherChange
)

// The techniques of MITRE ATT&CK that a step may show.
const (
	attackMFA     = "T1556.006" // Modify Authentication Process: Multi-Factor Authentication
	attackAccount = "T1078.004" // Valid Accounts: Cloud Accounts
	attackChange  = "T1098"     // Account Manipulation
	attackKey     = "T1098.001" // Account Manipulation: Additional Cloud Credentials
)

// techniques names what has been seen so far.
func techniques(r reasons, c changes) []string {
	t := []string{attackMFA}
	if r&exploited != 0 {
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

// level is the severity's place in Severities, -1 for none.
func (s Severity) level() int { return slices.Index(Severities, s) }

// up is one level more, at most critical.
func (s Severity) up() Severity { return Severities[min(s.level()+1, len(Severities)-1)] }

// judge is how loudly a step is told, and by the reason of which rule of the
// policy. A password that is gone makes it quiet (R23), but not once somebody has
// made use of the exposure: else an intruder could silence it. An end is quiet,
// but not where it takes away whom somebody made use of, nor where it is all that
// is told and somebody else than the user enabled the device. A device less is
// quiet, but not where another took it who had enabled all that are left.
func (x *Exposure) judge(m *Moment, more reasons) (v Severity, because string) {
	r := m.reasons | more
	used := r&(exploited|changed) != 0
	switch {
	case m.Step == Resolved && m.resolution == UserDeleted && used:
		v = Critical
	case m.Step == Resolved && !m.foreign:
		v = Info
	case used:
		v = Critical
	default:
		v = High
		if m.Step == Reduced && !m.foreign || m.closed {
			v = Low
		}
		if r&(root|privileged) != 0 {
			v = v.up()
		}
		if r&inCampaign != 0 {
			v = v.up()
		}
	}
	return x.policy.weigh(v, m.Step, used, func() rule.Facts {
		f := factsOf(m.Event)
		if m.Step == Escalated { // which nobody did
			f = factsOf(x.first)
		}
		f.User, f.Path, f.Root, f.Protection = m.user, x.path, x.Root, m.protection
		if m.Event.Serial == "" {
			f.DeviceKind = x.Device
		}
		f.know(r)
		return f.Facts
	})
}
