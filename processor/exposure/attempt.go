package exposure

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/rule"
	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// attemptGap is the time between two calls of one actor on one target from
// which they count as two attempts.
const attemptGap = time.Hour

// maxCodes bounds the error codes that an attempt lists.
const maxCodes = 16

// Attempt is one or more failed calls by one actor on one target, with less
// than an hour between them. It is read-only.
type Attempt struct {
	ID        string
	Partition string
	Account   string
	User      string // "" when unknown
	Root      bool
	Severity  Severity
	Reasons   []string
	Actor     trail.Actor
	Serial    string
	Count     int
	Codes     []string // distinct, in order of arrival
	First     time.Time
	Last      time.Time

	policy      *Policy
	path        string
	planned     *PlannedChange
	base        Severity // before the severity rules
	rule        string
	reasons     reasons
	first, last *trail.Event
}

// attemptKey identifies an attempt: all its calls share it.
type attemptKey struct {
	actor   string
	target  *identity      // nil: unknown
	unknown string         // the key of an unknown target
	planned *PlannedChange // separates planned calls from others; nil: not planned
}

// attempted adds a failed call to an attempt.
func (f *folder) attempted(it *item) {
	e := it.ev
	p := f.target(e)
	it.p = p
	user, path := e.User, ""
	if p != nil {
		user, path = p.name, p.path
	}
	k := attemptKey{actor: actorKey(&e.Actor), target: p, planned: f.policy.plannedChange(e, user, path)}
	if p == nil {
		k.unknown = Keys(e)[0]
	}
	a := f.latestAttempts[k]
	if a == nil || e.Time.Sub(a.Last) >= attemptGap {
		a = &Attempt{
			policy: f.policy, planned: k.planned,
			Partition: e.Partition, Account: e.Account, User: e.User, Severity: Medium,
			Actor: e.Actor, Serial: e.Serial, First: e.Time, first: e,
		}
		if p != nil && a.User == "" {
			a.User = p.name
		}
		if p == nil {
			a.reasons |= unknownTarget
		} else {
			f.checkPrivileged(p, e)
			a.Root, a.path = p.root, p.path
			a.reasons |= p.reasons()
			if p.privileged() {
				a.Severity = a.Severity.up()
			}
		}
		f.latestAttempts[k] = a
		f.attempts = append(f.attempts, a)
	}
	it.a = a
	a.Count++
	a.Last, a.last = e.Time, e
	a.reasons |= actorReasons(&e.Actor)
	a.code(e.ErrorCode)
}

// code records an error code. IAM's codes come with and without the suffix
// Exception, which count as one (R4).
func (a *Attempt) code(c string) {
	bare := strings.TrimSuffix(c, "Exception")
	same := func(o string) bool { return strings.TrimSuffix(o, "Exception") == bare }
	if c != "" && len(a.Codes) < maxCodes && !slices.ContainsFunc(a.Codes, same) {
		a.Codes = append(a.Codes, c)
	}
}

// finish fills in the fields that depend on all calls.
func (a *Attempt) finish() {
	a.ID = attemptID(a.first)
	a.Reasons = a.reasons.words()
	a.base = a.Severity
	a.Severity, a.rule = a.severity(0)
}

// severity returns the severity under the policy, and the reason of the rule
// that set it.
func (a *Attempt) severity(more reasons) (Severity, string) {
	return a.policy.applyRules(a.base, Attempted, false, func() rule.Facts {
		f := factsOf(a.first)
		f.User, f.Path, f.Root = a.User, a.path, a.Root
		f.addReasons(a.reasons | more)
		return f.Facts
	})
}

// notifyAttempts alerts the attempts that share no event with a delivered one.
func (t *notifier) notifyAttempts(f *folder, before []deliveredAttempt) []deliveredAttempt {
	used := make(map[string]bool, len(before))
	of := make(map[string]*Attempt, 2*len(before)) // by event: its attempt now
	for _, b := range before {
		used[b.ID] = true
		of[b.First], of[b.Last] = nil, nil
	}
	if len(before) > 0 {
		for i := range f.items {
			if it := &f.items[i]; it.a != nil {
				if _, asked := of[it.ev.ID]; asked {
					of[it.ev.ID] = it.a
				}
			}
		}
	}
	was := make(map[*Attempt]deliveredAttempt, len(before))
	var after []deliveredAttempt
	for _, b := range before {
		first, last := of[b.First], of[b.Last]
		if first == nil && last == nil {
			after = append(after, b)
		}
		for _, a := range []*Attempt{first, last} {
			if _, ok := was[a]; !ok && a != nil {
				was[a] = b
			}
		}
	}
	for _, a := range f.attempts {
		n := deliveredAttempt{ID: a.ID, First: a.first.ID, Last: a.last.ID, At: t.now}
		if b, ok := was[a]; ok {
			n.ID, n.First, n.At = b.ID, b.First, b.At
		} else if !used[a.ID] {
			used[a.ID] = true
			t.out.Alerts = append(t.out.Alerts, a.alert(t.lateReason(a.Last)))
		}
		if a.Last.After(n.At) {
			n.At = a.Last
		}
		after = append(after, n)
	}
	return after
}

func (a *Attempt) title() string {
	user, own := userName(a.User, a.Root), a.Actor.Self
	what := "remove MFA from " + user
	switch {
	case a.first.Name == trail.EnableMFADevice && own:
		what = "enable an MFA device for themselves"
	case a.first.Name == trail.EnableMFADevice:
		what = "enable an MFA device for " + user
	case a.first.Name == trail.DeleteVirtualMFADevice:
		what = "delete an MFA device of " + user
	case own:
		what = "remove their own MFA"
	}
	return upper(actor(&a.Actor)) + " failed to " + what + a.policy.inAccount(a.Partition, a.Account)
}

func (a *Attempt) summary(v Severity, rule string, more reasons) string {
	var s sentences
	tries := "1 try"
	if a.Count > 1 {
		tries = strconv.Itoa(a.Count) + " tries in " + span(a.Last.Sub(a.First))
	}
	if a.Serial != "" {
		tries += " on " + theDevice(a.Serial)
	}
	s.add(tries, actorDetails(&a.Actor))
	if len(a.Codes) > 0 {
		s.add("AWS answered ", safetext.Clean(strings.Join(a.Codes, ", "), maxDetail))
	}
	if rule != "" {
		s.add(byRule(v, rule))
	} else {
		s.add(string(v), " because ", list(append(factors(a.reasons), "nothing was changed")))
	}
	s.add(a.advice())
	return s.end(a.policy, a.planned, more)
}

func (a *Attempt) advice() string {
	if a.Actor.Self {
		return "ask " + userName(a.User, a.Root) + " if it was meant"
	}
	return "ask " + actor(&a.Actor) + " if it was meant; if not, review what else they did"
}
