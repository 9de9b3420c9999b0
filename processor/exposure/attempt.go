package exposure

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/rule"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// attemptGap is how far apart two attempts by one actor on one target have to
// be to count as two.
const attemptGap = time.Hour

// maxCodes bounds the error codes that an attempt lists.
const maxCodes = 16

// An Attempt is calls that failed, by one actor on one target, with less than
// an hour between them. It is read-only.
type Attempt struct {
	ID        string
	Partition string
	Account   string
	User      string // "" when it cannot be known
	Root      bool
	Severity  Severity
	Reasons   []string
	Actor     trail.Actor
	Serial    string
	Count     int
	Codes     []string // distinct, in the order they came
	First     time.Time
	Last      time.Time

	policy      *Policy
	path        string
	expected    *Expected
	base        Severity // before the policy's rules
	rule        string
	reasons     reasons
	first, last *trail.Event
}

// tries is what attempts that count as one have in common.
type tries struct {
	actor    string
	target   *person   // nil: cannot be known
	expected *Expected // what was not announced is not part of what was; nil: nothing did
}

// actorKey tells actors apart.
func actorKey(a *trail.Actor) string {
	if a.ARN != "" {
		return a.ARN
	}
	return a.Type + "\x00" + a.Name + "\x00" + a.AccessKeyID
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
	k := tries{actorKey(&e.Actor), p, f.policy.expect(e, user, path)}
	a := f.trying[k]
	if a == nil || e.Time.Sub(a.Last) >= attemptGap {
		a = &Attempt{
			policy: f.policy, expected: k.expected,
			Partition: e.Partition, Account: e.Account, User: e.User, Severity: Medium,
			Actor: e.Actor, Serial: e.Serial, First: e.Time, first: e,
		}
		if p != nil && a.User == "" {
			a.User = p.name
		}
		if p == nil {
			a.reasons |= unknownTarget
		} else {
			f.weigh(p, e)
			a.Root, a.path = p.root, p.path
			a.reasons |= p.reasons()
			if p.privileged() {
				a.Severity = a.Severity.up()
			}
		}
		f.trying[k] = a
		f.attempts = append(f.attempts, a)
	}
	it.a = a
	a.Count++
	a.Last, a.last = e.Time, e
	a.reasons |= actorReasons(&e.Actor)
	a.code(e.ErrorCode)
}

// code notes an error code. IAM's come with and without a suffix, which makes
// no difference (R4).
func (a *Attempt) code(c string) {
	bare := strings.TrimSuffix(c, "Exception")
	same := func(o string) bool { return strings.TrimSuffix(o, "Exception") == bare }
	if c != "" && len(a.Codes) < maxCodes && !slices.ContainsFunc(a.Codes, same) {
		a.Codes = append(a.Codes, c)
	}
}

func (a *Attempt) finish() {
	a.ID = attemptID(a.first)
	a.Reasons = a.reasons.words()
	a.base = a.Severity
	a.Severity, a.rule = a.judge(0)
}

// judge asks the policy how loudly an attempt is told.
func (a *Attempt) judge(more reasons) (Severity, string) {
	return a.policy.weigh(a.base, Attempted, false, func() rule.Facts {
		f := factsOf(a.first)
		f.User, f.Path, f.Root = a.User, a.path, a.Root
		f.know(a.reasons | more)
		return f.Facts
	})
}

// attempts tells those that share no event with one that was told.
func (t *teller) attempts(f *folder, before []toldAttempt) []toldAttempt {
	used := make(map[string]bool, len(before))
	of := make(map[string]*Attempt, 2*len(before)) // by event: what it belongs to now
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
	was := make(map[*Attempt]toldAttempt, len(before))
	var after []toldAttempt
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
		n := toldAttempt{ID: a.ID, First: a.first.ID, Last: a.last.ID, At: t.now}
		if b, ok := was[a]; ok {
			n.ID, n.First, n.At = b.ID, b.First, b.At
		} else if !used[a.ID] {
			used[a.ID] = true
			t.out.Alerts = append(t.out.Alerts, a.alert(t.late(a.Last)))
		}
		if a.Last.After(n.At) {
			n.At = a.Last
		}
		after = append(after, n)
	}
	return after
}

func (a *Attempt) title() string {
	user, own := who(a.User, a.Root), a.Actor.Self
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
	return upper(actor(&a.Actor)) + " failed to " + what + place(a.Partition, a.Account)
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
	s.say(tries, doer(&a.Actor))
	if len(a.Codes) > 0 {
		s.say("AWS answered ", Clean(strings.Join(a.Codes, ", "), maxDetail))
	}
	if rule != "" {
		s.say(byRule(v, rule))
	} else {
		s.say(string(v), " because ", list(append(factors(a.reasons), "nothing was changed")))
	}
	s.say(a.advice())
	return s.end(a.policy, a.expected, more)
}

func (a *Attempt) advice() string {
	if a.Actor.Self {
		return "ask " + who(a.User, a.Root) + " if it was meant"
	}
	return "ask " + actor(&a.Actor) + " if it was meant; if not, review what else they did"
}
