package exposure

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/rule"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// attemptGap is the time between two calls of one actor on one target from
// which they count as two attempts.
const attemptGap = time.Hour

// maxCodes bounds the error codes that an attempt lists.
const maxCodes = 16

// class separates calls that mean different things.
type class uint8

const (
	refused    class = iota // AWS denied it: attempted
	mistyped                // a wrong code, which everybody types now and then: failed
	guessed                 // many wrong codes within an hour: attempted, with the reason guessing
	otherwise               // it failed for another reason: failed
	enrolment               // it succeeded: enrolled
	rootSignIn              // it succeeded: attempted
)

// Attempt is one or more calls by one actor on one target, with less than an
// hour between them, that belong to no exposure: failed ones, or a device enabled
// for another user (J3). It is read-only.
type Attempt struct {
	ID        string
	Step      Step // Attempted, Failed or Enrolled
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
	class       class
	path        string
	planned     *PlannedChange
	campaign    *membership // the case that it is part of; nil: none
	base        Severity    // before the severity rules
	rule        string
	reasons     reasons
	first, last *trail.Event
	codes       *trail.Event // guessed: the first wrong code, by which later folds recognize it
}

// attemptKey identifies an attempt: all its calls share it.
type attemptKey struct {
	actor   string
	target  *identity // nil: unknown
	unknown string    // the key of an unknown target
	class   class
	planned *PlannedChange // separates planned calls from others; nil: not planned
}

// attempted adds a failed call to an attempt.
func (f *folder) attempted(it *item) {
	c := classOf(it.ev)
	if c == mistyped && f.guesses(it) {
		c = guessed
	}
	f.addAttempt(it, c)
}

// enrolled records a device that another identity enabled (J3).
func (f *folder) enrolled(it *item) { f.addAttempt(it, enrolment) }

// rootSignedIn records a sign-in of root with MFA, where the policy asks for it.
func (f *folder) rootSignedIn(it *item) { f.addAttempt(it, rootSignIn) }

// addAttempt adds a call to the attempt that it is part of, or to a new one.
func (f *folder) addAttempt(it *item, c class) {
	e := it.ev
	p := f.target(e)
	it.p = p
	user, path := e.User, ""
	if p != nil {
		user, path = p.name, p.path
	}
	k := attemptKey{actor: actorKey(&e.Actor), target: p, class: c, planned: f.policy.plannedChange(e, user, path)}
	if p == nil {
		k.unknown = Keys(e)[0]
	}
	a := f.latestAttempts[k]
	fresh := a == nil || e.Time.Sub(a.Last) >= attemptGap && !it.dense || c == enrolment || c == rootSignIn
	var codes *trail.Event
	if c == guessed { // as one, however they slow down between
		codes = f.mistyped[codesKey(k.actor, p)].first
		fresh = a == nil || a.codes != codes
	}
	if fresh {
		a = f.newAttempt(p, e, k)
		a.codes = codes
		f.latestAttempts[k] = a
		f.attempts = append(f.attempts, a)
	}
	it.a = a
	a.Count += 1 + it.more
	a.Last, a.last = e.Time, e
	a.reasons |= actorReasons(&e.Actor)
	a.code(e.ErrorCode)
	for _, c := range it.codes {
		a.code(c)
	}
}

func (f *folder) newAttempt(p *identity, e *trail.Event, k attemptKey) *Attempt {
	a := &Attempt{
		policy: f.policy, planned: k.planned, class: k.class,
		Partition: e.Partition, Account: e.Account, User: e.User,
		Actor: e.Actor, Serial: e.Serial, First: e.Time, first: e,
	}
	a.Step, a.Severity = k.class.told()
	if k.class == guessed {
		a.Count = guessesOfCodes - 1 // those before
		a.reasons |= guessing
	}
	if p == nil {
		a.reasons |= unknownTarget
		return a
	}
	if a.User == "" {
		a.User = p.name
	}
	f.checkPrivileged(p, e)
	a.Root, a.path = p.root, p.path
	a.reasons |= p.reasons()
	if p.privileged() && (k.class == refused || k.class == enrolment) {
		a.Severity = a.Severity.up()
	}
	return a
}

// told returns the step and the severity of the class.
func (c class) told() (Step, Severity) {
	switch c {
	case mistyped, otherwise:
		return Failed, Info
	case enrolment:
		return Enrolled, Medium
	}
	return Attempted, Medium
}

// classOf returns the class of a failed call: only a refusal is an attempt
// (J18).
func classOf(e *trail.Event) class {
	code := strings.TrimSuffix(e.ErrorCode, "Exception")
	switch {
	case code == "AccessDenied", strings.HasSuffix(code, "UnauthorizedOperation"),
		strings.Contains(e.ErrorMessage, "not authorized to perform"), strings.Contains(e.ErrorMessage, "explicit deny"):
		return refused
	case code == "InvalidAuthenticationCode":
		return mistyped
	}
	return otherwise
}

// guessesOfCodes is from how many wrong codes within attemptGap on they are
// guesses.
const guessesOfCodes = 10

