package exposure

import (
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
