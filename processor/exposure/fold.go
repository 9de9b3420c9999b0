package exposure

import (
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// folder folds the events of one account, or of one subject of it.
type folder struct {
	directory
	policy         *Policy
	known          map[string]string // paths of existing users, by name
	items          []item
	exposures      []*Exposure             // in order of opening
	attempts       []*Attempt              // in order of their first event
	lostDevices    map[string]*Exposure    // by serial: the exposure that lost it
	waiting        []*Exposure             // those that the time alone may change
	latestAttempts map[attemptKey]*Attempt // the last one of each key
	mistyped       map[attemptKey]*wrongCodes
	counters       []Counter // in order of time
	reduced        []string  // the IDs of events that are counted from now on
}

// fold folds the events of one account, or of one subject of it, after the
// tombstones of m. The exposures are finished later, when their campaigns are
// known. Exposures that wait until after now are undecided; with a zero now, none
// waits.
func fold(events []*trail.Event, m Memory, policy *Policy, now time.Time) *folder {
	f := &folder{
		policy:         policy,
		items:          sortEvents(events, m.Tombstones),
		lostDevices:    map[string]*Exposure{},
		latestAttempts: map[attemptKey]*Attempt{},
		mistyped:       map[attemptKey]*wrongCodes{},
	}
	f.reduce(m.Counters)
	var paths map[string]string
	paths, f.known = policy.pathsOf(f.items, m.Paths)
	f.directory = newDirectory(paths)
	if !now.IsZero() {
		now = now.Add(1) // what is due now counts
	}
	for i := range f.items {
		if at := f.items[i].ev.Time; len(f.waiting) > 0 {
			if !now.IsZero() && at.After(now.Add(MaxAhead)) {
				at = now // a wrong clock lets no time pass
			}
			f.pass(at)
		}
		f.orderSecond(i)
		f.apply(&f.items[i])
	}
	f.pass(now)
	for _, x := range f.exposures {
		x.ID = exposureID(x.first)
	}
	for _, a := range f.attempts {
		a.finish()
	}
	return f
}

// apply folds one event.
func (f *folder) apply(it *item) {
	e := it.ev
	if e.Failed() {
		switch e.Name {
		case trail.DeactivateMFADevice, trail.EnableMFADevice, trail.DeleteVirtualMFADevice:
			f.attempted(it)
		case trail.ConsoleLogin:
			f.signInFailed(it)
		}
		return // nothing opens, closes or widens (R2)
	}
	switch e.Name {
	case trail.DeactivateMFADevice:
		f.deactivated(it)
		return
	case trail.DeleteVirtualMFADevice:
		f.deviceDeleted(it)
		return
	case trail.Closed:
		f.closed(it)
		return
	}
	if e.User == "" {
		return
	}
	switch e.Name {
	case trail.EnableMFADevice, trail.ResyncMFADevice:
		f.enabled(it)
	case trail.ConsoleLogin, trail.CheckMfa:
		f.signedIn(it)
	case trail.CreateUser:
		f.created(it)
	case trail.UpdateUser:
		f.renamed(it)
	case trail.DeleteUser:
		f.deleted(it)
	case trail.CreateVirtualMFADevice: // proves nothing (R20)
	default:
		f.changed(it)
	}
}

// deactivated folds the removal of a device (R17–R19).
func (f *folder) deactivated(it *item) {
	e := it.ev
	p := f.target(e)
	if p == nil {
		p = &identity{} // an identity that no name leads to
	}
	if e.Serial != "" && p.key != "" {
		f.assignDevice(e.Serial, p)
	}
	f.removed(it, p, 0)
}

// removed opens an exposure of p or joins the open one.
func (f *folder) removed(it *item, p *identity, why Reasons) {
	e := it.ev
	it.p, it.name = p, p.name
	last := false
	if p.hasDoubtful() {
		p.doubted = e.Time
	}
	if e.Serial == "" {
		p.active = nil // it may have been any of them (R5)
	} else {
		last = p.deactivate(e.Serial).serial != "" && len(p.active) == 0
	}
	p.proofs = proofs{}
	if it.tombstone {
		return
	}
	x := p.open
	joins := x != nil
	if joins && f.foreignRemoved(it, x) {
		x.removedBy(e)
		return
	}
	if !joins {
		x = f.begin(p, e)
		if x.offboarded = f.policy.matches(f.policy.Offboarders, e); p.passwordDeletion != nil {
			x.passwordDeleted(p.passwordDeletion)
		}
	}
	f.matchPlanned(x, e, joins)
	it.x = x
	x.removedBy(e)
	x.reasons |= why | ActorReasons(&e.Actor)
	if last {
		x.reasons |= HasLastDevice
	}
	x.countDenied(f.latestAttempts[attemptKey{actor: actorKey(&e.Actor), target: p, class: Refused}], e)
	f.lostDevices[FoldName(e.Serial)] = x
	if !joins {
		f.addPrelude(x, p, e)
	}
	switch {
	case joins:
		if len(p.active) == 0 {
			x.suspect = false
		}
		if x.proof = nil; few(&x.turns) {
			x.addStep(Updated, e)
		}
	case len(p.active) > 0:
		x.reasons |= HasOtherDevice
		x.Reduced, x.Protection, x.other = true, ProtectionOtherDevice, p.active[0].proof.ev
		x.addStep(Reduced, e)
		stranger := !e.Actor.Self || p.hasDoubtful() && len(x.known) > 0 && !x.isKnown(&e.Actor)
		x.Steps[len(x.Steps)-1].EnabledByAnother = stranger && p.allEnabledByAnother()
		p.reduced = x
	default:
		x.openSince = e.Time
		x.addStep(Opened, e)
		p.open = x
		if d := p.passwordDeletion; d != nil && x.rootOffboarded(d) {
			f.end(it, x, UserDeleted)
		}
	}
}

// begin returns the exposure of p that an event begins.
func (f *folder) begin(p *identity, e *trail.Event) *Exposure {
	f.checkPrivileged(p, e)
	x := newExposure(p, e, f.policy)
	x.knowPlaces(p, f.policy.Retention)
	f.exposures = append(f.exposures, x)
	return x
}

// deviceDeleted attaches the event to the exposure that lost the device (R22).
// AWS deletes only inactive devices: if this one is known active, its removal
// was not seen (J7).
func (f *folder) deviceDeleted(it *item) {
	s := FoldName(it.ev.Serial)
	if s == "" {
		return
	}
	p := f.deviceOwners[s]
	if p != nil && p.ended == nil && p.activeAt(s) >= 0 {
		f.removed(it, p, HasRemovalNotSeen)
		return
	}
	if p != nil {
		it.p, it.name = p, p.name
	}
	if it.x = f.lostDevices[s]; it.x != nil && it.ev.Time.Sub(it.x.OpenedAt) < time.Hour {
		it.x.recognizeBy(it.ev) // with which it began if the removal came late
	}
}

// enabled ends an open exposure (R20), unless an intruder may hold the device
// (J1).
func (f *folder) enabled(it *item) {
	e := it.ev
	p := f.byName(e.User)
	it.p = p
	if e.Serial != "" {
		f.assignDevice(e.Serial, p)
		delete(f.lostDevices, FoldName(e.Serial))
	}
	was := p.deactivate(e.Serial)
	p.activate(e.Serial, it)
	it.elsewhere = it.elsewhere || p.isElsewhere(e, p.known(e.Time, f.policy.Retention))
	if it.another = enabledByAnother(e) || it.elsewhere; e.Name == trail.ResyncMFADevice && !it.tombstone {
		it.another, it.foreign, it.elsewhere = was.another, was.foreign, was.elsewhere
	}
	p.proofs.enabled, p.reduced, p.closed = it, nil, nil
	switch {
	case p.open != nil:
		f.deviceBack(it, p.open)
	case it.tombstone:
	case e.Name == trail.EnableMFADevice && enabledByAnother(e) && !p.createdBy(e) && !f.policy.matches(f.policy.Enrollers, e):
		it.foreign = true
		f.addAttempt(it, Enrolment)
	}
	if n := len(p.active); e.Serial != "" {
		d := &p.active[n-1]
		d.foreign, d.another, d.elsewhere = it.foreign, it.another, it.elsewhere
	}
}

// signedIn closes by proof of a device (R27), or exploits an exposure (R26).
// The record tells only of IAM users and root whether they used a device.
func (f *folder) signedIn(it *item) {
	e := it.ev
	if t := e.Actor.Type; t != "" && !strings.EqualFold(t, "IAMUser") && !strings.EqualFold(t, "Root") {
		return
	}
	p := f.byName(e.User)
	it.p = p
	p.passwordDeletion = nil // a sign-in needs one
	switch {
	case e.Name == trail.CheckMfa, e.MFAUsed != nil && *e.MFAUsed:
		if p.root && f.policy.RootSignIn == RootSignInAny && !it.tombstone && e.Name == trail.ConsoleLogin {
			f.addAttempt(it, RootSignIn)
		}
		f.provedBySignIn(it)
	case e.MFAUsed != nil:
		f.signedInWithoutMFA(it)
	}
}

// created starts an incarnation. The former owner of the name is gone (R25).
func (f *folder) created(it *item) {
	f.endIncarnation(it, f.releaseName(it.ev.User))
	it.p = f.byName(it.ev.User)
	it.p.created = it.ev
}

// deleted ends an incarnation (R23, R25).
func (f *folder) deleted(it *item) {
	it.p = f.byName(it.ev.User)
	f.endIncarnation(it, f.releaseName(it.ev.User))
}

// endIncarnation closes the open exposure of an identity that no longer exists.
func (f *folder) endIncarnation(it *item, p *identity) {
	if p == nil {
		return
	}
	p.ended = it
	x := p.open
	if x == nil {
		return
	}
	offboards := it.ev.Name == trail.DeleteUser && len(x.pending) > 0 && actorKey(&it.ev.Actor) == actorKey(&x.pending[0].ev.Actor)
	if !offboards {
		x.countPending(it.ev.Time)
	}
	f.end(it, x, UserDeleted)
}

// renamed gives the identity a new name (R24). The former owner of that name is
// gone.
func (f *folder) renamed(it *item) {
	e := it.ev
	p := f.byName(e.User)
	it.p = p
	p.matchesPrivileged = p.matchesPrivileged || it.privileged
	if e.NewUser == "" || FoldName(e.NewUser) == p.key {
		return
	}
	for _, x := range []*Exposure{p.open, p.reduced} {
		if x != nil {
			it.x, x.User = x, e.NewUser
		}
	}
	if q := f.names[FoldName(e.NewUser)]; q != p {
		f.endIncarnation(it, f.releaseName(e.NewUser))
	}
	f.checkPrivileged(p, e)
	f.rename(p, e.NewUser)
	f.checkPrivileged(p, e)
	if x := p.open; x != nil && p.matchesPrivileged {
		x.privileged = true
		x.reasons |= p.reasons()
	}
}

// checkPrivileged asks the policy whether p is privileged. An identity that was
// privileged under a former name stays so; otherwise an intruder would rename
// it first.
func (f *folder) checkPrivileged(p *identity, e *trail.Event) {
	p.matchesPrivileged = p.matchesPrivileged || !p.root && f.policy.privileged(e.Partition, e.Account, p.name, p.path)
}
