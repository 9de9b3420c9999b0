package exposure

import (
	"slices"
	"strings"

	"github.com/mfawatch/mfawatch/processor/rule"
	"github.com/mfawatch/mfawatch/processor/trail"
)

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
