package exposure

import (
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// folder folds the events of one account.
type folder struct {
	directory
	policy         *Policy
	known          map[string]string // paths of existing users, by name
	items          []item
	exposures      []*Exposure             // in order of opening
	attempts       []*Attempt              // in order of their first event
	campaigns      []*ActorCampaign        // in order of their first exposure
	lostDevices    map[string]*Exposure    // by serial: the exposure that lost it
	latestAttempts map[attemptKey]*Attempt // the last one of each key
}

// fold folds the events of one account after the tombstones of st. An exposure
// that waits until after now counts towards no campaign yet; with a zero now,
// none waits.
func fold(events []*trail.Event, st State, policy *Policy, now time.Time) *folder {
	f := &folder{
		policy:         policy,
		items:          sortEvents(events, st.tombstones),
		lostDevices:    map[string]*Exposure{},
		latestAttempts: map[attemptKey]*Attempt{},
	}
	var paths map[string]string
	paths, f.known = pathsOf(f.items, st.paths)
	f.directory = newDirectory(paths)
	for i := range f.items {
		f.apply(&f.items[i])
	}
	f.findCampaigns(st.delivered, now)
	for _, x := range f.exposures {
		x.finish()
	}
	for _, w := range f.campaigns {
		w.Severity, _ = w.severity(StepCampaign, w.latestStep(), 0)
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
	case trail.DeleteLoginProfile, trail.DeleteAccessKey, trail.UpdateAccessKey,
		trail.CreateLoginProfile, trail.UpdateLoginProfile, trail.CreateAccessKey,
		trail.AttachUserPolicy, trail.PutUserPolicy, trail.AddUserToGroup:
		f.changed(it)
	}
}

// deactivated opens an exposure or joins the open one (R17–R19).
func (f *folder) deactivated(it *item) {
	e := it.ev
	p := f.target(e)
	if p == nil {
		p = &identity{} // an identity that no name leads to
	}
	it.p, it.name = p, p.name
	last := false
	if e.Serial == "" {
		p.active = nil // it may have been any of them (R5)
	} else {
		last = p.deactivate(e.Serial) && len(p.active) == 0
		if p.key != "" {
			f.assignDevice(e.Serial, p)
		}
	}
	if it.tombstone {
		return
	}
	x := p.open
	joins := x != nil
	if !joins {
		f.checkPrivileged(p, e)
		x = newExposure(p, e, f.policy)
		f.exposures = append(f.exposures, x)
		if p.passwordDeletion != nil {
			x.passwordDeleted(p.passwordDeletion)
		}
	}
	f.matchPlanned(x, e, joins)
	it.x = x
	x.deactivations = append(x.deactivations, e.ID)
	x.reasons |= actorReasons(&e.Actor)
	if last {
		x.reasons |= lastDevice
	}
	f.lostDevices[e.Serial] = x
	switch {
	case joins:
		x.addStep(Updated, e)
	case len(p.active) > 0:
		x.reasons |= otherDevice
		x.Reduced, x.Protection, x.other = true, ProtectionOtherDevice, p.active[0].proof.ev
		x.addStep(Reduced, e)
		x.Steps[len(x.Steps)-1].enabledByAnother = !e.Actor.Self && p.allEnabledByAnother()
		p.reduced = x
	default:
		x.openSince = e.Time
		x.addStep(Opened, e)
		p.open = x
	}
}

// deviceDeleted attaches the event to the exposure that lost the device; it
// neither opens nor closes one (R22). AWS deletes only inactive devices.
func (f *folder) deviceDeleted(it *item) {
	s := it.ev.Serial
	if s == "" {
		return
	}
	if p := f.deviceOwners[s]; p != nil {
		it.p, it.name = p, p.name
		p.deactivate(s)
	}
	it.x = f.lostDevices[s]
}

// enabled closes an open exposure (R20).
func (f *folder) enabled(it *item) {
	e := it.ev
	p := f.byName(e.User)
	it.p = p
	if e.Serial != "" {
		f.assignDevice(e.Serial, p)
		delete(f.lostDevices, e.Serial)
	}
	p.activate(e.Serial, it)
	f.proved(it, Enabled)
}

// proved closes the open exposure, since a device is known to work.
func (f *folder) proved(it *item, resolution string) {
	p := it.p
	p.reduced = nil
	x := p.open
	if x == nil {
		return
	}
	it.x = x
	p.open = nil
	if resolution == Enabled && !it.tombstone {
		x.reasons |= actorReasons(&it.ev.Actor)
	}
	x.close(resolution, it.ev)
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
		f.proved(it, MFASeen)
		return
	case e.MFAUsed == nil:
		return
	}
	x := p.open
	if x == nil {
		x = p.reduced
	}
	if x == nil {
		return
	}
	it.x = x
	p.open, p.reduced = x, nil
	p.active = nil // AWS asks every user with a device for it
	if x.openSince.IsZero() {
		x.openSince, x.Reduced = e.Time, false
	}
	x.Protection = ProtectionNone
	if x.Exploited {
		return
	}
	x.Exploited = true
	x.reasons |= exploited
	x.addStep(Exploited, e)
}

// changed folds a change of credentials or rights (R23).
func (f *folder) changed(it *item) {
	e := it.ev
	it.p = f.byName(e.User)
	switch e.Name {
	case trail.DeleteLoginProfile:
		it.p.passwordDeletion = e
	case trail.CreateLoginProfile, trail.UpdateLoginProfile:
		it.p.passwordDeletion = nil
	}
	x := it.p.open
	if x == nil || it.tombstone {
		return
	}
	it.x = x
	switch e.Name {
	case trail.DeleteAccessKey, trail.UpdateAccessKey:
		return
	case trail.DeleteLoginProfile:
		x.passwordDeleted(e)
		x.addStep(Updated, e)
		return
	case trail.CreateAccessKey:
		x.changes |= keyCreated
	case trail.CreateLoginProfile:
		x.consoleClosed = false
		x.changes |= otherChange
	default:
		x.changes |= otherChange
	}
	x.Changed = true
	x.reasons |= changed | actorReasons(&e.Actor)
	x.addStep(Updated, e)
}

// created starts an incarnation. The former owner of the name is gone (R25).
func (f *folder) created(it *item) {
	f.endIncarnation(it, f.releaseName(it.ev.User))
	it.p = f.byName(it.ev.User)
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
	if x := p.open; x != nil {
		it.x = x
		x.close(UserDeleted, it.ev)
	}
}

// renamed gives the identity a new name (R24). The former owner of that name is
// gone.
func (f *folder) renamed(it *item) {
	e := it.ev
	p := f.byName(e.User)
	it.p = p
	if e.NewUser == "" || foldName(e.NewUser) == p.key {
		return
	}
	for _, x := range []*Exposure{p.open, p.reduced} {
		if x != nil {
			it.x, x.User = x, e.NewUser
		}
	}
	if q := f.names[foldName(e.NewUser)]; q != p {
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
