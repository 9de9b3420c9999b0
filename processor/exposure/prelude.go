package exposure

import (
	"time"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// preludeTime is how long before a removal a change by another identity counts
// as part of it (J6).
const preludeTime = time.Hour

// pendingChange is a change that an off-boarding needs, too: it counts unless
// its actor deletes the user in time (J12).
type pendingChange struct {
	ev  *trail.Event
	due time.Time
}

// changed folds a change of credentials or rights (R23, J12, J13).
func (f *folder) changed(it *item) {
	e := it.ev
	p := f.byName(e.User)
	it.p = p
	does, id := effectOf(e)
	switch {
	case e.Name == trail.DeleteLoginProfile:
		p.passwordDeletion = e
	case does.gives == givenPassword:
		p.passwordDeletion = nil
	}
	if it.tombstone {
		return
	}
	x := p.open
	undoes := does.takes != "" && p.takeBack(does.takes, id)
	p.give(does.gives, id, e, x)
	if x == nil {
		recovers := e.Name == trail.PasswordRecoveryRequested || e.Name == trail.PasswordRecoveryCompleted // by who holds the mailbox, not root
		if does.changes && !undoes && (!e.Actor.Self || recovers) {
			p.remember(it)
		}
		return
	}
	it.x = x
	switch {
	case e.Name == trail.DeleteLoginProfile:
		x.passwordDeleted(e)
		if !x.suspect {
			x.addStep(Updated, e)
		}
		if x.rootOffboarded(e) {
			f.end(it, x, UserDeleted)
			return
		}
	case !does.changes || undoes:
	case does.leaver && f.offboards(x, e):
		f.await(x, pendingChange{e, e.Time.Add(offboardingTime)})
	default:
		x.proof = nil
		x.addChange(e, e.Time)
	}
	if x.suspect && x.proof != nil && len(x.foreign)+len(x.leftBehind()) == 0 {
		f.end(it, x, Proved)
	}
}

// maxChanges bounds the changes of an exposure that are alerted one by one, and how often
// its devices go and come back. Of those after it, each is that doubles their number: many
// calls hide no other exposure.
const maxChanges = 32

// few counts one more, and reports whether it is alerted.
func few(n *int) bool {
	*n++
	return *n <= maxChanges || *n&(*n-1) == 0
}

// addChange records a change that counts from a time on, and adds its step.
func (x *Exposure) addChange(e *trail.Event, at time.Time) {
	x.change(e)
	if !few(&x.changeCount) {
		return
	}
	m := x.StepBy(Updated, e)
	m.Time = at
	if x.changeCount > maxChanges {
		m.Changes = x.changeCount
	}
	x.Steps = append(x.Steps, m)
}

// change records a change while x was open or shortly before.
func (x *Exposure) change(e *trail.Event) {
	switch e.Name {
	case trail.CreateAccessKey, trail.UpdateAccessKey, trail.CreateServiceSpecificCredential,
		trail.UploadSSHPublicKey, trail.UploadSigningCertificate:
		x.changes |= keyCreated
	case trail.CreateLoginProfile:
		x.consoleClosed = false
		x.changes |= otherChange
	default:
		x.changes |= otherChange
	}
	x.Changed = true
	x.evidence++
	x.reasons |= HasChanged | ActorReasons(&e.Actor)
	if x.familiar != nil {
		x.harden()
	}
}

// remember keeps a change by another identity until it can no longer be the
// prelude of a removal.
func (p *identity) remember(it *item) {
	for len(p.recent) > 0 && it.ev.Time.Sub(p.recent[0].ev.Time) > preludeTime {
		p.recent = p.recent[1:]
	}
	p.recent = append(p.recent, it)
}

// addPrelude adds the changes shortly before a removal to the exposure that it
// begins.
func (f *folder) addPrelude(x *Exposure, p *identity, removal *trail.Event) {
	for _, it := range p.recent {
		e := it.ev
		if removal.Time.Sub(e.Time) > preludeTime {
			continue
		}
		it.x = x
		if does, _ := effectOf(e); does.leaver && f.offboards(x, e) {
			f.await(x, pendingChange{e, removal.Time.Add(offboardingTime)})
			continue
		}
		x.prelude = append(x.prelude, e)
		x.change(e)
		x.reasons |= HasPrelude
	}
	for _, g := range p.given {
		if g.x == nil && !g.ev.Actor.Self && removal.Time.Sub(g.ev.Time) <= preludeTime {
			g.x = x
		}
	}
	p.recent = nil
}

// offboards reports whether the event may belong to an off-boarding: its actor
// removed the device, or is an offboarder.
func (f *folder) offboards(x *Exposure, e *trail.Event) bool {
	return !e.Actor.Self && (actorKey(&e.Actor) == actorKey(&x.Actor) || f.policy.matches(f.policy.Offboarders, e))
}

// await keeps a change until it is known whether it counts.
func (f *folder) await(x *Exposure, c pendingChange) {
	x.pending = append(x.pending, c)
	f.waits(x)
}

// waits has x looked at when time passes.
func (f *folder) waits(x *Exposure) {
	if !x.waiting {
		x.waiting = true
		f.waiting = append(f.waiting, x)
	}
}

// pass lets time pass until at: what waited until earlier counts. The zero Time
// is the end of time.
func (f *folder) pass(at time.Time) {
	kept := f.waiting[:0]
	for _, x := range f.waiting {
		x.pass(at)
		if x.waiting = x.familiar != nil || len(x.pending) > 0; x.waiting {
			kept = append(kept, x)
		}
	}
	f.waiting = kept
}

func (x *Exposure) pass(at time.Time) {
	due := func(t time.Time) bool { return at.IsZero() || t.Before(at) }
	for len(x.pending) > 0 || x.familiar != nil {
		if s := x.familiar; s != nil && (len(x.pending) == 0 || !x.pending[0].due.Before(s.Time.Add(familiarTime))) {
			until := s.Time.Add(familiarTime)
			if !due(until) {
				return
			}
			x.harden()
			m := x.StepBy(Updated, s)
			m.Time, m.Overdue = until, true
			x.Steps = append(x.Steps, m)
			continue
		}
		c := x.pending[0]
		if !due(c.due) {
			return
		}
		x.pending = x.pending[1:]
		x.addChange(c.ev, c.due)
	}
}

// countPending counts the changes that wait: the user stays.
func (x *Exposure) countPending(at time.Time) {
	for _, c := range x.pending {
		x.addChange(c.ev, at)
	}
	x.pending = nil
}

// harden turns a familiar sign-in into one that may be anybody's.
func (x *Exposure) harden() {
	x.familiar = nil
	x.Exploited = true
	x.reasons |= HasExploited
}

// NextDue returns when x changes by the time alone; zero: never.
func (x *Exposure) NextDue() time.Time {
	var next time.Time
	if x.familiar != nil {
		next = x.familiar.Time.Add(familiarTime)
	}
	if len(x.pending) > 0 && (next.IsZero() || x.pending[0].due.Before(next)) {
		next = x.pending[0].due
	}
	return next
}
