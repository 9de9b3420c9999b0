package exposure

import (
	"slices"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// removalLag is how long after its removal a device may still be named by a
// sign-in that began before it (J9).
const removalLag = time.Minute

// maxRemovals bounds the removals of an exposure that are compared with later
// events. AWS allows a user eight devices.
const maxRemovals = 64

// proofs are when a user was last known to have a device (J7).
type proofs struct{ seen, enabled *item }

// enableSettles is from when on an Enable proves that sign-ins need the device.
const enableSettles = 15 * time.Minute

// within returns what proved a device within the retention before at; nil if
// nothing did.
func (p proofs) within(at time.Time, retention time.Duration) *item {
	recent := func(it *item, settles time.Duration) bool {
		return it != nil && (retention <= 0 || at.Sub(it.ev.Time) <= retention) && at.Sub(it.ev.Time) >= settles
	}
	switch {
	case recent(p.seen, 0):
		return p.seen
	case recent(p.enabled, enableSettles):
		return p.enabled
	}
	return nil
}

// provedBySignIn folds a sign-in with MFA: it proves a device (R27), and an
// address of the user (J5) unless an intruder may have signed in.
func (f *folder) provedBySignIn(it *item) {
	e, p := it.ev, it.p
	for _, x := range []*Exposure{p.open, p.reduced} {
		if x != nil && x.namesRemoved(e) {
			it.x = x
			return
		}
	}
	if e.Serial != "" && p.activeAt(e.Serial) < 0 {
		f.assignDevice(e.Serial, p)
		delete(f.lostDevices, FoldName(e.Serial))
		p.activate(e.Serial, it)
		it.activated = true
	}
	if p.open == nil {
		p.learn(it)
	}
	p.proofs.seen, p.reduced, p.closed = it, nil, nil
	x := p.open
	if x == nil {
		return
	}
	x.countPending(e.Time)
	signedIn := e.Name == trail.ConsoleLogin // AWS asks everybody who has the password for the device: CheckMfa
	known := signedIn && x.isKnown(&e.Actor)
	if signedIn && !known && !x.foreignUsed && len(x.foreign) > 0 && (e.Serial == "" || slices.Contains(x.foreign, FoldName(e.Serial))) {
		it.x, x.foreignUsed = x, true
		x.evidence++
	}
	switch {
	case !x.suspect && !x.ExploitedOrChanged():
		f.end(it, x, MFASeen)
	case known:
		if x.proofKept != nil { // one is enough, however long something is left behind
			x.proofKept.x, x.proofKept = nil, nil
		}
		x.proof = e
		it.x = x
		x.foreign = slices.DeleteFunc(x.foreign, func(s string) bool { return e.Serial == "" || s == FoldName(e.Serial) || p.activeAt(s) < 0 })
		switch {
		case len(x.foreign)+len(x.leftBehind()) == 0:
			f.end(it, x, Proved)
		case !x.suspect:
			x.becomeSuspect(e)
		default:
			x.proofKept = it
		}
	case !x.suspect:
		it.x = x
		x.becomeSuspect(e)
	}
}

// namesRemoved reports whether a sign-in used a device in the moment in which it
// was removed, or may have where it names none, which proves nothing (J9).
func (x *Exposure) namesRemoved(e *trail.Event) bool {
	return slices.ContainsFunc(x.removals, func(r *trail.Event) bool {
		d := e.Time.Sub(r.Time)
		return (e.Serial == "" || strings.EqualFold(r.Serial, e.Serial)) && d >= 0 && d < removalLag
	})
}

// deviceBack folds a device enabled while x is open: it ends x unless an
// intruder may hold the device (J1).
func (f *folder) deviceBack(it *item, x *Exposure) {
	e := it.ev
	it.x = x
	x.reasons |= ActorReasons(&e.Actor)
	x.countPending(e.Time)
	foreign := (enabledByAnother(e) || x.familiar == nil && x.identity.isElsewhere(e, x.known)) && !f.trusts(x, e)
	switch {
	case foreign:
		x.evidence++
		if !slices.Contains(x.foreign, FoldName(e.Serial)) {
			x.foreign = append(x.foreign, FoldName(e.Serial))
		}
		x.proof = nil
	case x.familiar == nil:
	case e.Actor.Self && prefixOf(&e.Actor) != prefixOf(&x.familiar.Actor):
		x.harden()
	default:
		x.familiar = nil
	}
	doubts := x.doubts()
	switch {
	case doubts == 0 && x.wasForeign:
		f.end(it, x, Replaced)
	case doubts == 0:
		f.end(it, x, Enabled)
	case !x.suspect || foreign:
		x.becomeSuspect(e)
	}
}

// trusts reports whether the actor of an Enable may enable devices for others:
// the policy names them, or a planned change announces them.
func (f *folder) trusts(x *Exposure, e *trail.Event) bool {
	if f.policy.matches(f.policy.Enrollers, e) {
		return true
	}
	if x.planned == nil {
		return false
	}
	facts := f.policy.plannedFacts(e, x.User, x.path)
	return x.planned.matches(e.Time, &facts)
}

// doubts returns why the end of x is not believed.
func (x *Exposure) doubts() (r Reasons) {
	if x.Exploited {
		r |= HasExploited
	}
	if x.Changed {
		r |= HasChanged
	}
	if len(x.foreign) > 0 || x.foreignUsed {
		r |= HasForeignDevice
	}
	if len(x.leftBehind()) > 0 {
		r |= HasLeftBehind
	}
	return r
}

// becomeSuspect adds the step; x stays open.
func (x *Exposure) becomeSuspect(e *trail.Event) {
	x.suspect = true
	x.wasForeign = x.wasForeign || len(x.foreign) > 0
	m := x.StepBy(Suspect, e)
	m.Reasons |= x.doubts()
	m.Left = x.leftBehind()
	x.reasons |= m.Reasons &^ HasLeftBehind
	if few(&x.turns) {
		x.Steps = append(x.Steps, m)
	}
}

// foreignRemoved folds the removal of a device of a suspect exposure. It
// reports whether that is all that the event means: the device was foreign, and
// another one protects the user.
func (f *folder) foreignRemoved(it *item, x *Exposure) bool {
	i := slices.Index(x.foreign, FoldName(it.ev.Serial))
	if i < 0 {
		return false
	}
	x.foreign = slices.Delete(x.foreign, i, i+1)
	if len(x.identity.active) == 0 {
		return false
	}
	it.x = x
	switch {
	case x.suspect && x.doubts() == 0:
		f.end(it, x, Replaced)
	case x.suspect && x.proof != nil && len(x.foreign)+len(x.leftBehind()) == 0:
		f.end(it, x, Proved)
	}
	return true
}

// end closes x, the open exposure of its identity.
func (f *folder) end(it *item, x *Exposure, resolution string) {
	it.x = x
	x.identity.open = nil
	x.suspect, x.familiar, x.pending = false, nil, nil
	x.close(resolution, it.ev)
}
