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

// Class separates calls that mean different things.
type Class uint8

// The classes.
const (
	Refused    Class = iota // AWS denied it: attempted
	Mistyped                // a wrong code, which everybody types now and then: failed
	Guessed                 // many wrong codes within an hour: attempted, with the reason guessing
	Otherwise               // it failed for another reason: failed
	Enrolment               // it succeeded: enrolled
	RootSignIn              // it succeeded: attempted
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
	Campaign  *Campaign // that it is part of; nil: none

	policy      *Policy
	class       Class
	path        string
	planned     *PlannedChange
	base        Severity // before the severity rules
	rule        string
	reasons     Reasons
	first, last *trail.Event
	codes       *trail.Event // guessed: the first wrong code, by which later folds recognize it
}

// attemptKey identifies an attempt: all its calls share it.
type attemptKey struct {
	actor   string
	target  *identity // nil: unknown
	unknown string    // the key of an unknown target
	class   Class
	planned *PlannedChange // separates planned calls from others; nil: not planned
}

// attempted adds a failed call to an attempt.
func (f *folder) attempted(it *item) {
	c := classOf(it.ev)
	if c == Mistyped && f.guesses(it) {
		c = Guessed
	}
	f.addAttempt(it, c)
}

// addAttempt adds a call to the attempt that it is part of, or to a new one.
func (f *folder) addAttempt(it *item, c Class) {
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
	fresh := a == nil || e.Time.Sub(a.Last) >= attemptGap && !it.dense || c == Enrolment || c == RootSignIn
	var codes *trail.Event
	if c == Guessed { // as one, however they slow down between
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
	a.reasons |= ActorReasons(&e.Actor)
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
	a.Step, a.Severity = k.class.step()
	if k.class == Guessed {
		a.Count = guessesOfCodes - 1 // those before
		a.reasons |= HasGuessing
	}
	if p == nil {
		a.reasons |= HasUnknownTarget
		return a
	}
	a.User = cmp.Or(a.User, p.name)
	f.checkPrivileged(p, e)
	a.Root, a.path = p.root, p.path
	a.reasons |= p.reasons()
	if p.privileged() && (k.class == Refused || k.class == Enrolment) {
		a.Severity = a.Severity.up()
	}
	return a
}

// step returns the step and the severity of the class.
func (c Class) step() (Step, Severity) {
	switch c {
	case Mistyped, Otherwise:
		return Failed, Info
	case Enrolment:
		return Enrolled, Medium
	}
	return Attempted, Medium
}

// classOf returns the class of a failed call: only a refusal is an attempt
// (J18).
func classOf(e *trail.Event) Class {
	code := strings.TrimSuffix(e.ErrorCode, "Exception")
	switch {
	case code == "AccessDenied", strings.HasSuffix(code, "UnauthorizedOperation"),
		strings.Contains(e.ErrorMessage, "not authorized to perform"), strings.Contains(e.ErrorMessage, "explicit deny"):
		return Refused
	case code == "InvalidAuthenticationCode":
		return Mistyped
	}
	return Otherwise
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
	return attemptKey{actor: actor, target: target, class: Mistyped}
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
	if classOf(of[0].ev) != Mistyped {
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

// CountsForCampaign reports whether the attempt counts towards a case (J16).
func (a *Attempt) CountsForCampaign() bool {
	return a.class == Refused && a.planned == nil && !anonymous(&a.Actor)
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
	a.ID = ID("attempt", a.Partition, a.Account, a.Begins().ID)
	if a.class != Refused {
		a.ID = ID(string(a.Step), a.ID, strconv.Itoa(int(a.class)))
	}
	a.Reasons = a.reasons.Words()
	a.base = a.Severity
	a.Severity, a.rule = a.SeverityWith(0)
}

// Begins returns the event by which later folds recognize the attempt, which is
// kept however many there are.
func (a *Attempt) Begins() *trail.Event { return cmp.Or(a.codes, a.first) }

// SeverityWith returns the severity under the policy, and the reason of the rule
// that set it.
func (a *Attempt) SeverityWith(more Reasons) (Severity, string) {
	return a.policy.ApplyRules(a.base, a.Step, false, func() rule.Facts {
		f := FactsOf(a.first)
		f.User, f.Path, f.Root = a.User, a.path, a.Root
		f.AddReasons(a.reasons | more)
		return f.Facts
	})
}

// Class returns what the calls mean.
func (a *Attempt) Class() Class { return a.class }

// FirstEvent returns the first of the calls.
func (a *Attempt) FirstEvent() *trail.Event { return a.first }

// LastEvent returns the last of the calls.
func (a *Attempt) LastEvent() *trail.Event { return a.last }

// ReasonSet returns the reasons.
func (a *Attempt) ReasonSet() Reasons { return a.reasons }

// Path returns the path of the user within IAM; "" where no record showed it.
func (a *Attempt) Path() string { return a.path }

// Planned returns the planned change that matches the calls; nil: none.
func (a *Attempt) Planned() *PlannedChange { return a.planned }

// Policy returns the policy that the attempt was folded under.
func (a *Attempt) Policy() *Policy { return a.policy }