// wrongCodes are those of one actor for one target with less than attemptGap
// between them.
type wrongCodes struct {
	first *trail.Event
	last  time.Time
	times []time.Time // of those within attemptGap, at most guessesOfCodes
}

func codesKey(actor string, target *identity) attemptKey {
	return attemptKey{actor: actor, target: target, class: mistyped}
}

// guesses counts a wrong code, and reports whether there have been enough.
func (f *folder) guesses(it *item) bool {
	e := it.ev
	k := codesKey(actorKey(&e.Actor), f.target(e))
	w := f.mistyped[k]
	if w == nil || e.Time.Sub(w.last) >= attemptGap && !it.dense {
		w = &wrongCodes{first: e}
		f.mistyped[k] = w
	}
	w.last, w.times = e.Time, append(w.times, e.Time)
	for e.Time.Sub(w.times[0]) >= attemptGap || len(w.times) > guessesOfCodes {
		w.times = w.times[1:]
	}
	return it.guessed || len(w.times) >= guessesOfCodes
}

// guessedAmong reports whether so many of the calls, which are in order, are wrong codes
// within attemptGap that they are guesses.
func guessedAmong(of []*item) bool {
	if classOf(of[0].ev) != mistyped {
		return false
	}
	for i := guessesOfCodes - 1; i < len(of); i++ {
		if of[i].ev.Time.Sub(of[i-guessesOfCodes+1].ev.Time) < attemptGap {
			return true
		}
	}
	return false
}

// countDenied records how often the actor of e was denied before, within an
// hour.
func (x *Exposure) countDenied(a *Attempt, e *trail.Event) {
	if a != nil && e.Time.Sub(a.Last) <= attemptGap {
		x.denied = a.Count
	}
}

// countsForCampaign reports whether the attempt counts towards a case (J16).
func (a *Attempt) countsForCampaign() bool {
	return a.class == refused && a.planned == nil && !anonymous(&a.Actor)
}

// code records an error code. IAM's codes come with and without the suffix
// Exception, which count as one (R4).
func (a *Attempt) code(c string) {
	same := func(o string) bool { return bareCode(o) == bareCode(c) }
	if c != "" && len(a.Codes) < maxCodes && !slices.ContainsFunc(a.Codes, same) {
		a.Codes = append(a.Codes, c)
	}
}

// finish fills in the fields that depend on all calls.
func (a *Attempt) finish() {
	a.ID = attemptID(a.begins())
	if a.class != refused {
		a.ID = id(string(a.Step), a.ID, strconv.Itoa(int(a.class)))
	}
	a.Reasons = a.reasons.words()
	a.base = a.Severity
	a.Severity, a.rule = a.severity(0)
}

// begins returns the event by which later folds recognize the attempt, which is
// kept however many there are.
func (a *Attempt) begins() *trail.Event { return cmp.Or(a.codes, a.first) }

// severity returns the severity under the policy, and the reason of the rule
// that set it.
func (a *Attempt) severity(more reasons) (Severity, string) {
	return a.policy.applyRules(a.base, a.Step, false, func() rule.Facts {
		f := factsOf(a.first)
		f.User, f.Path, f.Root = a.User, a.path, a.Root
		f.addReasons(a.reasons | more)
		return f.Facts
	})
}

// notifyAttempts alerts the attempts that share no event with a delivered one.
func (t *notifier) notifyAttempts(f *folder, before []deliveredAttempt, joined map[string]membership) []deliveredAttempt {
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
	guesses := map[string]*Attempt{} // by their first wrong code, which is a call of another class
	for _, a := range f.attempts {
		if a.class == guessed {
			guesses[a.codes.ID] = a
		}
	}
	was := make(map[*Attempt]deliveredAttempt, len(before))
	var after []deliveredAttempt
	for _, b := range before {
		first, last := of[b.First], of[b.Last]
		if b.Class == guessed {
			first = guesses[b.First]
		}
		if (first == nil || first.class != b.Class) && (last == nil || last.class != b.Class) {
			after = append(after, b)
		}
		for _, a := range []*Attempt{first, last} {
			if _, ok := was[a]; !ok && a != nil && a.class == b.Class {
				was[a] = b
			}
		}
	}
	for _, a := range f.attempts {
		if r := t.policy.Retention; a.class == enrolment && r > 0 && a.Last.Before(t.now.Add(-r)) {
			continue // an exposure keeps the event longer than what was told of it
		}
		n := deliveredAttempt{ID: a.ID, First: a.begins().ID, Last: a.last.ID, Class: a.class, At: t.now}
		if b, ok := was[a]; ok {
			n.ID, n.First, n.At, n.Sighted = b.ID, b.First, b.At, b.Sighted
		} else if !used[a.ID] {
			used[a.ID] = true
			a.join(joined)
			t.out.Alerts = append(t.out.Alerts, a.alert(t.lateReason(a.Last)))
		}
		if !n.Sighted && a.countsForCampaign() {
			n.Sighted = true
			t.out.Derived = append(t.out.Derived, a.sighting(n.ID).event(""))
		}
		if a.Last.After(n.At) {
			n.At = a.Last
		}
		after = append(after, n)
	}
	return after
}
